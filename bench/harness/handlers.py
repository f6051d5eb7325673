"""The lines about the kinds of handlers: what each costs, and that one which waits harms nobody."""

import statistics
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import combinations

from harness import generators, load
from harness.bench import Bench, Row, Series, Target, say
from harness.load import LoadError
from harness.requests import exchange, request
from harness.servers import Server

GREETING = b"Hello, world."
_INLINE = ("macro", "async", "inline")
_POOLED = "pooled"
_ALIKE = Target(1.05)
_POOLED_EXTRA_US = Target(2.0)
_SLOW_A_SECOND, _QUICK_A_SECOND = 200, 500
_SLOW_US = 100_000
_QUICK_P99_MS = Target(3.0)
_WARM_UP_S = 1


@dataclass(frozen=True)
class Route:
    """One path of a server, measured beside the others of the same server."""

    name: str
    server: Server

    def empty_log(self):
        pass


def kinds(bench: Bench):
    """The same answer by each kind of handler; path and name of each are the same."""
    with bench.start(bench.service("handlers")) as server:
        names = [name for name in (*_INLINE, _POOLED) if _is_there(bench, server, name)]
        routes = [Route(name, server) for name in names]

        def measure(route, seconds=bench.seconds):
            head = request(server.port, route.name)
            expect = load.answer_bytes(len(GREETING))
            return load.wrk(server, bench.server_core, [head], seconds, expect)

        for route in routes:
            measure(route, _WARM_UP_S)
        measured = bench.in_turns("hello by kind of handler", "wrk", "µs", routes, measure)
    *alike, pooled = measured
    for pair in combinations(alike, 2):
        dear, cheap = sorted(pair, key=Series.cost, reverse=True)
        ratios = [a.cost / b.cost for a, b in zip(dear.samples, cheap.samples)]
        bench.rows.append(Row(
            f"hello by {dear.server}", "wrk", "µs", dear.cost(), cheap.server, cheap.cost(),
            ratios, _ALIKE,
        ))
    inline, = (series for series in alike if series.server == "inline")
    extra = [(a.cost - b.cost) * 1e6 for a, b in zip(pooled.samples, inline.samples)]
    bench.compare_figures(
        "a pooled function over an inline one", "µs", {"number8": statistics.median(extra)},
        _POOLED_EXTRA_US,
    )


def _is_there(bench: Bench, server: Server, name: str) -> bool:
    """Leaves out, and says so, a kind of handler that this build does not know."""
    answer = exchange(server.port, request(server.port, name))
    if answer.status == 404:
        bench.notes.append(f"hello by kind of handler: this build has none by {name}")
        say(bench.notes[-1])
        return False
    if (answer.status, answer.body) != (200, GREETING):
        raise LoadError(f"/{name} is answered with {answer.status}")
    return True


def beside_slow(bench: Bench):
    """A quick route while a plain function that sleeps is asked for all the time."""
    work = f"p99 of a quick route beside {_SLOW_A_SECOND} requests/s that sleep 100 ms"
    rates = {"/slow": _SLOW_A_SECOND, "/quick": _QUICK_A_SECOND}
    programs = (bench.service("handlers"), bench.peer("axum", "handlers"))
    p99_ms = {program.name: [] for program in programs}
    with ExitStack() as stack:
        running = bench.started(stack, *programs)
        for server in running:
            generators.steady(bench.peers, server, _WARM_UP_S, rates)
        for number in range(1, bench.rounds + 1):
            for server in running:
                times = generators.steady(bench.peers, server, bench.seconds, rates)
                quick, slow = times["/quick"], times["/slow"]
                if slow.p50_us < _SLOW_US:
                    raise LoadError(f"{server.name} sleeps {slow.p50_us} µs in /slow")
                p99_ms[server.name].append(quick.p99_us / 1000)
                say(f"beside 100 ms: round {number} of {bench.rounds}: {server.name}: quick p50 "
                    f"{quick.p50_us} p99 {quick.p99_us} max {quick.max_us} µs, slow p50 "
                    f"{slow.p50_us / 1000:.1f} p99 {slow.p99_us / 1000:.1f} ms")
    figures = {name: statistics.median(each) for name, each in p99_ms.items()}
    bench.compare_figures(work, "ms", figures, _QUICK_P99_MS)
