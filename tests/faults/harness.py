"""What every fault needs: a server that has to live on, a look at how it is, and chance that can be had again."""

import contextlib
import os
import pathlib
import random
import socket
import struct
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "clients"))

import number8  # noqa: E402

DEADLINE = 60  # seconds until something has to be seen, on the busiest machine
number8.START_SECONDS = number8.STOP_SECONDS = DEADLINE

# How much of each test: a round is one kill, one cut, one client. `run.py --rounds` sets it.
ROUNDS = int(os.environ.get("FAULT_ROUNDS", "20"))
SEED = os.environ.get("FAULT_SEED", "8")
# Time-outs that end nothing here: what a client does has to be enough.
WAITS = [word for name in ("first", "head", "body", "idle", "write") for word in (f"--timeout-{name}", "1h")]
# What allocators keep for later; a leak of a request's buffers is past it within a hundred clients.
GROWTH_MAX = 24 << 20

HEALTH = b"GET /.number8/health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
# Closing a socket with this throws away what is not sent, and tells the other end by a reset.
RESET = struct.pack("ii", 1, 0)


def chance(test):
    """Randomness of one test, the same for the same seed, whichever other tests run."""
    return random.Random(f"{SEED} {test.id()}")


def until(what, holds):
    """Waits for what can be seen."""
    end = time.monotonic() + DEADLINE
    while not (seen := holds()):
        assert time.monotonic() < end, f"never: {what}"
        time.sleep(0.01)
    return seen


def connect(port, seconds=DEADLINE):
    return socket.create_connection(("127.0.0.1", port), seconds)


def rest(client):
    """What still comes, until the server closes or resets."""
    got = []
    with contextlib.suppress(ConnectionResetError, BrokenPipeError):
        while data := client.recv(1 << 16):
            got.append(data)
    return b"".join(got)


def await_bytes(client, wanted):
    """What comes until `wanted` is in it."""
    got = b""
    while wanted not in got:
        data = client.recv(1 << 16)
        if not data:
            raise ConnectionError(f"closed before {wanted}: {got[-300:]}")
        got += data
    return got


def ask(port, request):
    """The whole answer to one request that closes."""
    with connect(port) as client:
        client.sendall(request)
        return rest(client)


def reset(client):
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    client.close()


class Server(number8.Number8):
    """The command, which has to be well after each fault."""

    def healthy(self):
        self.lives()
        until("200 of the health check", lambda: ask(self.port, HEALTH).startswith(b"HTTP/1.1 200 "))

    def lives(self):
        code = self.process.poll()
        assert code is None, f"the server has ended with {code}: {self.words()}"

    def words(self):
        said = []
        while not self.said.empty():
            said.append(self.said.get())
        return "".join(said[-40:])

    def resident(self):
        with open(f"/proc/{self.process.pid}/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def open_files(self):
        """What its descriptors lead to. Threads with their polls start beside the first requests: those are no client's, nor are
        copies of one socket."""
        links = []
        for path in pathlib.Path(f"/proc/{self.process.pid}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):
                links.append(os.readlink(path))
        sockets = {link for link in links if link.startswith("socket:")}
        return sorted([link for link in links if link.startswith("/")]) + sorted(sockets)

    def descriptors(self):
        return len(self.open_files())

    def at_rest(self):
        """Descriptors and memory, to be compared by `settled` later."""
        self.healthy()
        return self.descriptors(), self.resident()

    def settled(self, before, growth_max=GROWTH_MAX):
        """The server is well, and has let go of every client."""
        descriptors, resident = before
        self.lives()
        try:
            until(f"{descriptors} descriptors again", lambda: self.descriptors() <= descriptors)
        except AssertionError as error:
            raise AssertionError(f"{error}: {self.open_files()}") from None
        until(f"{resident >> 10} KiB again, and {growth_max >> 10}", lambda: self.resident() <= resident + growth_max)
        self.healthy()


@contextlib.contextmanager
def mounted(*arguments):
    """A disk of its own, or None where this process may not mount one."""
    with tempfile.TemporaryDirectory(prefix="number8-disk-") as folder:
        done = subprocess.run(["mount", *arguments, folder], capture_output=True, text=True)
        if done.returncode:
            print(f"skipped: mount {' '.join(arguments)}: {done.stderr.strip()}")
            yield None
            return
        try:
            yield pathlib.Path(folder)
        finally:
            subprocess.run(["umount", "--lazy", folder], check=True)
