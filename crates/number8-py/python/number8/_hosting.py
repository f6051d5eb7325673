"""Serving an application from a program of its own, as waitress.serve does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from number8 import _native


def serve(
    app: Callable[..., Any],
    *,
    bind: str = "127.0.0.1:8080",
    interface: str = "auto",
    threads: int = 1,
    max_body: int = 1 << 30,
    body_memory: int = 32 << 20,
    grace: float = 10.0,
) -> None:
    """Serves an application until SIGTERM or SIGINT ends it; a second one ends it at once.

    app: a WSGI application (PEP 3333).
    bind: where to listen: "127.0.0.1:8080", "localhost", ":8080" for every address of the machine, "unix:/path".
        Port 0 is any free one; standard error says which.
    interface: "wsgi", or "auto".
    threads: Python threads that call the application, started as they are needed. With 0 it is called in the thread
        that serves: the least work for each request, but while the application waits, nobody else is served.
    max_body: the largest content of a request, in bytes; a larger one is refused (413).
    body_memory: bytes of content that wait in memory, over all requests; what is beyond waits in temporary files.
    grace: seconds that requests may go on after the first signal.

    Raises ValueError for an argument that cannot be, and OSError where the address cannot be had.
    """
    if interface not in ("auto", "wsgi"):
        raise ValueError(f'interface={interface!r}: it is "auto" or "wsgi"')
    _native.serve(
        app,
        bind=bind,
        interface="wsgi",
        threads=threads,
        max_body=max_body,
        body_memory=body_memory,
        grace=grace,
    )
