"""uhttpd's server."""

from __future__ import annotations

import os
import socket
import sys
import threading
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, Literal, overload
from urllib.parse import quote

from number8 import _lifetime, _native, _repl
from number8._decorators import Decorators, Handler, called_by_name, methods_of, plain
from number8._native import DELETE, GET, POST, Request
from number8._testing import TestClient

AUTH_OPEN = 0
AUTH_BASIC = 1
AUTH_CUSTOM = 2

Text = str | bytes
Callback = Callable[[Request], Any]

#: The verbs that ``route`` knows.
_VERBS = GET | POST | DELETE

#: Bytes that a callback may read of a request, unless ``max_body`` says otherwise.
MAX_BODY = 16 * 1024 * 1024


class _Unsaid(int):
    """A default, told from the same number where somebody gives it."""


class Server(_native.Core, Decorators):
    """A web server that runs beside the program: the constructor starts it.

    ``port`` 0 takes a free one. ``acl`` is ``AUTH_OPEN``, ``AUTH_BASIC`` (``auth`` is the whole value of Authorization) or
    ``AUTH_CUSTOM`` (``auth`` is called with each Request and says whether it is let in). With ``cors`` pages of every site may
    read all answers. ``routes`` is how many handlers there may be, or the handlers themselves as ``(url, methods,
    callback)``. ``events`` is how many may listen at once to what ``dispatch`` sends.

    ``bind`` says where to listen: by default at the loopback addresses alone, with ``""`` at all. ``root`` is the folder
    below which all files are, ``ext_root`` the external one. A callback may read ``max_body`` bytes of a request.
    ``tls`` names two files, of a certificate and of its key, in PEM: then it is served by https. With ``"self-signed"`` both are
    made here, for every name and address of this machine; ``/.number8/ca.crt`` is what devices install to trust them.
    ``hosts`` are names, beside those of this machine, by which pages of this server are reached, such as that of a proxy.
    """

    def __init__(
        self,
        port: int = 80,
        acl: int = AUTH_OPEN,
        cors: bool = False,
        routes: int | Iterable[Iterable[Any]] = _Unsaid(8),
        auth: Text | Callback | None = None,
        events: int = 0,
        *,
        bind: str | Iterable[str] | None = None,
        root: str | os.PathLike[str] = ".",
        ext_root: str | os.PathLike[str] | None = None,
        tls: tuple[str | os.PathLike[str], str | os.PathLike[str]] | Literal["self-signed"] | None = None,
        max_body: int = MAX_BODY,
        hosts: str | Iterable[str] = (),
    ) -> None:
        self._slots = _slots(routes)
        self._has_table = self._slots is None and not isinstance(routes, int)
        self._allow(acl, auth)
        if cors:
            self._share()
        if not isinstance(routes, int):
            for entry in routes:
                url, methods, callback = entry
                self._add_route(url, methods, callback)
        if events < 0:
            raise ValueError(f"events={events} is no number of listeners")
        self._listeners_max = events
        self._has_event = False
        self._root = os.path.abspath(root)
        # Pages under these names are our own.
        name = socket.gethostname()
        short = name.partition(".")[0]
        self._hosts = None if cors else [name, short, short + ".local", *([hosts] if isinstance(hosts, str) else hosts)]
        self._ext_root = None if ext_root is None else os.path.abspath(ext_root)
        if not isinstance(port, int):
            raise TypeError(f"port={port!r} is no number; an address goes to bind=")
        if not 0 <= port <= 65535:
            raise ValueError(f"port={port} is no port: it is a number from 0 to 65535")
        self._set_up()
        self._start(_addresses(bind), port, max_body, _start_thread, tls)
        _lifetime.live.add(self)

    def _set_up(self) -> None:
        """Adds what is there before the first request is."""

    def port(self) -> int | None:
        """The port that this server listens at."""
        return self._port()

    @overload
    def route(self, url: Text, methods: int, callback: Callback) -> None: ...
    @overload
    def route(self, url: Text, methods: int = GET, *, callback: Callback) -> None: ...
    @overload
    def route(self, url: Text, methods: str | Iterable[str] = ...) -> Callable[[Handler], Handler]: ...
    def route(self, url: Text, methods: Any = GET, callback: Callback | None = None) -> Any:
        """Has ``callback`` answer these verbs, a sum of ``GET``, ``POST`` and ``DELETE``, of ``url``, in which ``*`` stands
        for any text. Of routes that fit the first one answers.

        Without ``callback`` it is a decorator, as ``get`` is, for the methods of this name or these names."""
        if callback is None and methods is GET:
            methods = "GET"
        if callback is None and not isinstance(methods, int):
            return self._method(_text("url", url), methods_of(methods))
        if self._has_table:
            raise RuntimeError("the constructor was given all routes: route() cannot add to them")
        self._add_route(url, methods, callback)

    def serve(self, prefix: Text = "", base: Text | None = None, dirs: bool = True, ext: bool = False) -> None:
        """Serves the files below ``root``: what follows ``prefix`` in a url, behind ``base``, is the path of a file. A path that
        ends with a slash is a folder: its names as JSON, if ``dirs`` says so. With ``ext`` files of ``ext_root`` come
        first."""
        place, below = _prefix("prefix", prefix), _prefix("base", "" if base is None else base)
        over = self._ext_root if ext else None
        for folder in self._root, over:
            if folder is not None:
                # Says which one is missing.
                os.stat(folder)
        with self._taking(1):
            self._files(place, quote(below), below, self._root, over, dirs)

    def receive(
        self, dynamic: bool = True, prefix: Text | None = None, extonly: bool = False, delete: bool = False
    ) -> None:
        """Takes files by POST, and with ``delete`` removes them by DELETE. What follows ``prefix`` is the path below
        ``root``; where ``dynamic`` is false, ``prefix`` is the one place for all, and Content-Disposition names the file.
        With ``extonly`` nothing but ``ext_root`` is written to."""
        place = _prefix("prefix", "" if prefix is None else prefix)
        if not dynamic and not place:
            raise ValueError("receive(False) needs prefix=: the url that takes all files")
        os.stat(self._root)
        only = None
        if extonly:
            # A folder that is not there refuses all.
            only = self._ext_root or os.path.join(self._root, ".number8-no-ext_root")
        with self._taking(2 if delete else 1):
            self._uploads(place, self._root, only, delete and bool(dynamic), not dynamic, self._hosts)

    def event(self, url: Text) -> None:
        """Lets EventSource listen at ``url`` to what ``dispatch`` sends."""
        place = _place(url)
        if self._has_event:
            raise ValueError("there is one url for events already")
        self._event(place, self._listeners_max)
        self._has_event = True

    def dispatch(self, data: Text, event: Text | None = None) -> bool:
        """Sends ``data`` to all who listen, as an event of that name; says whether anybody does."""
        return self._dispatch(_text("data", data), None if event is None else _text("event", event))

    def file_acl(self, cb: Callable[[str], int]) -> None:
        """Has a function say what may be done with each file and folder: ``ACL_RO``, ``ACL_WO``, ``ACL_RW``, or a status from
        400 on that refuses. Anything else is 403."""
        self._file_acl(plain("file_acl", cb))

    def ws(self, url: Text, pwd: Text | None = None) -> None:
        """Opens the REPL of this interpreter at ``url``, for the clients of WebREPL, who also put and get files below
        ``root``. Without ``pwd`` it is for this machine alone. There is one REPL for all servers."""
        place = _place(url)
        password = None if pwd is None else _text("pwd", pwd)
        if password == "":
            raise ValueError("pwd='' is no password: None asks for none")
        with self._taking(1):
            _repl.take(self)
            try:
                self._ws(place, self._root, password)
            except BaseException:
                _repl.give_back(self)
                raise

    def close(self) -> None:
        """Stops: the port is free, callbacks that run have three seconds to end. Who is one of them does not wait for that."""
        self._close(not _runs_here(self))
        _repl.give_back(self)
        _lifetime.note_change()

    stop = close
    shutdown = close

    def test(self) -> TestClient:
        """A client for tests: it asks this server in memory, by no socket."""
        return TestClient(self)

    def __enter__(self) -> Server:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _add_handler(self, path: str, methods: tuple[str, ...], function: Callback) -> None:
        if not callable(function):
            raise TypeError(f"the handler of {path!r} cannot be called")
        call = called_by_name(path, function)
        with self._taking(len(methods)):
            self._handler(sum(getattr(_native, name) for name in methods), path, call)

    def _add_websocket(self, path: str, function: Callback) -> None:
        if not callable(function):
            raise TypeError(f"the function of {path!r} cannot be called")
        # Imported where there is a WebSocket: without, nobody needs asyncio.
        from number8._sockets import Talking

        with self._taking(1):
            self._talks(path, Talking(path, function), self._hosts)

    def _add_error(self, status: int, function: Callback) -> None:
        self._error(status, function)

    def _add_after(self, function: Callback) -> None:
        self._after(function)

    def _add_before(self, function: Callback) -> None:
        self._ask_first(False, function)

    def _allow(self, acl: int, auth: Any) -> None:
        if acl == AUTH_BASIC:
            if not isinstance(auth, (str, bytes, bytearray, memoryview)) or not auth:
                raise ValueError("acl=AUTH_BASIC needs auth=: the value of Authorization, such as b'Basic YW5zd2VyOjQy'")
            self._require(auth.encode() if isinstance(auth, str) else bytes(auth))
        elif acl == AUTH_CUSTOM:
            if not callable(auth):
                raise ValueError("acl=AUTH_CUSTOM needs auth=: a function that is called with each Request")
            self._ask_first(True, plain("acl=AUTH_CUSTOM", auth))
        elif acl != AUTH_OPEN:
            raise ValueError(f"acl={acl!r} is none of AUTH_OPEN, AUTH_BASIC and AUTH_CUSTOM")
        elif auth is not None:
            raise ValueError("auth= is for acl=AUTH_BASIC or acl=AUTH_CUSTOM: without it everybody is let in")

    def _add_route(self, url: Text, methods: int, callback: Callback | None) -> None:
        pattern = _text("url", url)
        if not pattern.startswith(("/", "*")):
            raise ValueError(f"the url {pattern!r} has to begin with a slash")
        if not isinstance(methods, int) or methods & ~_VERBS or not methods:
            raise ValueError(f"methods={methods!r} is no sum of GET, POST and DELETE")
        if not callable(callback):
            raise TypeError(f"the callback of {pattern!r} cannot be called")
        with self._taking(methods.bit_count()):
            self._route(methods, pattern, callback)

    def _taking(self, count: int) -> _Slots:
        return _Slots(self, count)


