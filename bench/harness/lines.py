"""The lines of the table: what is measured, beside whom, and what has to be reached."""

import statistics
from contextlib import ExitStack
from pathlib import Path

from harness import handlers, live, load, processes, python, sample_folder, secure, servers, uploads
from harness.bench import Bench, Series, Target, say
from harness.handlers import GREETING
from harness.held import Held
from harness.load import LoadError
from harness.requests import HEADS, exchange, request
from harness.servers import Server

PIPELINED = 16
IDLE_CONNECTIONS = 10_000
STARTS = 20
DOWNLOADERS = 8
_DOWNLOADS_PER_SECOND = 4
_WARM_UP_S = 1


def small_file(bench: Bench):
    _files(bench, "1 KiB file", [sample_folder.SMALL], Target(0.75, 0.68))


def not_modified(bench: Bench):
    _files(bench, "304 for it", [sample_folder.SMALL], Target(0.95, 0.87), conditional=True)


def large_file(bench: Bench):
    _files(bench, "100 KiB file", [sample_folder.LARGE], Target(1.0, 0.83))


def many_files(bench: Bench):
    paths = [sample_folder.many_path(index) for index in range(sample_folder.MANY_COUNT)]
    _files(bench, "10,000 files of 4 KiB at random", paths, Target(0.80, 0.66))


def huge_file(bench: Bench):
    with ExitStack() as stack:
        running = bench.started(stack, bench.number8, servers.nginx(), servers.lighttpd())
        for server in running:
            _check_file(bench, server, sample_folder.HUGE, ())
        times = _DOWNLOADS_PER_SECOND * bench.seconds
        measured = bench.in_turns(
            f"100 MiB file, {DOWNLOADERS} clients", "curl", "s/GiB", running,
            lambda server: load.curls(
                server, bench.server_core, sample_folder.HUGE, DOWNLOADERS, times
            ),
        )
        bench.compare(measured, {"nginx": Target(1.2, 1.0)})


def hello(bench: Bench):
    targets = {"hyper": Target(1.0, 0.94), "floor": Target(1.15, 1.09)}
    _greetings(bench, "hello", 1, targets)


def pipelined(bench: Bench):
    _greetings(bench, f"hello, pipelined ×{PIPELINED}", PIPELINED, {
        "hyper": Target(0.70, 0.55)
    })


def idle_memory(bench: Bench):
    figures = {}
    hyper = bench.peer("hyper")
    for program in (bench.number8, servers.nginx(), servers.lighttpd(), hyper):
        with bench.start(program) as server:
            before = processes.resident_bytes(server.pid)
            held = Held(
                server.port, IDLE_CONNECTIONS, request(server.port, program.probe), answered=True
            )
            try:
                grown = processes.resident_bytes(server.pid) - before
                lost = IDLE_CONNECTIONS - held.still_open()
            finally:
                held.close()
            if lost:
                raise LoadError(f"{server.name} did not hold {lost} of {IDLE_CONNECTIONS}")
            figures[server.name] = grown / IDLE_CONNECTIONS / 1024
            say(f"memory per idle connection: {server.name} {figures[server.name]:.2f} KiB")
    bench.compare_figures(
        "memory per idle keep-alive connection", "KiB", figures, Target(1.5, 1.0)
    )


def footprint(bench: Bench):
    resident, start_ms, size = {}, {}, {}
    for program in (bench.number8, servers.nginx(), servers.lighttpd()):
        starts = []
        for _ in range(STARTS):
            with bench.start(program) as server:
                starts.append(server.start_ms)
                resident[program.name] = processes.resident_bytes(server.pid) / (1 << 20)
        start_ms[program.name] = statistics.median(starts)
        size[program.name] = Path(servers.find(program.binary)).stat().st_size / (1 << 20)
        say(f"footprint: {program.name} {resident[program.name]:.1f} MiB resident, "
            f"{start_ms[program.name]:.1f} ms to the first answer")
    bench.compare_figures("idle RSS", "MiB", resident, Target(5, 3))
    bench.compare_figures("exec to first answer", "ms", start_ms, Target(10, 4))
    bench.compare_figures("stripped command", "MiB", size, Target(6, 4))


