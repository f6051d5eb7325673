"""The web server of number 8 wire: a few functions, an address, a port, and a loop that nothing ends but you.

>>> from number8.wire import Server
>>> server = Server("", 8080)
>>> @server.get("/")
... def hello(request):
...     return "Hello, world."
>>> server.serve()  # doctest: +SKIP
Listening to :8080
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable
from typing import Any

import number8
from number8 import _lifetime
from number8._decorators import Decorators, Handler, methods_of

__all__ = ["Server"]


class Server(Decorators):
    """Answers with functions at an address, which may be a name, and a port; an empty address is every one of this machine.

    Without functions it says "Hello, world." to everybody.
    """

    def __init__(self, address: str = "", port: int = 8080) -> None:
        self.address = address
        self._port = port
        self._setup: list[Callable[[number8.Server], Any]] = []
        self._serving: number8.Server | None = None

    @property
    def port(self) -> int:
        """The port; once it serves, the one that was found."""
        found = self._serving.port() if self._serving is not None and self._serving._is_running() else None
        return self._port if found is None else found

    def route(self, path: str, methods: Any = ("GET",)) -> Callable[[Handler], Handler]:
        """Has a function answer these methods of a path."""
        return self._method(path, methods_of(methods))

    def serve(self) -> None:
        """Serves until SIGINT, SIGTERM or ``close``; says where first."""
        serving = _Serving(self, self._setup, self._port, _numeric(self.address))
        try:
            _lifetime.wait(serving, ready=self._say_where)
        finally:
            serving.close()

    def _say_where(self) -> None:
        print(f"Listening to {self.address}:{self.port}", flush=True)

    def close(self) -> None:
        """Ends ``serve``, in whatever thread that is."""
        if self._serving is not None:
            self._serving.close()

    def _add_handler(self, path: str, methods: tuple[str, ...], function: Callable[..., Any]) -> None:
        self._setup.append(lambda serving: serving._add_handler(path, methods, function))

    def _add_websocket(self, path: str, function: Callable[..., Any]) -> None:
        self._setup.append(lambda serving: serving._add_websocket(path, function))

    def _add_error(self, status: int, function: Callable[..., Any]) -> None:
        self._setup.append(lambda serving: serving._add_error(status, function))

    def _add_after(self, function: Callable[..., Any]) -> None:
        self._setup.append(lambda serving: serving._add_after(function))

    def _add_before(self, function: Callable[..., Any]) -> None:
        self._setup.append(lambda serving: serving._add_before(function))


class _Serving(number8.Server):
    """What serves, with all functions from its first request on."""

    def __init__(self, of: Server, setup: list[Callable[[number8.Server], Any]], port: int, bind: str) -> None:
        self._of: Server | None = of
        self._setup = setup
        super().__init__(port, bind=bind)

    def _set_up(self) -> None:
        if self._of is not None:
            # Its first request may close it.
            self._of._serving, self._of = self, None
        if not self._setup:
            self.get("/{*path}")(_hello)
            self.get("/")(_hello)
        for add in self._setup:
            add(self)


def _hello(request: number8.Request, **_: str) -> tuple[str, int, dict[str, str]]:
    return "Hello, world.", 200, {"Content-Type": "text/plain"}


def _numeric(address: str) -> str:
    """The first address of a name."""
    if not address or address == "localhost":
        return address
    try:
        return str(ipaddress.ip_address(address))
    except ValueError:
        return str(socket.getaddrinfo(address, None, type=socket.SOCK_STREAM)[0][4][0])
