"""How a process ends that somebody would hold: by sys.exit, and where threads do not end."""

from __future__ import annotations

import atexit
import os
import sys
import threading
from typing import Any, NoReturn

from number8 import _native

#: Threads that wait for those of an application for which nobody else waits any more.
_waiting: list[threading.Thread] = []

#: What sys.exit was called with, by the main thread, if nobody has caught it.
_noted: list[object] = []

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


def leave(code: int) -> NoReturn:
    """Ends the process although there are threads that do not end: the interpreter would wait for them, or fall over them."""
    # Among what is called here it would end the process with a code of its own.
    atexit.unregister(leave_calls)
    try:
        atexit._run_exitfuncs()
    finally:
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except (AttributeError, OSError, ValueError):
                pass
        os._exit(code & 0xFF)
