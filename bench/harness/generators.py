"""Load by our own programs, which are in bench/peers: event streams, WebSocket, a steady rate."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

from harness import processes
from harness.load import LoadError, Meter, Sample
from harness.servers import Server

_SLACK_S = 60

# What comes after a pause is acknowledged at once by the listener's side, sixteen times (TCP_MAX_QUICKACKS of Linux). On
# loopback the sender's core does that, for half as much again as an event costs. So many events are not counted.
_EVENTS_BEFORE = 20


class EventLoad:
    """Clients that listen to a server's event stream until the `with` block is left."""

    def __init__(self, programs: Path, server: Server, clients: int, events: str, publish: str):
        self._server, self._clients = server, clients
        command = [programs / "load-events", str(server.port), str(clients), events, publish]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True,
        )
        try:
            self._answer()
        except BaseException:
            self.__exit__()
            raise

    def __enter__(self) -> "EventLoad":
        return self

    def __exit__(self, *_):
        self._process.kill()
        self._process.communicate()

    def publish(self, core: int, seconds: int, size: int) -> Sample:
        """Publishes events of `size` bytes for `seconds`, each when the one before it has reached
        every client. The sample's work is events delivered, its p50 the time from publishing an
        event to the last client.

        Raises LoadError when an event does not reach a client.
        """
        self._publish(0, size, _EVENTS_BEFORE)
        load_before = processes.cpu_time(self._process.pid)
        with Meter(self._server, core) as meter:
            figures = self._publish(seconds, size, 1)
        load = processes.cpu_time(self._process.pid) - load_before
        return meter.sample(
            figures["deliveries"], figures["seconds"], load=load.total / figures["seconds"],
            p50_us=figures["last_p50_us"], p99_us=figures["last_p99_us"],
        )

    def _publish(self, seconds: int, size: int, events: int) -> dict:
        print(seconds, size, events, file=self._process.stdin, flush=True)
        figures = self._answer()
        if missing := figures["missing"]:
            raise LoadError(f"{self._server.name}: {missing} of {self._clients} clients miss one "
                            f"of {figures['events']} events")
        return figures

    def _answer(self) -> dict:
        line = self._process.stdout.readline()
        if not line:
            words = self._process.stderr.read().strip()
            raise LoadError(f"load-events at {self._server.name}: {words}")
        return json.loads(line)


def web_socket(
    programs: Path, server: Server, core: int, path: str, connections: int, seconds: int,
    size: int, at_once: int,
) -> Sample:
    """Each connection sends messages of `size` bytes, so many at once, waits for their echoes, and
    so on. The latencies are those of a turn.

    Raises LoadError when an echo is not the same.
    """
    command = [
        programs / "load-ws", server.port, path, connections, seconds, size, at_once
    ]
    with Meter(server, core) as meter:
        figures, = _run(server, command, seconds)
    return meter.sample(
        figures["messages"], figures["seconds"],
        p50_us=figures["p50_us"], p99_us=figures["p99_us"],
    )


@dataclass(frozen=True)
class Times:
    """How long the answers for one path took, from the time when each was due."""

    path: str
    answers: int
    p50_us: int
    p99_us: int
    max_us: int


def steady(programs: Path, server: Server, seconds: int, rates: dict[str, int]) -> dict[str, Times]:
    """Asks for each path so many times a second, whether or not the answers keep up.

    Raises LoadError when any answer is not a 200.
    """
    streams = [f"{rate}:{path}" for path, rate in rates.items()]
    lines = _run(server, [programs / "load-rate", server.port, seconds, *streams], seconds)
    return {line["path"]: Times(**line) for line in lines}


def _run(server: Server, command: list, seconds: int) -> list[dict]:
    done = subprocess.run(
        [str(argument) for argument in command], capture_output=True, text=True,
        timeout=seconds + _SLACK_S,
    )
    server.check_alive()
    if done.returncode != 0:
        raise LoadError(f"{command[0].name} at {server.name}: {done.stderr.strip()}")
    return [json.loads(line) for line in done.stdout.splitlines()]