class _Slots:
    """Takes slots, which are given back where what they are for cannot be done (rows U6 and U10)."""

    def __init__(self, server: Server, count: int) -> None:
        self.server, self.count = server, count

    def __enter__(self) -> None:
        left = self.server._slots
        if left is not None and left < self.count:
            raise ValueError(f"there is no room for {self.count} more handlers: routes= says how many there may be")

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None and self.server._slots is not None:
            self.server._slots -= self.count


def _slots(routes: Any) -> int | None:
    """How many handlers there may be, but for OPTIONS, which takes the first place; None where nobody said."""
    if isinstance(routes, _Unsaid) or not isinstance(routes, int):
        return None
    if routes < 0:
        raise ValueError(f"routes={routes} is no number of handlers")
    return max(routes - 1, 0)


def _text(what: str, value: Any) -> str:
    """Text, also where it comes as bytes."""
    if isinstance(value, str):
        return value
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value).decode()
    raise TypeError(f"{what} has to be str or bytes, not {type(value).__name__}")


def _prefix(what: str, value: Any) -> str:
    """A place in urls or folders, without the slash at its end."""
    text = _text(what, value)
    if text and not text.startswith("/"):
        raise ValueError(f"{what}={text!r} has to begin with a slash")
    if "*" in text or ".." in text.split("/"):
        raise ValueError(f"{what}={text!r} may hold neither * nor ..")
    return text.rstrip("/")


def _place(url: Any) -> str:
    """One url."""
    text = _text("url", url)
    _prefix("url", text)
    if not text:
        raise ValueError("the url has to begin with a slash")
    return text


def _addresses(bind: str | Iterable[str] | None) -> list[str]:
    if bind is None:
        return ["localhost"]
    if isinstance(bind, str):
        return [bind]
    return list(bind)


def _runs_here(server: Server) -> bool:
    """Whether a coroutine or a WebSocket's function of that server may run on this thread; of its callbacks it knows itself."""
    thread = threading.current_thread()
    asynchronous = sys.modules.get("number8._async")
    if asynchronous is not None and thread is asynchronous._thread:
        return True
    talks_for = getattr(thread, "talks_for", None)
    return talks_for is not None and talks_for() is server


def _start_thread(run: Callable[[], None]) -> None:
    thread = threading.Thread(target=run, name="number8-callbacks", daemon=_lifetime.threads_are_daemons)
    _lifetime.threads.add(thread)
    thread.start()
