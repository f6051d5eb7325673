"""How a process ends that somebody would hold: by sys.exit, where threads do not end, and where some still serve."""

from __future__ import annotations

import atexit
import os
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, NoReturn

from number8 import _native

if TYPE_CHECKING:
    from collections.abc import Callable

#: Threads that wait for those of an application for which nobody else waits any more.
_waiting: list[threading.Thread] = []

#: What sys.exit was called with, by the main thread, if nobody has caught it.
_noted: list[object] = []

#: The servers of other threads than the main one, by thread.
_beside: dict[int, Beside] = {}

#: Seconds that these have to end when the interpreter does.
_BESIDE_SECONDS = 2.0

_exit = sys.exit


class _Exit(SystemExit):
    """Ends the script, unless somebody catches it: when it is dropped, code of the script runs on."""

    def __del__(self) -> None:
        try:
            sys._getframe(1)
        except (AttributeError, ValueError):
            return
        _noted.clear()

    def __reduce__(self) -> tuple[Any, ...]:
        return SystemExit, self.args


# So it is shown, too.
_Exit.__name__ = _Exit.__qualname__ = SystemExit.__name__
_Exit.__module__ = SystemExit.__module__


def _noting_exit(status: Any = None, /) -> NoReturn:
    if threading.current_thread() is not threading.main_thread():
        _exit(status)
    _noted[:] = [status]
    raise _Exit(status)


def note_exits() -> None:
    """Has sys.exit note that it was called. Python itself tells nobody why the main module has ended."""
    if sys.exit is _exit:
        sys.exit = _noting_exit


def is_exiting() -> bool:
    """Whether sys.exit has ended the main module."""
    return bool(_noted)


def code() -> int:
    """The exit code of a script that has ended."""
    if _noted:
        status = _noted[0]
        return 0 if status is None else status if isinstance(status, int) else 1
    return 0 if getattr(sys, "last_value", None) is None else 1


def note_threads(waiting: list[threading.Thread]) -> None:
    """Has the process end although these wait for threads of an application, for which the interpreter would wait."""
    note_exits()
    _waiting.extend(waiting)
    # Before it waits for threads, where that can be had.
    (getattr(threading, "_register_atexit", None) or atexit.register)(leave_calls)


def leave_calls(exit_code: int | None = None) -> None:
    """Ends the process, if calls of an application go on that nobody waits for: Python would wait for their threads or, where these have
    frames that are not its own, fall over them."""
    atexit.unregister(leave_calls)
    if _native.calls_go_on() or any(thread.is_alive() for thread in _waiting):
        leave(code() if exit_code is None else exit_code)


class Beside:
    """A server that this thread runs, which is not the main one. It is stopped before the interpreter ends: that would end the thread, if
    it does not wait for it, within what is not Python's, and so the process by a crash."""

    def __init__(self) -> None:
        self.stop: Callable[[], object] | None = None
        self.ended = threading.Event()

    def __enter__(self) -> None:
        if not _beside:
            note_exits()
            atexit.unregister(_stop_beside)
            atexit.register(_stop_beside)
        _beside[threading.get_ident()] = self

    def __exit__(self, *_: object) -> None:
        _beside.pop(threading.get_ident(), None)
        self.ended.set()


def note_stop(stop: Callable[[], object]) -> None:
    """What stops the server of this thread at once, called from another one."""
    if beside := _beside.get(threading.get_ident()):
        beside.stop = stop


def _stop_beside() -> None:
    """The interpreter ends."""
    atexit.unregister(_stop_beside)
    until = time.monotonic() + _BESIDE_SECONDS
    servers = list(_beside.values())
    for server in servers:
        try:
            if server.stop is not None:
                server.stop()
        except RuntimeError:
            # Its loop has just been closed.
            pass
    if not all(server.ended.wait(max(until - time.monotonic(), 0.0)) for server in servers) or _native.calls_go_on():
        leave(code())


# In a forked child there are no such threads.
os.register_at_fork(after_in_child=_beside.clear)


def leave(code: int) -> NoReturn:
    """Ends the process although there are threads that do not end: the interpreter would wait for them, or fall over them."""
    # Among what is called here it would end the process with a code of its own.
    atexit.unregister(leave_calls)
    try:
        atexit._run_exitfuncs()
    finally:
        leave_at_once(code)


def leave_at_once(code: int) -> NoReturn:
    """Ends the process as it stands: what is to be done at its end is not done, either."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (AttributeError, OSError, ValueError):
            pass
    os._exit(code & 0xFF)
