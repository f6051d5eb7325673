"""The signals that servers take from Python, in processes that are forked meanwhile: there they are what they were before.

A child has the handlers of its parent, and the descriptor by which that learns of its signals: it would neither end by SIGTERM itself
nor leave its parent alone.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

#: For each server that has taken signals: their numbers, with the handlers that they have now and had before.
_taken: list[dict[int, tuple[Any, Any]]] = []

#: What a thread that forks has blocked before.
_forking = threading.local()


class News:
    """What one thread waits for: that somebody tells it to look again or, in the main thread, that a signal has come.

    The interpreter runs the handlers of signals between two of its instructions, and a signal ends its wait for a lock only where it comes
    to the main thread, during the wait. One that another thread gets, or that comes in the moment before, would not be heard: so signals are
    told of by a descriptor. Where clients have taken all of those, this looks every `LOOK` seconds.
    """

    LOOK = 0.5

    def __init__(self) -> None:
        self._told = threading.Event()
        self._ends: tuple[socket.socket, socket.socket] | None = None
        # Somebody else may read of signals already, and does not miss any.
        self._other = -1
        with contextlib.suppress(OSError):
            self._ends = socket.socketpair()
            self._ends[1].setblocking(False)
            self._other = self._wake(self._ends[1].fileno())

    def tell(self) -> None:
        """Ends the wait, or the next one."""
        if self._ends is None:
            return self._told.set()
        # Full, it ends as well; closed, nobody waits.
        with contextlib.suppress(OSError):
            self._ends[1].send(b"\0")

    def wait(self) -> None:
        """Returns when there is something new, or may be."""
        if self._ends is None:
            self._told.wait(self.LOOK)
            return self._told.clear()
        signals = self._ends[0].recv(4096).replace(b"\0", b"")
        if signals and self._other != -1:
            with contextlib.suppress(OSError):
                os.write(self._other, signals)

    def close(self) -> None:
        """Nobody waits any more."""
        if self._ends is None:
            return
        try:
            self._wake(self._other)
        except (OSError, ValueError):
            # It has been closed meanwhile. Ours is about to be, and its number may be somebody else's next.
            self._wake(-1)
        for end in self._ends:
            end.close()

    def _wake(self, descriptor: int) -> int:
        """Has this descriptor told of signals, in the main thread; returns the one that was before."""
        is_main = threading.current_thread() is threading.main_thread()
        return signal.set_wakeup_fd(descriptor, warn_on_full_buffer=False) if is_main else -1


def note(before: Mapping[signal.Signals, Any]) -> None:
    """A server has taken these signals; their handlers before are given, None for one that Python cannot have."""
    _taken.append({number: (signal.getsignal(number), handler) for number, handler in before.items()})


def forget() -> None:
    """Who has noted signals last has given them back."""
    if _taken:
        _taken.pop()


def _before_fork() -> None:
    # One that came to the child before it is itself would be its parent's.
    if numbers := {number for taken in _taken for number in taken}:
        _forking.blocked = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)


def _after_fork_in_child() -> None:
    if _taken:
        signal.set_wakeup_fd(-1)
    while _taken:
        for number, (handler, before) in _taken.pop().items():
            # What the application has put in its place stays.
            if signal.getsignal(number) is handler:
                signal.signal(number, signal.SIG_DFL if before is None else before)
    _after_fork()


def _after_fork() -> None:
    if (blocked := _forking.__dict__.pop("blocked", None)) is not None:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork_in_child)
