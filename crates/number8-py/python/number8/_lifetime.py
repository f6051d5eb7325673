"""How long servers live: until a signal where the script has ended before, and never in a forked child."""

from __future__ import annotations

import atexit
import builtins
import os
import signal
import sys
import threading
import weakref
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from number8._server import Server

#: Servers that may be running.
live: weakref.WeakSet[Server] = weakref.WeakSet()

#: Something has changed that whoever waits for servers to end should look at.
_news = threading.Event()

#: Exceptions that somebody has seen who typed: they did not end the script.
_seen: list[object] = [None]

#: Threads end before the interpreter does where it can be told to end servers before it waits for threads.
_register = getattr(threading, "_register_atexit", None)
threads_are_daemons = _register is None


def note_change() -> None:
    """A server has been closed."""
    _news.set()


def note_seen() -> None:
    """The last exception was shown to somebody who types."""
    _seen[0] = getattr(sys, "last_value", None)


def _is_interactive() -> bool:
    return hasattr(sys, "ps1") or bool(sys.flags.interactive) or hasattr(builtins, "__IPYTHON__")


def _has_failed() -> bool:
    last = getattr(sys, "last_value", None)
    return last is not None and last is not _seen[0]


def _at_end() -> None:
    """The main module has ended: goes on as long as servers do, unless somebody sits at a prompt."""
    try:
        if not _is_interactive() and not _has_failed():
            _wait()
    finally:
        for server in list(live):
            server.close()


def _wait() -> None:
    stopped = False

    def stop(*_: Any) -> None:
        nonlocal stopped
        stopped = True
        _news.set()

    ours = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
    before = {}
    try:
        while not stopped and any(server._is_running() for server in live):
            for number, usual in ours.items():
                # A handler of the script's own stays.
                if number not in before and signal.getsignal(number) == usual:
                    before[number] = signal.signal(number, stop)
            _news.wait()
            _news.clear()
    except (KeyboardInterrupt, SystemExit):
        pass


def _after_fork() -> None:
    for server in list(live):
        for descriptor in server._descriptors():
            os.close(descriptor)


(_register or atexit.register)(_at_end)
os.register_at_fork(after_in_child=_after_fork)
