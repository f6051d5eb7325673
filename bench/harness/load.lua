-- wrk's script: sends the requests of one file, which are separated by NUL bytes, in random
-- order if there are many, and ends with one line of JSON.

function init(args)
    local file = assert(io.open(args[1], "rb"))
    local requests = {}
    for text in file:read("*a"):gmatch("%Z+") do
        requests[#requests + 1] = text
    end
    file:close()
    if #requests == 1 then
        -- Left without a request(), wrk asks for the bytes once and keeps its fast path.
        wrk.format = function() return requests[1] end
    else
        request = function() return requests[math.random(#requests)] end
    end
end

function done(summary, latency, _)
    local errors = summary.errors
    io.write(string.format(
        'JSON {"requests": %d, "bytes": %d, "seconds": %f, "p50_us": %d, "p99_us": %d, '
            .. '"errors": {"connect": %d, "read": %d, "write": %d, "status": %d, "timeout": %d}}\n',
        summary.requests, summary.bytes, summary.duration / 1e6,
        latency:percentile(50), latency:percentile(99),
        errors.connect, errors.read, errors.write, errors.status, errors.timeout))
end
