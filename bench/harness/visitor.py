"""A normal client: one request after the other, every second one on a new connection."""

import math
import socket
import time
from dataclasses import dataclass, field

from harness.requests import read_answer, request

_TIMEOUT_S = 5
_PAUSE_S = 0.001
"""Between requests, so that the visitor is not itself the load."""


@dataclass
class Latencies:
    """How long the answers took, with the connecting where there was one."""

    ms: list[float] = field(default_factory=list)
    failed: int = 0

    @property
    def p99_ms(self) -> float:
        return self._percentile(0.99)

    def __str__(self) -> str:
        return (
            f"{len(self.ms)} answers, {self.failed} failed, p50 {self._percentile(0.5):.2f} ms, "
            f"p99 {self.p99_ms:.2f} ms, slowest {self._percentile(1):.2f} ms"
        )

    def _percentile(self, share: float) -> float:
        """Infinite where nothing was answered."""
        if not self.ms:
            return math.inf
        return sorted(self.ms)[math.ceil(share * len(self.ms)) - 1]


def visit(port: int, path: str, seconds: float) -> Latencies:
    """Asks for `path` for so many `seconds`; any answer but a 200 counts as failed."""
    latencies = Latencies()
    head = request(port, path)
    kept = None
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        started = time.perf_counter()
        try:
            if kept is not None:
                connection, kept = kept, None
                with connection:
                    _ask(connection, head)
            else:
                kept = socket.create_connection(("127.0.0.1", port), timeout=_TIMEOUT_S)
                kept.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                _ask(kept, head)
        except OSError:
            latencies.failed += 1
            if kept is not None:
                kept.close()
                kept = None
        else:
            latencies.ms.append((time.perf_counter() - started) * 1000)
        time.sleep(_PAUSE_S)
    if kept is not None:
        kept.close()
    return latencies


def _ask(connection: socket.socket, head: bytes):
    connection.sendall(head)
    with connection.makefile("rb") as stream:
        answer = read_answer(stream)
    if answer.status != 200:
        raise ConnectionError(f"status {answer.status}")
