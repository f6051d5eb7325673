"""The lines about what stays open: event streams and WebSocket."""

from contextlib import ExitStack

from harness import generators, load, processes
from harness.bench import Bench, Target, say
from harness.servers import Server

LISTENERS = 10_000
_EVENT_BYTES = 64
_MESSAGE_BYTES = 64
_AT_ONCE = 16
_WARM_UP_S = 1


def events(bench: Bench):
    work = f"event to each of {LISTENERS:,} listeners"
    with ExitStack() as stack:
        running = bench.started(stack, bench.service("events"), bench.peer("axum", "events"))
        loads = {
            server.name: stack.enter_context(
                generators.EventLoad(bench.peers, server, LISTENERS, "/events", "/publish")
            )
            for server in running
        }

        def publish(server, seconds=bench.seconds):
            return loads[server.name].publish(bench.server_core, seconds, _EVENT_BYTES)

        measured = bench.in_turns(work, "–", "µs", running, publish)
        memory = {
            server.name: processes.peak_resident_bytes(server.pid) / (1 << 20)
            for server in running
        }
    bench.compare(measured, {"axum": Target(0.80)})
    bench.compare_times("publishing to the last of them", measured, {"axum": Target(1.0)})
    bench.compare_figures("peak RSS with all of them", "MiB", memory, Target(40))
    shares = (
        f"{series.server} {max(sample.load for sample in series.samples):.0%}"
        for series in measured
    )
    bench.notes.append(f"{work}: the load had of its own core at most: {', '.join(shares)}")
    say(bench.notes[-1])


def web_socket(bench: Bench):
    work = f"WebSocket echo of {_MESSAGE_BYTES} bytes"
    with ExitStack() as stack:
        running = bench.started(
            stack, bench.service("ws"), bench.peer("axum", "ws"),
            bench.peer("fastwebsockets", "ws"),
        )
        targets = {"axum": Target(0.55), "fastwebsockets": Target(1.10)}
        _echoes(bench, work, running, 1, targets)
        _echoes(bench, f"{work}, ×{_AT_ONCE} at once", running, _AT_ONCE, {})


def _echoes(bench: Bench, work: str, running: list[Server], at_once: int, targets):
    def echo(server, seconds=bench.seconds):
        return generators.web_socket(
            bench.peers, server, bench.server_core, "/ws", load.CONNECTIONS, seconds,
            _MESSAGE_BYTES, at_once,
        )

    for server in running:
        echo(server, _WARM_UP_S)
    bench.compare(bench.in_turns(work, "–", "µs", running, echo), targets)
