"""Serving an application from a program of its own, as waitress.serve does."""

from __future__ import annotations

from number8 import _native

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from typing import Any, Literal


def serve(
    app: Callable[..., Any],
    *,
    bind: str = "127.0.0.1:8080",
    interface: str = "auto",
    threads: int = 1,
    loop: str = "auto",
    root_path: str = "",
    max_body: int = 1 << 30,
    body_memory: int = 32 << 20,
    keep_free: int = 64 << 20,
    grace: float = 10.0,
    tls: tuple[str | os.PathLike[str], str | os.PathLike[str]] | Literal["self-signed"] | None = None,
    max_message: int = 1 << 20,
    websocket_ping: float = 30.0,
) -> None:
    """Serves an application until SIGTERM or SIGINT ends it; a second one ends it at once.

    app: a WSGI application (PEP 3333), or one that speaks ASGI 3.
    bind: where to listen: "127.0.0.1:8080", "localhost", ":8080" for every address of the machine, "unix:/path".
        Port 0 is any free one; standard error says which.
    interface: "wsgi", "asgi", or "auto", which looks whether a call of the application is a coroutine.
    threads: Python threads that call a WSGI application, started as they are needed. With 0 it is called in the thread
        that serves: the least work for each request, but while the application waits, nobody else is served.
    loop: the event loop that an ASGI application runs in: "asyncio", "uvloop", or "auto", which is asyncio.
    root_path: the path below which the application is mounted and that a proxy takes off: an ASGI application reads it in
        its scopes, a WSGI application as SCRIPT_NAME.
    max_body: the largest content of a request, in bytes; a larger one is refused (413).
    body_memory: bytes of content that wait in memory for a WSGI application, over all requests; what is beyond waits in
        temporary files.
    keep_free: bytes that stay free on the disk with those files; what would take them is refused (507).
    grace: seconds that requests may go on after the first signal.
    tls: two files in PEM, a certificate with those that vouch for it and its key: then it is served by https. With
        "self-signed" both are made here, for every name and address of this machine; standard error says how devices
        come to trust them.
    max_message: the largest message that a WebSocket brings, in bytes; a larger one closes it with 1009.
    websocket_ping: seconds that the client of a WebSocket may be silent before it is asked whether it is there; after as
        much silence again it counts as gone. 0 is never.

    Raises TypeError for what is no application, ValueError for an argument that cannot be, and OSError where the address cannot be had.
    """
    if interface not in ("auto", "asgi", "wsgi"):
        raise ValueError(f'interface={interface!r}: it is "auto", "asgi" or "wsgi"')
    counts = {
        "threads": threads,
        "max_body": max_body,
        "body_memory": body_memory,
        "keep_free": keep_free,
        "max_message": max_message,
    }
    for name, count in counts.items():
        if count < 0:
            raise ValueError(f"{name}={count}: it is 0 or more")
    if not callable(app):
        raise TypeError(f"{app!r} cannot be called: serve() takes the application itself, number8 app takes its name")
    if interface != "wsgi":
        speaks = interface_of(app)
        interface = speaks if interface == "auto" else interface
    with beside():
        _native.serve(
            app,
            bind=bind,
            interface=interface,
            threads=threads,
            event_loop=loop,
            root_path=root_path,
            max_body=max_body,
            body_memory=body_memory,
            keep_free=keep_free,
            grace=grace,
            tls=tls,
            max_message=max_message,
            websocket_ping=websocket_ping,
        )


def beside() -> AbstractContextManager[None]:
    """What stands around a server, so that the end of the program is its end where another thread than the main one runs it."""
    import threading

    if threading.current_thread() is threading.main_thread():
        from contextlib import nullcontext

        return nullcontext()
    from number8 import _leaving

    return _leaving.Beside()


def interface_of(app: Callable[..., Any]) -> str:
    """Which interface an application speaks: "asgi" where a call of it is a coroutine, else "wsgi".

    Raises TypeError for one that speaks ASGI 2, which asks for its scope first and for the rest in a second call.
    """
    import functools

    function: Any = app
    while isinstance(function, functools.partial):
        function = function.func
    if isinstance(function, type):
        if hasattr(function, "__await__"):
            # Its objects are awaited: they are what a call of a coroutine function gives, too.
            return "asgi"
        if _is_asynchronous(getattr(function, "__call__", None)):
            raise TypeError(
                f"{app!r} speaks ASGI 2, which asks for the scope alone first; asgiref.compatibility makes ASGI 3 of it: "
                "guarantee_single_callable"
            )
        return "wsgi"
    if _is_asynchronous(function) or _is_asynchronous(getattr(function, "__call__", None)):
        return "asgi"
    return "wsgi"


def _is_asynchronous(function: Any) -> bool:
    """Whether a call gives a coroutine, as inspect.iscoroutinefunction says. Every process of an app asks, and inspect would take
    nearly 2 MiB in each of them.
    """
    seen = set()
    while hasattr(function, "__wrapped__") and id(function) not in seen:
        seen.add(id(function))
        function = function.__wrapped__
    function = getattr(function, "__func__", function)
    # inspect.CO_COROUTINE, and what inspect.markcoroutinefunction leaves.
    flags = getattr(getattr(function, "__code__", None), "co_flags", 0)
    return bool(flags & 0x80) or getattr(function, "_is_coroutine_mark", None) is not None
