"""The server that one builds by hand on the way to understanding WSGI: an address, an application, and a loop.

>>> from number8.wsgi import make_server
>>> def app(environ, start_response):
...     start_response("200 OK", [("Content-Type", "text/plain")])
...     return [b"Hello, world."]
>>> server = make_server(("127.0.0.1", 8888), app)  # doctest: +SKIP
>>> server.serve_forever()  # doctest: +SKIP

``number8.serve`` does the same in one call, with more to choose.
"""

from __future__ import annotations

import socket

from number8 import _hosting, _native

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Any

__all__ = ["WSGIServer", "make_server"]


class WSGIServer:
    """Listens at an address and a port from the start, and has one application answer.

    server_address: the address, where an empty one is every IPv4 address of this machine, and the port; port 0 is any free one.

    Raises OSError where the address cannot be had.
    """

    #: AF_INET, or AF_INET6 in a class of your own.
    address_family: int = socket.AF_INET

    #: Connections that wait while nobody serves; the system may allow less.
    request_queue_size: int = 1024

    #: Python threads that call the application; with 0 it is called where requests are read, one after the other.
    threads: int = 1

    def __init__(self, server_address: tuple[str, int]) -> None:
        self.listen_socket = socket.create_server(
            server_address, family=self.address_family, backlog=self.request_queue_size
        )
        host, port = self.listen_socket.getsockname()[:2]
        #: Where it listens: the address, and the port that was found.
        self.server_name: str = host
        self.server_port: int = port
        self.application: Callable[..., Any] | None = None

    def set_app(self, application: Callable[..., Any]) -> None:
        """Has that application (PEP 3333) answer from the next call that serves on."""
        self.application = application

    def get_app(self) -> Callable[..., Any] | None:
        """The application that answers; None before there is one."""
        return self.application

    def serve_forever(self) -> None:
        """Serves until SIGTERM or SIGINT ends it, when the requests under way are answered; a second one ends it at once."""
        self._serve(None)

    def handle_one_request(self) -> None:
        """Waits for a request and returns when it is answered. Others that have reached the server by then are answered, too:
        none that was taken is lost. Connections that come later wait for the next call.

        Raises KeyboardInterrupt where a signal ends it before there is a request.
        """
        if not self._serve(1):
            raise KeyboardInterrupt

    def _serve(self, requests_max: int | None) -> bool:
        if self.application is None:
            raise RuntimeError("there is no application yet: set_app(application)")
        descriptor = self.listen_socket.fileno()
        with _hosting.beside():
            return _native.serve_at(self.application, descriptor, threads=self.threads, requests_max=requests_max)

    def server_close(self) -> None:
        """Listens no more."""
        self.listen_socket.close()

    def __enter__(self) -> WSGIServer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.server_close()


def make_server(server_address: tuple[str, int], application: Callable[..., Any]) -> WSGIServer:
    """A server at that address whose application is there already."""
    server = WSGIServer(server_address)
    server.set_app(application)
    return server