def system_calls(bench: Bench):
    # One epoll_wait serves a batch of connections: its share makes the tenth.
    for work, path, target in (
        ("system calls per hot small file", sample_folder.SMALL, Target(2.1, 2.1)),
        ("system calls per hot large file", sample_folder.LARGE, Target(3.1, 3.1)),
    ):
        figures = {}
        for program in (bench.number8, servers.nginx(), servers.lighttpd()):
            with bench.start(program) as server:
                _check_file(bench, server, path, ())
                requests = [request(server.port, path)]
                expect = load.answer_bytes(sample_folder.SIZES[path])
                load.wrk(server, bench.server_core, requests, _WARM_UP_S, expect)
                runs = (
                    load.system_calls(server, bench.server_core, requests, seconds, expect)
                    for seconds in (bench.seconds + _WARM_UP_S, _WARM_UP_S)
                )
                (many, many_calls), (few, few_calls) = runs
            # What is called once for each connection is in both, and so not in the difference.
            each = {
                name: (calls - few_calls.get(name, 0)) / (many - few)
                for name, calls in many_calls.most_common()
            }
            figures[server.name] = sum(each.values())
            shown = ", ".join(
                f"{name} {calls:.2f}" for name, calls in each.items() if calls >= 0.005
            )
            bench.notes.append(f"{work}: {server.name}: {shown}")
            say(bench.notes[-1])
        bench.compare_figures(work, "calls", figures, target)


LINES = {
    "1k": small_file,
    "304": not_modified,
    "100k": large_file,
    "many": many_files,
    "100m": huge_file,
    "hello": hello,
    "pipelined": pipelined,
    "handlers": handlers.kinds,
    "lane": handlers.beside_slow,
    "events": live.events,
    "ws": live.web_socket,
    "upload": uploads.upload,
    "idle": idle_memory,
    "footprint": footprint,
    "syscalls": system_calls,
    **secure.LINES,
    **python.LINES,
}


def _files(bench: Bench, work: str, paths: list[str], target: Target, conditional=False):
    size = (bench.folder / paths[0]).stat().st_size
    with ExitStack() as stack:
        running = bench.started(stack, bench.number8, servers.nginx(), servers.lighttpd())
        for head, fields in HEADS.items():
            requests = {}
            for server in running:
                etag = _check_file(bench, server, paths[0], fields)
                sent = (*fields, ("If-None-Match", etag)) if conditional else fields
                requests[server.name] = [request(server.port, path, sent) for path in paths]
                if conditional:
                    _expect_status(server, requests[server.name][0], 304)
            expect = load.answer_bytes(0 if conditional else size)
            measured = _under_wrk(bench, work, head, running, requests, expect)
            bench.compare(measured, {"nginx": target})


def _greetings(bench: Bench, work: str, depth: int, targets: dict[str, Target]):
    with ExitStack() as stack:
        peers = [bench.peer(name) for name in ("hyper", "floor", "actix")]
        running = bench.started(stack, bench.hello, *peers)
        for head, fields in HEADS.items():
            requests = {}
            for server in running:
                one = request(server.port, "", fields)
                if _expect_status(server, one, 200).body != GREETING:
                    raise LoadError(f"{server.name} does not say {GREETING}")
                requests[server.name] = [one * depth]
            expect = load.answer_bytes(len(GREETING))
            measured = _under_wrk(bench, work, head, running, requests, expect)
            bench.compare(measured, targets)


def _under_wrk(bench, work, head, running, requests, expect) -> list[Series]:
    def measure(server, seconds=bench.seconds):
        return load.wrk(server, bench.server_core, requests[server.name], seconds, expect)

    for server in running:
        measure(server, _WARM_UP_S)
        if server.logs and server.logged_bytes() == 0:
            raise LoadError(f"{server.name} does not log")
        server.empty_log()
    return bench.in_turns(work, head, "µs", running, measure)


def _check_file(bench: Bench, server: Server, path: str, fields) -> str:
    """Makes sure that the whole file comes, as it is. Returns its ETag."""
    answer = _expect_status(server, request(server.port, path, fields), 200)
    if answer.body != (bench.folder / path).read_bytes():
        raise LoadError(f"{server.name} sends {path} with other bytes")
    if "etag" not in answer.fields:
        raise LoadError(f"{server.name} sends {path} without an ETag")
    return answer.fields["etag"]


def _expect_status(server: Server, head: bytes, status: int):
    answer = exchange(server.port, head)
    if answer.status != status:
        raise LoadError(f"{server.name} answers {answer.status}, {status} was expected")
    return answer
