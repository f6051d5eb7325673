"""Apps in a folder of their own, run by `number8 app`, and clients that miss nothing, for tests."""

import contextlib
import http.client
import pathlib
import tempfile
import threading
import time

from hosting import DEADLINE, running

APP = """
import os, time

VERSION = "one"

def app(environ, start_response):
    if environ["PATH_INFO"] == "/slow":
        time.sleep(0.2)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{os.getpid()} {VERSION}".encode()]
"""


@contextlib.contextmanager
def folder(**modules):
    """A folder with those modules; `shop` is an app that says its process and version."""
    with tempfile.TemporaryDirectory(prefix="number8-") as name:
        path = pathlib.Path(name)
        for module, code in {"shop": APP, **modules}.items():
            (path / f"{module}.py").write_text(code)
        yield path


def command(path, *arguments, **options):
    """`number8 app` with those arguments in that folder, at a free port."""
    return running(["-m", "number8", "app", "-b", "127.0.0.1:0", *arguments], cwd=path, **options)


def ask(port, path="/"):
    """Status and content of the answer to one request."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE)
    with contextlib.closing(connection):
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()


def process_of(port):
    """The process that answers a request."""
    return int(ask(port)[1].split()[0])


def until(what, found):
    """Waits for `found()` to be true, and returns it."""
    end = time.monotonic() + DEADLINE
    while time.monotonic() < end:
        if result := found():
            return result
        threading.Event().wait(0.01)
    raise AssertionError(f"{what} does not happen")


class Load:
    """Clients that ask again and again, some on a connection that they keep, some on a new one each time.

    A request is lost where there is no whole answer to it. One on a kept connection that the server has closed before
    any byte of an answer is sent again, as RFC 9112 has clients do. Once `stopping` is set, a connection that the server has
    never accepted ends its client, and is no loss.
    """

    def __init__(self, port, keep=2, fresh=2, path="/"):
        self._port, self._path = port, path
        self._ended = threading.Event()
        self.stopping = threading.Event()
        self._lock = threading.Lock()
        self.lost, self.answers = [], []
        clients = [self._keep] * keep + [self._fresh] * fresh
        self._threads = [threading.Thread(target=client, daemon=True) for client in clients]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        self.more(20)
        return self

    def __exit__(self, *_):
        self._ended.set()
        for thread in self._threads:
            thread.join(DEADLINE)

    def finish(self):
        """Waits until the server has turned every client away."""
        for thread in self._threads:
            thread.join(DEADLINE)

    def more(self, count):
        """Waits for so many more answers."""
        begun = len(self.answers)
        until("an answer", lambda: len(self.answers) >= begun + count or self.lost)

    def _keep(self):
        connection = self._connection()
        is_used = False
        while not self._ended.is_set():
            try:
                self._ask(connection)
                is_used = True
            except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError) as error:
                connection.close()
                if not is_used:
                    self._lose(error)
                    return
                connection, is_used = self._connection(), False
            except (OSError, http.client.HTTPException) as error:
                self._lose(error)
                return
        connection.close()

    def _fresh(self):
        while not self._ended.is_set():
            connection = self._connection()
            try:
                self._ask(connection)
            except (OSError, http.client.HTTPException) as error:
                self._lose(error)
                return
            finally:
                connection.close()

    def _connection(self):
        return http.client.HTTPConnection("127.0.0.1", self._port, timeout=DEADLINE)

    def _ask(self, connection):
        connection.request("GET", self._path)
        answer = connection.getresponse()
        content = answer.read().decode()
        if answer.status != 200:
            raise http.client.HTTPException(f"{answer.status}: {content}")
        with self._lock:
            self.answers.append(content)

    def _lose(self, error):
        was_not_accepted = isinstance(error, (ConnectionRefusedError, ConnectionResetError))
        if not (self.stopping.is_set() and was_not_accepted):
            with self._lock:
                self.lost.append(repr(error))
