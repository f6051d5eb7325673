"""Starts the built command, or another server, on a free port, and makes a folder to serve."""

import os
import pathlib
import queue
import random
import re
import signal
import socket
import subprocess
import tempfile
import threading

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
BINARY = os.environ.get("NUMBER8_BIN", REPOSITORY / "target/debug/number8")
START_SECONDS = 60
STOP_SECONDS = 60
LONG_AGO = 1_600_000_000  # so that every file is old enough for a strong ETag

HELLO = b"hello, world\n"
BIG = random.Random(8).randbytes(3 << 20)
TEXT = b"".join(b"<p>Line %d of a text that compresses well.</p>\n" % n for n in range(2000))


class Running:
    """One running server. Leaving the `with` block stops it and checks that it ends as it should."""

    scheme = "http"

    def __init__(self, command, ends_with=0, cwd=None):
        self.name = pathlib.Path(command[0]).name
        self.ends_with = ends_with
        self.process = subprocess.Popen(
            command,
            cwd=cwd,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        late = threading.Timer(START_SECONDS, self.process.kill)
        late.start()
        self.url = self._printed_url()
        late.cancel()
        self.port = int(self.url.rsplit(":", 1)[1])
        # A full pipe would stop the server.
        self.said = queue.Queue()
        self.reader = threading.Thread(target=self._hear, daemon=True)
        self.reader.start()

    def _hear(self):
        with self.process.stdout:
            for line in self.process.stdout:
                self.said.put(line)

    def _printed_url(self):
        seen = []
        for line in self.process.stdout:
            seen.append(line)
            if url := re.search(self.scheme + r"://127\.0\.0\.1:\d+", line):
                return url[0]
        raise AssertionError(f"{self.name} printed no URL but: {''.join(seen)}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        self.reader.join()
        assert code == self.ends_with, f"{self.name} ended with {code}"

    def connect(self, seconds=10):
        return socket.create_connection(("127.0.0.1", self.port), timeout=seconds)

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))


class Number8(Running):
    """The command, serving a folder; run by way of another one where `through` names it."""

    def __init__(self, folder, *options, through=()):
        super().__init__([*through, BINARY, "--bind", "127.0.0.1", "--port", "0", *options, folder])


def environment():
    """Ours, without what would configure the server."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("NUMBER8_") and key != "PORT"}
    return kept | {"XDG_CONFIG_HOME": os.devnull}


def folder():
    """A temporary folder with `root/`, which is served, and what lies beside it."""
    temporary = tempfile.TemporaryDirectory(prefix="number8-")
    root = pathlib.Path(temporary.name) / "root"
    (root / "sub").mkdir(parents=True)
    (root / "plain").mkdir()
    files = {
        "index.html": b'<a href="hello.txt">hello</a> <a href="sub/">sub</a> <a href="big.bin">big</a>\n',
        "hello.txt": HELLO,
        "big.bin": BIG,
        "text.html": TEXT,
        "sub/index.html": b'<a href="page.html">page</a> <a href="../hello.txt">up</a>\n',
        "sub/page.html": b'<a href="./">back</a>\n',
        "plain/one.txt": b"one",
        "plain/two.txt": b"two two",
    }
    for name, content in files.items():
        (root / name).write_bytes(content)
        os.utime(root / name, (LONG_AGO, LONG_AGO))
    return temporary, root, files
