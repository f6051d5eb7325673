"""Functions that talk to WebSockets, each on a thread of its own, or as a task on the event loop."""

from __future__ import annotations

import asyncio
import functools
import inspect
import logging
import threading
import weakref
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Executor
from typing import Any

from number8 import _async, _native
from number8._decorators import Placeholders, is_async

_log = logging.getLogger("number8")

#: The code that closes a WebSocket whose address fits no function, as 404 would have said.
_NOTHING = 4404


class AsyncWebSocket:
    """A WebSocket for coroutines."""

    def __init__(self, socket: _native.WebSocket, waiting: Executor) -> None:
        self._socket = socket
        self._waiting = waiting
        #: The wait for the next message, which outlives a task that is cancelled: what it comes to is for whoever asks next.
        self._message: asyncio.Future[str | bytes | None] | None = None
        self._is_awaited = False

    async def receive(self) -> str | bytes | None:
        """The next message; None when the client has closed. Where this is cancelled, the next call has the message."""
        if self._is_awaited:
            raise RuntimeError("another task waits for this WebSocket")
        if self._message is None:
            self._message = asyncio.get_running_loop().run_in_executor(self._waiting, self._socket.receive)
            self._message.add_done_callback(_note)
        message, self._is_awaited = self._message, True
        try:
            await asyncio.wait([message])
        finally:
            self._is_awaited = False
        self._message = None
        return message.result()

    async def send(self, data: str | bytes) -> None:
        """Sends a message; waits while the client is behind."""
        await asyncio.to_thread(self._socket.send, data)

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Closes, with a code and a reason."""
        self._socket.close(code, reason)

    async def __aiter__(self) -> AsyncIterator[str | bytes]:
        while (message := await self.receive()) is not None:
            yield message


def _note(message: asyncio.Future[str | bytes | None]) -> None:
    # Nobody may ask for it any more: an exception is not to be logged as one that was never retrieved.
    if not message.cancelled():
        message.exception()


class Talking:
    """A function that talks, and the placeholders of its path."""

    def __init__(self, path: str, function: Callable[..., Any]) -> None:
        self.function = function
        self.placeholders = Placeholders(path, function)
        self.is_async = is_async(function)
        #: A plain function around one: it may return the coroutine, or run it itself. Both are for an AsyncWebSocket.
        self.is_around_async = not self.is_async and is_async(inspect.unwrap(function))
        #: Where its WebSockets wait for messages, each in a thread: clients that are silent are to hold up nobody's `send`.
        self.waiting = _async.executor(_native.SOCKETS_MAX)


def begin(talking: Talking, request: _native.Request, socket: _native.WebSocket) -> None:
    """Has a function talk."""
    values = talking.placeholders.values(request)
    if values is None:
        socket.close(_NOTHING, "there is nothing at this address")
        return socket._end(False)
    function = functools.partial(talking.function, **values)
    if talking.is_async:
        _async.run(_talk_async(function, request, socket, talking.waiting))
    elif talking.is_around_async:
        _Talk(functools.partial(_talk_around, function, talking.waiting), request, socket).start()
    else:
        _Talk(function, request, socket).start()


def _talk_around(function: Callable[..., Any], waiting: Executor, request: _native.Request, socket: _native.WebSocket) -> None:
    returned = function(request, AsyncWebSocket(socket, waiting))
    if inspect.iscoroutine(returned):
        _async.run_and_wait(returned)


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


async def _talk_async(function: Callable[..., Any], request: _native.Request, socket: _native.WebSocket, waiting: Executor) -> None:
    has_failed = True
    try:
        await function(request, AsyncWebSocket(socket, waiting))
        has_failed = False
    except BaseException as error:
        if _async.is_stopped(error):
            raise
        _tell(error)
    finally:
        socket._end(has_failed)


def _tell(error: BaseException) -> None:
    # A client that leaves is no fault of the function.
    if not isinstance(error, _native.ClientGone):
        _log.error("a WebSocket's function failed", exc_info=error)
