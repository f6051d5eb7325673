"""Coroutines of callbacks: they run on an event loop, on a thread of its own."""

from __future__ import annotations

import asyncio
import concurrent.futures
import functools
import logging
import threading
import weakref
from collections.abc import AsyncIterator, Awaitable, Coroutine
from typing import Any

from number8 import _native

_log = logging.getLogger("number8")

#: Threads that wait for clients in place of the loop, at most; asyncio alone would have six where there are two cores, and six slow
#: clients would hold up all others.
_WAITING_MAX = 1024
#: What such a thread is called, before its number.
_WAITING = "number8-waiting"
#: Where they are.
_executors: weakref.WeakSet[concurrent.futures.ThreadPoolExecutor] = weakref.WeakSet()

_loop: asyncio.AbstractEventLoop | None = None
_thread: threading.Thread | None = None
_starting = threading.Lock()
#: The interpreter ends, and cancels what runs.
_is_ending = False
#: What runs. The loop itself holds its tasks weakly: one that waits for what nothing else holds would go with the next collection of
#: garbage, and its request with it.
_begun: set[concurrent.futures.Future[None]] = set()
#: Loops of the processes that this one was forked from, and what ran on them.
_left: list[tuple[asyncio.AbstractEventLoop, set[concurrent.futures.Future[None]]]] = []


def executor(threads_max: int) -> concurrent.futures.ThreadPoolExecutor:
    """Threads that wait in place of the loop; they end with it."""
    made = concurrent.futures.ThreadPoolExecutor(threads_max, _WAITING)
    _executors.add(made)
    return made


def _running_loop() -> asyncio.AbstractEventLoop:
    """The loop; its thread begins with the first coroutine."""
    global _loop, _thread
    with _starting:
        if _loop is None:
            _loop = asyncio.new_event_loop()
            _loop.set_default_executor(executor(_WAITING_MAX))
            _thread = threading.Thread(target=_run, args=(_loop,), name="number8-async", daemon=True)
            _thread.start()
        return _loop


def _run(loop: asyncio.AbstractEventLoop) -> None:
    try:
        while True:
            try:
                return loop.run_forever()
            except BaseException as error:
                # A task of somebody's own raised SystemExit: no reason for the others to stop.
                _log.error("a task on the event loop failed", exc_info=error)
    finally:
        loop.close()


def answer(request: _native.Request, value: Awaitable[Any] | AsyncIterator[Any] | tuple[Any, ...]) -> None:
    """Answers with what a coroutine returns, or with what an async iterator gives, beside which status and headers may stand."""
    run(_answer(request, value))


def run(coroutine: Coroutine[Any, Any, None]) -> None:
    """Runs a coroutine that deals with its errors itself."""
    task = asyncio.run_coroutine_threadsafe(coroutine, _running_loop())
    _begun.add(task)
    task.add_done_callback(_begun.discard)


def run_and_wait(coroutine: Coroutine[Any, Any, None]) -> None:
    """Runs a coroutine; waits, on another thread than the loop's, until it has ended, or the interpreter does."""
    try:
        asyncio.run_coroutine_threadsafe(coroutine, _running_loop()).result()
    except concurrent.futures.CancelledError:
        if not _is_ending:
            raise


async def _answer(request: _native.Request, value: Any) -> None:
    try:
        if hasattr(value, "__await__"):
            value = await value
        parts = value if isinstance(value, tuple) and len(value) in (2, 3) else (value,)
        if hasattr(parts[0], "__aiter__"):
            await _stream(request, *parts)
        else:
            request._finish(value)
    except BaseException as error:
        if is_stopped(error):
            # The request ends, too.
            raise
        # SystemExit, too: raised here it would end the loop, and with it what others are waiting for.
        request._fail(error)


async def _stream(
    request: _native.Request, pieces: AsyncIterator[Any], status: Any = None, headers: dict[Any, Any] | None = None
) -> None:
    send = functools.partial(request.send_chunk, status=status, mime="text/html; charset=utf-8", headers=headers)
    try:
        async for piece in pieces:
            # A client that is slow holds up nobody else on the loop.
            await asyncio.to_thread(send, piece)
        await asyncio.to_thread(send, None)
    finally:
        close = getattr(pieces, "aclose", None)
        if close is not None:
            await close()


def is_stopped(error: BaseException) -> bool:
    """Whether an exception is but the end of the interpreter; a function may also be cancelled by what it calls."""
    return _is_ending and isinstance(error, asyncio.CancelledError)


async def _cancel_all() -> None:
    global _is_ending
    _is_ending = True
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def stop() -> list[threading.Thread]:
    """Ends the loop, and what runs on it: the interpreter ends. Returns the threads that wait in its place: those end that have nothing
    to wait for."""
    loop = _loop
    if loop is not None and loop.is_running():
        try:
            asyncio.run_coroutine_threadsafe(_cancel_all(), loop).result(timeout=1)
        except concurrent.futures.TimeoutError:
            pass
        loop.call_soon_threadsafe(loop.stop)
        if _thread is not None:
            # Unless something on it blocks: it is closed by the thread, not by the end of the interpreter, which would complain.
            _thread.join(timeout=1)
    for one in list(_executors):
        one.shutdown(wait=False, cancel_futures=True)
    return [thread for thread in threading.enumerate() if thread.name.startswith(_WAITING)]


def forget() -> None:
    """This process is a forked child: its parent has the loop's thread. The loop is left as it is, for it shares descriptors."""
    global _loop, _thread, _starting, _is_ending, _begun
    if _loop is not None:
        _left.append((_loop, _begun))
        _begun = set()
    _executors.clear()
    _loop, _thread, _starting, _is_ending = None, None, threading.Lock(), False
