"""How long servers live: until a signal where the script has ended before, and never in a forked child."""

from __future__ import annotations

import atexit
import builtins
import concurrent.futures.thread  # It registers; see the end.
import os
import signal
import sys
import threading
import time
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from number8 import _leaving, _signals

if TYPE_CHECKING:
    from number8._server import Server

#: Servers that may be running.
live: weakref.WeakSet[Server] = weakref.WeakSet()

#: Those who wait for servers to end.
_waiting: set[_signals.News] = set()

#: Those on which callbacks run.
threads: weakref.WeakSet[threading.Thread] = weakref.WeakSet()

#: Seconds that callbacks have to end, as the server gives them.
_GRACE = 3.0

#: Whether a signal has ended a wait: somebody wants the process to end.
_was_stopped = False

#: Exceptions that somebody has seen who typed: they did not end the script.
_seen: list[object] = [None]

#: Threads end before the interpreter does where it can be told to end servers before it waits for threads.
_register = getattr(threading, "_register_atexit", None)
threads_are_daemons = _register is None


def note_change() -> None:
    """A server has been closed."""
    for waiting in list(_waiting):
        waiting.tell()


def note_seen() -> None:
    """The last exception was shown to somebody who types."""
    _seen[0] = getattr(sys, "last_value", None)


def _is_interactive() -> bool:
    return hasattr(sys, "ps1") or bool(sys.flags.interactive) or hasattr(builtins, "__IPYTHON__")


def _has_failed() -> bool:
    last = getattr(sys, "last_value", None)
    return last is not None and last is not _seen[0]


def _at_end() -> None:
    """The main module has ended: goes on as long as servers do, unless somebody sits at a prompt or has called sys.exit."""
    try:
        if not _is_interactive() and not _has_failed() and not _leaving.is_exiting():
            wait(*live)
    finally:
        until = time.monotonic() + _GRACE
        servers = list(live)
        for server in servers:
            server._stop()
        for server in servers:
            server.close()
        waiting = sys.modules["number8._async"].stop() if "number8._async" in sys.modules else []
        until = max(until, time.monotonic() + 1.0)
        is_wanted = _was_stopped or _leaving.is_exiting()
        for thread in [*threads, *waiting]:
            thread.join(max(until - time.monotonic(), 0.0) if is_wanted else None)
            if thread.is_alive():
                # A callback, or what a coroutine has called in a thread, does not return, and the interpreter would wait for it.
                _leaving.leave(_leaving.code())


def wait(*servers: Server, ready: Callable[[], None] = lambda: None) -> None:
    """Goes on as long as one of these servers runs, and, in the main thread, until SIGINT or SIGTERM; calls ``ready`` when
    these are expected."""
    global _was_stopped
    stopped = False

    def stop(*_: Any) -> None:
        nonlocal stopped
        stopped = True

    watched = [weakref.ref(server) for server in servers]
    del servers
    usual = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
    before = {}
    news = _signals.News()
    _waiting.add(news)
    try:
        if threading.current_thread() is threading.main_thread():
            for number, handler in usual.items():
                # A handler of the script's own stays.
                if signal.getsignal(number) == handler:
                    before[number] = signal.signal(number, stop)
        _signals.note(before)
        ready()
        while not stopped and any(_runs(server()) for server in watched):
            news.wait()
    except (KeyboardInterrupt, SystemExit):
        stopped = True
    finally:
        _was_stopped |= stopped
        _waiting.discard(news)
        _signals.forget()
        for number, handler in before.items():
            signal.signal(number, handler)
        news.close()


def _runs(server: Server | None) -> bool:
    return server is not None and server._is_running()


def _after_fork() -> None:
    # They are not in this process; but for one that has forked, and nobody can wait for oneself.
    threads.clear()
    _waiting.clear()
    if "number8._async" in sys.modules:
        sys.modules["number8._async"].forget()
    for server in list(live):
        for descriptor in server._descriptors():
            os.close(descriptor)


# Who registers first is told last, and where the script has ended nobody can register any more. Executors have, by the import above: so
# coroutines have their threads as long as there are servers, and those end after these.
(_register or atexit.register)(_at_end)
_leaving.note_exits()
os.register_at_fork(after_in_child=_after_fork)
