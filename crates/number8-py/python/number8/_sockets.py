"""Functions that talk to WebSockets, each on a thread of its own, or as a task on the event loop."""

from __future__ import annotations

import asyncio
import inspect
import logging
import threading
import weakref
from collections.abc import AsyncIterator, Callable
from typing import Any

from number8 import _async, _native

_log = logging.getLogger("number8")


class AsyncWebSocket:
    """A WebSocket for coroutines."""

    def __init__(self, socket: _native.WebSocket) -> None:
        self._socket = socket

    async def receive(self) -> str | bytes | None:
        """The next message; None when the client has closed."""
        return await asyncio.to_thread(self._socket.receive)

    async def send(self, data: str | bytes) -> None:
        """Sends a message; waits while the client is behind."""
        await asyncio.to_thread(self._socket.send, data)

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Closes, with a code and a reason."""
        self._socket.close(code, reason)

    async def __aiter__(self) -> AsyncIterator[str | bytes]:
        while (message := await self.receive()) is not None:
            yield message


def begin(function: Callable[..., Any], request: _native.Request, socket: _native.WebSocket) -> None:
    """Has a function talk."""
    if inspect.iscoroutinefunction(inspect.unwrap(function)):
        _async.run(_talk_async(function, request, socket))
    else:
        _Talk(function, request, socket).start()


class _Talk(threading.Thread):
    """Where a function talks."""

    def __init__(self, function: Callable[..., Any], request: _native.Request, socket: _native.WebSocket) -> None:
        super().__init__(target=_talk, args=(function, request, socket), name="number8-websocket", daemon=True)
        #: The server, which does not wait for this thread when it is closed here.
        self.talks_for = weakref.ref(request.server())


def _talk(function: Callable[..., Any], request: _native.Request, socket: _native.WebSocket) -> None:
    has_failed = True
    try:
        function(request, socket)
        has_failed = False
    except BaseException as error:
        _tell(error)
    finally:
        socket._end(has_failed)


async def _talk_async(function: Callable[..., Any], request: _native.Request, socket: _native.WebSocket) -> None:
    has_failed = True
    try:
        await function(request, AsyncWebSocket(socket))
        has_failed = False
    except asyncio.CancelledError:
        raise
    except BaseException as error:
        _tell(error)
    finally:
        socket._end(has_failed)


def _tell(error: BaseException) -> None:
    # A client that leaves is no fault of the function.
    if not isinstance(error, _native.ClientGone):
        _log.error("a WebSocket's function failed", exc_info=error)
