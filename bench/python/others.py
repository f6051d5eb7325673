#!/usr/bin/env python3
"""What requests that take long, and clients that read slowly, do to all others of a WSGI app: `number8 app` with Python threads.

    target/bench-python/bin/python bench/python/others.py [--seconds 10]

Prints how long the others waited, and ends with 1 where their 99th percentile is 20 ms or more. It is about waiting, not about CPU time,
so it needs a machine with some of that to spare. Any Python does that has the package.
"""

import argparse
import contextlib
import pathlib
import re
import resource
import socket
import statistics
import subprocess
import sys
import threading
import time

SLEEP = 0.1
P99_MAX = 0.02
DEADLINE = 60
# Both fewer than threads: more waits than there are threads for would have to wait for each other.
SLEEPING, OTHERS = 6, 4


def app(environ, start_response):
    """Says hello; for /sleep it takes its time, for /large it has much to say, and /threads is how many of Python's there are."""
    path = environ["PATH_INFO"]
    if path == "/sleep":
        time.sleep(SLEEP)
    start_response("200 OK", [("Content-Type", "text/plain")])
    if path == "/large":
        return (b"8" * 65536 for _ in range(1024))
    return [str(threading.active_count()).encode() if path == "/threads" else b"hello"]


class Client:
    """A connection that asks again and again."""

    def __init__(self, port):
        self._socket = socket.create_connection(("127.0.0.1", port), DEADLINE)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)

    def ask(self, path):
        """The content of the answer."""
        self._socket.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        answer = b""
        while not (found := re.fullmatch(rb"HTTP/1.1 200 .*?Content-Length: (\d+)\r\n.*?\r\n\r\n(.*)", answer, re.DOTALL)) or len(
            found[2]
        ) < int(found[1]):
            data = self._socket.recv(65536)
            if not data:
                raise OSError(f"the server has ended the connection after {answer!r}")
            answer += data
        return found[2]

    def close(self):
        self._socket.close()


@contextlib.contextmanager
def served(threads):
    """The port of a server with so many threads."""
    here = pathlib.Path(__file__)
    command = ["-m", "number8", "app", f"{here.stem}:app", "--app-dir", here.parent, "--bind", "127.0.0.1:0"]
    process = subprocess.Popen(
        [sys.executable, *command, "--threads", str(threads), "--log", "off"], stderr=subprocess.PIPE, text=True
    )
    try:
        for line in process.stderr:
            if found := re.search(r"http://127\.0\.0\.1:(\d+)/", line):
                yield int(found[1])
                break
        else:
            raise SystemExit("the server does not start: see above")
    finally:
        process.terminate()
        process.communicate()


@contextlib.contextmanager
def meanwhile(*functions):
    """Calls each function again and again, in a thread of its own."""
    is_over = threading.Event()

    def again(function):
        while not is_over.is_set():
            function()

    threads = [threading.Thread(target=again, args=(function,), daemon=True) for function in functions]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        is_over.set()
        for thread in threads:
            thread.join()


def waits(port, seconds):
    """How long each answer took to those who ask for a while."""
    times = []

    def ask():
        client = Client(port)
        end = time.monotonic() + seconds
        while (began := time.monotonic()) < end:
            client.ask("/")
            times.append(time.monotonic() - began)
        client.close()

    threads = [threading.Thread(target=ask) for _ in range(OTHERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return times


def report(what, times):
    """Prints what came of it; whether that is good enough."""
    cuts = statistics.quantiles(times, n=100)
    p50, p99 = cuts[49], cuts[98]
    print(f"{what}; {len(times):,} answers to others, p50 {p50 * 1e3:.1f} ms, p99 {p99 * 1e3:.1f} ms, longest {max(times) * 1e3:.1f} ms")
    return p99 < P99_MAX


def sleeping(seconds):
    """Requests that take long, fewer than there are threads."""
    with served(8) as port, contextlib.ExitStack() as stack:
        clients = [stack.enter_context(contextlib.closing(Client(port))) for _ in range(SLEEPING)]
        stack.enter_context(meanwhile(*(lambda client=client: client.ask("/sleep") for client in clients)))
        return report(f"8 threads, requests at a time that take {SLEEP * 1e3:.0f} ms: {SLEEPING}", waits(port, seconds))


def reading(count, seconds):
    """Clients that read a byte a second, of a server with one thread: held by one of them, it would answer nobody else."""
    with served(1) as port, contextlib.ExitStack() as stack:
        slow = [stack.enter_context(socket.socket()) for _ in range(count)]
        for client in slow:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.settimeout(DEADLINE)
            client.connect(("127.0.0.1", port))
            client.sendall(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
        read = [0]

        def one_byte_each():
            began = time.monotonic()
            for client in slow:
                read[0] += len(client.recv(1))
            time.sleep(max(0.0, began + 1 - time.monotonic()))

        stack.enter_context(meanwhile(one_byte_each))
        times = waits(port, seconds)
        client = stack.enter_context(contextlib.closing(Client(port)))
        threads = client.ask("/threads").decode()
        what = f"1 thread, clients that read 1 byte/s: {count:,} ({read[0]:,} bytes so far, Python's threads: {threads})"
        return report(what, times)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=float, default=10, help="of each measurement; default 10")
    seconds = parser.parse_args().seconds
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    return 0 if all([sleeping(seconds), reading(1, seconds), reading(1000, seconds)]) else 1


if __name__ == "__main__":
    sys.exit(main())
