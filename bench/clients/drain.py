#!/usr/bin/env python3
"""Stops a server with SIGTERM under load and looks whether any request was cut.

Some clients keep their connection, some make one for each request, and some are in the middle
of a download (--download) when the signal comes. Every request has to end in one of two ways: a
whole answer, or the connection closed before any byte of one. A connection that was never
accepted may also be reset. Exit code 1 when a request was cut, when the server takes longer than
its grace, or when it ends with anything but 0.
"""

import argparse
import collections
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from harness.requests import Answer, exchange, read_answer, request  # noqa: E402

TIMEOUT_S = 30
START_LIMIT_S = 20

WHOLE = "whole answers"
CLOSED = "closed before any byte of an answer"
NOT_ACCEPTED = "reset or refused before they were accepted"
RESET = "RESET on a connection that had been accepted"
CUT = "CUT in the middle of an answer"
WRONG = "WRONG answers"
SILENT = "WITHOUT an answer in time"
BROKEN = (RESET, CUT, WRONG, SILENT)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        usage="%(prog)s [options] PORT (--pid PID | -- COMMAND ...)",
    )
    parser.add_argument("port", type=int, help="of the server on 127.0.0.1")
    parser.add_argument("--pid", type=int, help="of a running server; its exit code stays unknown")
    parser.add_argument("--path", default="", help="a file; default /")
    parser.add_argument("--keep", type=int, default=16, metavar="N", help="clients that keep alive")
    parser.add_argument(
        "--fresh", type=int, default=16, metavar="N", help="clients that connect for each request"
    )
    parser.add_argument(
        "--download", metavar="PATH", help="a file too large for the sockets' buffers"
    )
    parser.add_argument("--downloads", type=int, default=8, metavar="N", help="clients of that")
    parser.add_argument(
        "--seconds", type=float, default=2, help="of load before the signal; default 2"
    )
    parser.add_argument("--grace", type=float, default=10, help="seconds to end in; default 10")
    # argparse cannot have options between the port and a command of any length.
    given = sys.argv[1:]
    split = given.index("--") if "--" in given else len(given)
    options = parser.parse_args(given[:split])
    options.command = given[split + 1:]
    if bool(options.command) == (options.pid is not None):
        parser.error("give either --pid PID or a command")
    return options


class Load:
    """The clients and what became of their requests."""

    def __init__(self, options: argparse.Namespace):
        self._port = options.port
        self._head = request(options.port, options.path)
        self._expected = exchange(options.port, self._head)
        self._outcomes = collections.Counter()
        self._lock = threading.Lock()
        self.signalled = threading.Event()
        self.ended = threading.Event()
        self._begun = threading.Semaphore(0)
        self._downloads = 0 if options.download is None else options.downloads
        if self._downloads:
            self._large_head = request(options.port, options.download)
            self._large = exchange(options.port, self._large_head)
        clients = [self._keep] * options.keep + [self._fresh] * options.fresh
        clients += [self._download] * self._downloads
        self._threads = [threading.Thread(target=client, daemon=True) for client in clients]

    def start(self):
        """Returns when every download has begun."""
        for thread in self._threads:
            thread.start()
        for _ in range(self._downloads):
            if not self._begun.acquire(timeout=TIMEOUT_S):
                raise TimeoutError("the downloads do not begin")

    def finish(self) -> collections.Counter:
        self.ended.set()
        for thread in self._threads:
            thread.join(2 * TIMEOUT_S)
        return self._outcomes

    def _keep(self):
        """A new connection only when the server has closed the old one."""
        while not self.ended.is_set() and (connection := self._connect()):
            with connection:
                accepted = False
                while self._ask(connection, accepted) and not self.ended.is_set():
                    accepted = True

    def _fresh(self):
        while not self.ended.is_set() and (connection := self._connect()):
            with connection:
                self._ask(connection, accepted=False)

    def _download(self):
        """Reads nothing until the signal, then everything."""
        if connection := self._connect():
            with connection:
                connection.sendall(self._large_head)
                connection.recv(1, socket.MSG_PEEK)
                self._begun.release()
                self.signalled.wait()
                self._read(connection, self._large, accepted=True)

    def _connect(self) -> socket.socket | None:
        try:
            return socket.create_connection(("127.0.0.1", self._port), timeout=TIMEOUT_S)
        except OSError:
            self._count(NOT_ACCEPTED)
            return None

    def _ask(self, connection: socket.socket, accepted: bool) -> bool:
        """One request; true when its answer came and another may follow."""
        try:
            connection.sendall(self._head)
        except OSError:
            # The connection was closed already: this request never reached the server.
            self._count(CLOSED)
            return False
        return self._read(connection, self._expected, accepted)

    def _read(self, connection: socket.socket, expected: Answer, accepted: bool) -> bool:
        try:
            begun = connection.recv(1, socket.MSG_PEEK)
        except TimeoutError:
            self._count(SILENT)
            return False
        except OSError:
            self._count(RESET if accepted else NOT_ACCEPTED)
            return False
        if not begun:
            self._count(CLOSED)
            return False
        try:
            with connection.makefile("rb") as stream:
                answer = read_answer(stream)
        except OSError:
            self._count(CUT)
            return False
        right = (answer.status, answer.body) == (expected.status, expected.body)
        self._count(WHOLE if right else WRONG)
        return right and answer.fields.get("connection", "").lower() != "close"

    def _count(self, outcome: str):
        with self._lock:
            self._outcomes[outcome] += 1


def main() -> int:
    options = arguments()
    child = start(options) if options.command else None
    pid = child.pid if child else options.pid
    try:
        load = Load(options)
        load.start()
        time.sleep(options.seconds)
        os.kill(pid, signal.SIGTERM)
        signalled = time.monotonic()
        load.signalled.set()
        code = await_end(pid, child, options.grace)
        took = time.monotonic() - signalled
        outcomes = load.finish()
    finally:
        if child and child.poll() is None:
            child.kill()
            child.wait()

    for outcome, count in outcomes.most_common():
        print(f"{count:8} {outcome}")
    failed = any(outcomes[outcome] for outcome in BROKEN)
    if code is None:
        print(f"the server still runs {took:.1f} s after the signal")
        failed = True
    else:
        known = f"with exit code {code}" if child else "(exit code unknown: not our child)"
        print(f"the server ended {took:.2f} s after the signal {known}")
        failed = failed or code != 0
    print("FAILED" if failed else "no accepted request was cut")
    return 1 if failed else 0


def start(options: argparse.Namespace) -> subprocess.Popen:
    """Starts the server and waits until it listens."""
    child = subprocess.Popen(options.command, stdin=subprocess.DEVNULL)
    deadline = time.monotonic() + START_LIMIT_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", options.port), timeout=1).close()
            return child
        except ConnectionRefusedError:
            if child.poll() is not None or time.monotonic() > deadline:
                child.kill()
                sys.exit(f"the server does not listen on {options.port}")
            time.sleep(0.01)


def await_end(pid: int, child: subprocess.Popen | None, limit_s: float) -> int | None:
    """The exit code, 0 where it cannot be known, None when the process has not ended in time."""
    if child:
        try:
            return child.wait(limit_s)
        except subprocess.TimeoutExpired:
            return None
    deadline = time.monotonic() + limit_s
    while Path(f"/proc/{pid}").exists():
        if time.monotonic() > deadline:
            return None
        time.sleep(0.01)
    return 0


if __name__ == "__main__":
    sys.exit(main())
