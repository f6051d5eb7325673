#!/usr/bin/env python3
"""Holds many useless connections to a server and measures a normal client beside them.

Four kinds of figures are printed before, while and after the connections are held: the latency
of the normal client, and the server's resident memory, open descriptors and (while nobody asks
for anything) its use of the CPU. Exit code 1 when the normal client is served too slowly or not
at all, when descriptors stay open afterwards, or when the server spins.
"""

import argparse
import sys
import time
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from harness import processes  # noqa: E402
from harness.held import Held, raise_descriptor_limit  # noqa: E402
from harness.requests import exchange, request  # noqa: E402
from harness.visitor import Latencies, visit  # noqa: E402

QUIET_S = 1.0
SPIN_SHARE = 0.5
CLOSING_LIMIT_S = 10.0
UNREAD_REQUESTS = 64
UNREAD_RECEIVE_BUFFER = 4096


@dataclass(frozen=True)
class Snapshot:
    latencies: Latencies
    resident_mib: float
    descriptors: int
    quiet_share: float

    def show(self, when: str):
        print(
            f"{when}: {self.latencies}; {self.resident_mib:.1f} MiB resident, "
            f"{self.descriptors} descriptors, {self.quiet_share:.0%} of a core while quiet",
            flush=True,
        )


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("port", type=int, help="of the server on 127.0.0.1")
    parser.add_argument("pid", type=int, help="of the server's first process")
    parser.add_argument("--path", default="", help="what the normal client asks for; default /")
    parser.add_argument(
        "--idle", type=int, default=0, metavar="N",
        help="connections that are kept open after one answered request",
    )
    parser.add_argument(
        "--half", type=int, default=0, metavar="N", help="connections that send half a request"
    )
    parser.add_argument(
        "--unread", type=int, default=0, metavar="N",
        help=f"connections that send {UNREAD_REQUESTS} requests and never read",
    )
    parser.add_argument(
        "--unread-path", metavar="PATH", help="what those ask for; default: as --path"
    )
    parser.add_argument(
        "--seconds", type=float, default=5, help="of the normal client in each phase; default 5"
    )
    parser.add_argument(
        "--limit-ms", type=float, default=50, help="for the 99th percentile; default 50"
    )
    parser.add_argument(
        "--may-refuse", action="store_true",
        help="held connections may be refused or closed, as by a server out of descriptors",
    )
    return parser.parse_args()


def main() -> int:
    options = arguments()
    raise_descriptor_limit()
    if options.unread_path is None:
        options.unread_path = options.path
    # What the server keeps open of the files belongs to the baseline.
    exchange(options.port, request(options.port, options.unread_path))
    before = snapshot(options)
    before.show("before")
    held = hold(options)
    while_held = snapshot(options)
    still_open = {kind: connections.still_open() for kind, connections in held.items()}
    while_held.show("while held")
    for kind, connections in held.items():
        count = len(connections.sockets) + connections.failed
        print(f"  {kind}: {still_open[kind]} of {count} still open, {connections.failed} failed")
        connections.close()
    back = await_descriptors(options.pid, before.descriptors)
    after = snapshot(options)
    after.show("after")

    failures = []
    for when, taken in (("before", before), ("while held", while_held), ("after", after)):
        if taken.latencies.p99_ms > options.limit_ms:
            failures.append(f"p99 {when} is over {options.limit_ms:g} ms")
        if taken.latencies.failed:
            failures.append(f"{taken.latencies.failed} requests failed {when}")
        if taken.quiet_share > SPIN_SHARE:
            failures.append(f"the server spins {when}")
    if not back:
        failures.append("descriptors stay open")
    if not options.may_refuse and any(connections.failed for connections in held.values()):
        failures.append("connections could not be held")
    for failure in failures:
        print(f"FAILED: {failure}")
    return 1 if failures else 0


def hold(options: argparse.Namespace) -> dict[str, Held]:
    whole = request(options.port, options.path)
    unread = request(options.port, options.unread_path) * UNREAD_REQUESTS
    half = whole.removesuffix(b"\r\n") + b"X-Half: "
    return {
        "half a request": Held(options.port, options.half, half),
        "never reading": Held(
            options.port, options.unread, unread, receive_buffer=UNREAD_RECEIVE_BUFFER
        ),
        "idle": Held(options.port, options.idle, whole, answered=True),
    }


def snapshot(options: argparse.Namespace) -> Snapshot:
    latencies = visit(options.port, options.path, options.seconds)
    before = processes.cpu_time(options.pid)
    time.sleep(QUIET_S)
    quiet = processes.cpu_time(options.pid) - before
    resident = processes.resident_bytes(options.pid) / (1 << 20)
    descriptors = processes.open_descriptors(options.pid)
    return Snapshot(latencies, resident, descriptors, quiet.total / QUIET_S)


def await_descriptors(pid: int, baseline: int) -> bool:
    """Whether no more than `baseline` descriptors are open before the limit."""
    deadline = time.monotonic() + CLOSING_LIMIT_S
    while processes.open_descriptors(pid) > baseline:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


if __name__ == "__main__":
    sys.exit(main())
