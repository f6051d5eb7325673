"""Servers in processes of their own, for tests: each listens at a port that was free, and says which."""

import contextlib
import multiprocessing
import os
import pathlib
import re
import select
import signal
import subprocess
import sys
import threading
import time
import warnings

HERE = pathlib.Path(__file__).parent

# How long anything may take, on a machine that has other things to do.
DEADLINE = 30


class Server:
    """A server that runs; `port` is where."""

    def __init__(self, process, port, said=b""):
        self.process = process
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self._log = [said.decode(errors="replace")]
        self._said = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self.process.stderr:
            with self._said:
                self._log.append(line.decode(errors="replace"))
                self._said.notify_all()

    @property
    def log(self):
        """What the server has said so far."""
        with self._said:
            return "".join(self._log)

    def wait_for(self, text, times=1):
        """Waits until the server has said that, so many times."""
        with self._said:
            said = self._said.wait_for(lambda: "".join(self._log).count(text) >= times, DEADLINE)
        assert said, f"{text!r} is not in:\n{self.log}"

    def send(self, number):
        """Sends the process a signal."""
        self.process.send_signal(number)

    def stop(self, number=signal.SIGTERM):
        """Ends the server; returns its exit code. What it has said is whole then."""
        self.process.send_signal(number)
        return self.wait()

    def wait(self):
        code = self.process.wait(DEADLINE)
        self._reader.join(DEADLINE)
        return code


def ended_children(count=5):
    """The exit codes of forked children that are asked to end; to be called by an application."""
    codes = []
    with warnings.catch_warnings():
        # That there are threads.
        warnings.simplefilter("ignore")
        for _ in range(count):
            child = multiprocessing.get_context("fork").Process(target=signal.pause)
            child.start()
            child.terminate()
            child.join(DEADLINE / 3)
            codes.append(child.exitcode)
            child.kill()
    return codes


def address(process):
    """Reads standard error up to the line that says where the server listens; returns the port, and what was said so far."""
    said = b""
    until = time.monotonic() + DEADLINE
    stderr = process.stderr.fileno()
    while time.monotonic() < until:
        if not select.select([stderr], [], [], until - time.monotonic())[0]:
            break
        byte = os.read(stderr, 1)
        said += byte
        if found := re.search(rb"https?://\S+:(\d+)/[^\n]*\n$", said):
            return int(found[1]), said
        if not byte:
            break
    process.kill()
    process.communicate()
    raise AssertionError(f"the server has not said where it listens:\n{said.decode(errors='replace')}")


@contextlib.contextmanager
def running(arguments, flags=(), **options):
    """A process that runs a server, given as arguments for Python; it is ended after the block. `flags` are Python's own."""
    command = [sys.executable, "-X", "dev", "-W", "error", *flags, *map(str, arguments)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, cwd=options.pop("cwd", HERE), **options)
    server = Server(process, *address(process))
    try:
        yield server
    finally:
        if process.poll() is None:
            process.kill()
        server.wait()
        process.stderr.close()


def serving(app, flags=(), **arguments):
    """A server that hosts `module:name` of this folder by `number8.serve`, with those arguments."""
    given = {"bind": "127.0.0.1:0", **arguments}
    module, name = app.split(":")
    program = f"import number8, {module}; number8.serve({module}.{name}, **{given!r})"
    return running(["-c", program], flags)
