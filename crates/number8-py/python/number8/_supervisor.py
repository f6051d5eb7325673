"""Keeps the processes that run an app: starts them, replaces them, adds and takes away, and ends them.

The listening sockets are bound once, here, and inherited by every process, so that no connection is lost while one of them
is replaced: it waits in the kernel for whoever accepts next. The app itself is never imported here.
"""

from __future__ import annotations

import functools
import heapq
import itertools
import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from types import FrameType

from number8 import _native
from number8._native import Plan
from number8._reload import Watcher

# A process that ends this soon after it began to serve was of no use.
USEFUL = 1.0
# So many of those, one after the other, are enough, of an app of which none was ever of use.
FAILURES_MAX = 5
# Seconds before the next one is started after a failure; twice as long after each further one, of the first so many.
PAUSE, PAUSES_MAX = 0.1, 5
# Seconds that a process has to end after its requests have, before it is killed; after a second signal.
ENDING, ENDING_NOW = 10.0, 1.0
# Seconds before a process that has served enough is replaced again, where that has failed.
RETRY = 5.0
# Seconds before another try to start a process, where the system would not have one more.
AGAIN = 1.0
# Seconds between two looks at the code, and at the memory of the processes.
LOOK, LOOK_AT_MEMORY = 0.3, 1.0
# Seconds that are waited for at once: the system takes no more than 24 days, and a grace may be longer.
WAIT_MAX = 3600.0


class Process:
    """A process that runs the app."""

    def __init__(self, popen: subprocess.Popen[bytes], status: int, replaces: Process | None) -> None:
        self.popen = popen
        self.status = status
        # The one that is to end as soon as this one serves.
        self.replaces = replaces
        self.ready_at: float | None = None
        self.is_leaving = False
        # It has served as many requests as it was to, or has more memory than it may.
        self.is_worn = False
        # It had as much memory before it served a request: another one would be no better.
        self.is_large = False
        # Its log was to be opened again before it could be told.
        self.reopens = False
        self.heard = b""

    def signal(self, number: int) -> None:
        """Sends it a signal. It is there until it has been collected."""
        # Popen would collect it by itself.
        os.kill(self.popen.pid, number)

    def resident(self) -> int:
        """Bytes of memory that it has."""
        try:
            with open(f"/proc/{self.popen.pid}/statm", "rb") as file:
                return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        except (OSError, IndexError):
            # It has just ended.
            return 0


class Supervisor:
    """Runs ``plan`` until a signal ends it, or until it cannot go on."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._wanted = plan.workers
        self._processes: dict[int, Process] = {}
        self._code = 0
        self._is_stopping = False
        self._is_stopping_now = False
        self._has_served = False
        self._failures = 0
        # Whoever can make a process end once one was of use cannot have the app given up.
        self._was_useful = False
        # Those that are still to be replaced, one after the other.
        self._rolling: list[Process] = []
        # The one of them that has its successor coming.
        self._rolled: Process | None = None
        self._is_reloading = False
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._count = itertools.count()
        self._selector = selectors.DefaultSelector()
        self._watcher = Watcher(plan.folder) if plan.reloads else None

    def run(self) -> int:
        """Returns the exit code."""
        wakeups, woken = os.pipe()
        os.set_blocking(wakeups, False)
        os.set_blocking(woken, False)
        signal.set_wakeup_fd(woken, warn_on_full_buffer=False)
        for number in HANDLED:
            signal.signal(number, _noted)
        self._selector.register(wakeups, selectors.EVENT_READ)
        if self._watcher is not None:
            self._later(LOOK, self._look)
        if self._plan.rss_bytes_max is not None:
            self._later(LOOK_AT_MEMORY, self._look_at_memory)
        if self._plan.watchdog is not None:
            self._alive()
        self._fill()
        while self._processes or not self._is_stopping:
            self._turn(wakeups)
        return self._code

    def _turn(self, wakeups: int) -> None:
        """Waits for the next thing to happen, and does what it asks for."""
        now = time.monotonic()
        wait = None if not self._timers else min(max(0.0, self._timers[0][0] - now), WAIT_MAX)
        signals = b""
        for key, _ in self._selector.select(wait):
            if key.fd == wakeups:
                # A byte with the number of each.
                signals = os.read(wakeups, 4096)
            else:
                self._hear(key.data)
        for number in signals:
            HANDLED[number](self)
        while self._timers and self._timers[0][0] <= time.monotonic():
            heapq.heappop(self._timers)[2]()

    def _later(self, seconds: float, what: Callable[[], None]) -> None:
        heapq.heappush(self._timers, (time.monotonic() + seconds, next(self._count), what))

    # Processes

    def _places(self) -> list[Process]:
        """Those that count: neither leaving nor there to replace another."""
        return [one for one in self._processes.values() if not one.is_leaving and one.replaces is None]

    def _fill(self) -> None:
        """As many processes as are wanted."""
        if self._is_stopping:
            return
        places = self._places()
        for _ in range(self._wanted - len(places)):
            if not self._start():
                break
        self._trim()

    def _trim(self) -> None:
        """No more processes than are wanted."""
        if self._is_stopping:
            return
        for one in reversed(self._places()[self._wanted :]):
            self._end(one)

    def _start(self, replaces: Process | None = None) -> bool:
        """Starts a process, later where the system is short of something now; says whether it has."""
        try:
            self._spawn(replaces)
            return True
        except OSError as error:
            if self._has_served:
                say(f"a process of the app cannot be started, and is in a moment: {error}")
                self._later(AGAIN, self._fill if replaces is None else lambda: self._replace(replaces))
            else:
                say(f"no process of the app can be started: {error}")
                self._give_up()
            return False

    def _spawn(self, replaces: Process | None) -> None:
        ends: list[int] = []
        try:
            # What it tells us by; and what it is asked by, and answers in.
            for _ in range(3 if self._plan.has_metrics else 1):
                ends += os.pipe()
            status, told, *metrics = ends
            popen = self._popen([told, *metrics[:1], *metrics[3:]])
            if metrics:
                self._gather(popen, *metrics[1:3])
        except BaseException:
            for end in ends[:1]:
                os.close(end)
            raise
        finally:
            for end in ends[1:]:
                os.close(end)
        process = Process(popen, status, replaces)
        self._processes[popen.pid] = process
        self._selector.register(status, selectors.EVENT_READ, process)

    def _gather(self, popen: subprocess.Popen[bytes], ask: int, answers: int) -> None:
        try:
            self._plan.count(popen.pid, ask, answers)
        except OSError:
            # One that could not be asked is not to stay.
            popen.kill()
            popen.wait()
            raise

    def _popen(self, own: list[int]) -> subprocess.Popen[bytes]:
        descriptors = self._plan.descriptors
        # Compiled code is taken for that of a source whose second and size are the same: a change just after another would not be seen.
        unwritten = ["-B"] if self._plan.reloads else []
        command = [
            sys.executable,
            *subprocess._args_from_interpreter_flags(),  # type: ignore[attr-defined]
            *unwritten,
            *("-m", "number8._worker", ",".join(map(str, descriptors)), ",".join(map(str, own)), str(os.getpid())),
            *self._plan.arguments,
        ]
        environment = {name: value for name, value in os.environ.items() if name not in OURS}
        # A session of its own: Ctrl-C is for the supervisor to pass on, once.
        return subprocess.Popen(command, pass_fds=[*descriptors, *own], start_new_session=True, env=environment)

    def _end(self, process: Process) -> None:
        """Has it finish its requests, and kills it if it does not end after that."""
        process.is_leaving = True
        process.signal(signal.SIGTERM)
        self._kill_after(process, self._plan.grace + ENDING)

    def _kill_after(self, process: Process, seconds: float) -> None:
        def kill() -> None:
            if process.popen.returncode is None:
                say(f"process {process.popen.pid} of the app does not end and is killed")
                process.signal(signal.SIGKILL)

        self._later(seconds, kill)

    def _replace(self, process: Process) -> None:
        """Starts another one in its place, if that has not been done."""
        others = self._processes.values()
        is_there = process.popen.pid in self._processes and not process.is_leaving
        if is_there and not self._is_stopping and all(one.replaces is not process for one in others):
            self._start(process)

    def _hear(self, process: Process) -> None:
        data = os.read(process.status, 65536)
        if not data:
            self._selector.unregister(process.status)
            return
        *lines, process.heard = (process.heard + data).split(b"\n")
        for line in lines:
            word, _, rest = line.partition(b" ")
            if word == b"ready":
                self._ready(process)
            elif word == b"worn":
                process.is_worn = True
                self._replace(process)
            elif word == b"files" and self._watcher is not None:
                self._watcher.add(json.loads(rest))

    def _ready(self, process: Process) -> None:
        process.ready_at = time.monotonic()
        if process.popen.pid not in self._processes:
            # It has ended since it said so.
            return
        if process.reopens:
            process.signal(signal.SIGUSR1)
        self._weigh(process)
        if not self._has_served:
            self._has_served = True
            tell(self._plan.greeting)
            self._plan.ready()
        if (old := process.replaces) is not None:
            process.replaces = None
            if not old.is_leaving:
                self._end(old)
        # It counts from now on: fewer may have been asked for while it came.
        self._trim()
        self._roll()

    def _reap(self) -> None:
        """Collects all that have ended; as the first process of a container also those of others."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if (process := self._processes.pop(pid, None)) is not None:
                process.popen.returncode = os.waitstatus_to_exitcode(status)
                if process.status in self._selector.get_map():
                    self._hear_out(process)
                os.close(process.status)
                self._plan.forget(pid)
                self._ended(process)

    def _hear_out(self, process: Process) -> None:
        """What it said last. A process that it has left behind may hold the other end for ever."""
        os.set_blocking(process.status, False)
        try:
            self._hear(process)
        except BlockingIOError:
            pass
        if process.status in self._selector.get_map():
            self._selector.unregister(process.status)

    def _ended(self, process: Process) -> None:
        for other in self._processes.values():
            if other.replaces is process:
                # It is no replacement any more, but one of the others.
                other.replaces = None
        if process.is_leaving or self._is_stopping:
            return
        how = ended_how(process.popen.returncode)
        old = process.replaces
        if old is not None:
            say(f"the new process of the app {how} before it served; the old one stays in use")
            worn = [old]
            if old is self._rolled:
                # What all were to be replaced with does not serve. Those that had to be in any case still have to.
                self._rolled = None
                self._rolling.clear()
                worn = [one for one in self._places() if one.is_worn]
            for one in worn:
                self._later(RETRY, functools.partial(self._replace, one))
            self._roll()
            return
        if process.ready_at is None and not self._has_served:
            # With exit code 1 it has said why.
            if process.popen.returncode != 1:
                say(f"process {process.popen.pid} of the app {how} before it served")
            if self._watcher is not None:
                say("waiting until the code changes")
            else:
                self._give_up()
            return
        if not self._plan.respawns:
            say(f"process {process.popen.pid} of the app {how}")
            self._give_up()
            return
        self._was_useful |= any(map(is_useful, [process, *self._processes.values()]))
        self._failures = 0 if is_useful(process) else self._failures + 1
        if self._failures >= FAILURES_MAX and not self._was_useful and self._watcher is None:
            say(f"process {process.popen.pid} of the app {how}; so did {FAILURES_MAX - 1} before it: giving up")
            self._give_up()
            return
        say(f"process {process.popen.pid} of the app {how}; another takes its place")
        if self._failures:
            self._later(PAUSE * 2 ** min(self._failures - 1, PAUSES_MAX), self._fill)
        else:
            self._fill()

    def _give_up(self) -> None:
        self._code = 1
        self._stop()

    # Signals

    def _stop(self) -> None:
        """The first time gracefully, the second time now."""
        if self._is_stopping:
            self._is_stopping_now = True
        else:
            self._is_stopping = True
            self._plan.stopping()
        for one in self._processes.values():
            if self._is_stopping_now:
                one.signal(signal.SIGTERM)
                self._kill_after(one, ENDING_NOW)
            elif not one.is_leaving:
                self._end(one)

    def _roll_all(self) -> None:
        """Replaces all, one after the other; each as soon as the one before has a successor that serves."""
        if self._is_stopping:
            return
        self._is_reloading = True
        self._plan.reloading()
        # Whatever is being started is of yesterday.
        for one in self._processes.values():
            if one.replaces is not None:
                one.replaces = None
                one.is_leaving = True
                one.signal(signal.SIGKILL)
        self._rolling = self._places()
        self._fill()
        self._roll()

    def _roll(self) -> None:
        if any(one.replaces is not None for one in self._processes.values()):
            return
        while self._rolling:
            one = self._rolling.pop(0)
            if one.popen.pid in self._processes and not one.is_leaving:
                self._rolled = one
                self._replace(one)
                return
        self._rolled = None
        self._reloaded()

    def _reloaded(self) -> None:
        if self._is_reloading:
            self._is_reloading = False
            self._plan.ready()

    def _more(self) -> None:
        if self._wanted >= self._plan.workers_max:
            say(f"there are to be {self._wanted} processes, and no more (--max-workers)")
            return
        self._wanted += 1
        self._fill()

    def _fewer(self) -> None:
        self._wanted = max(1, self._wanted - 1)
        self._fill()

    def _reopen(self) -> None:
        for one in self._processes.values():
            # Before that it would end it; and it may have its log open.
            one.reopens = one.ready_at is None
            if not one.reopens:
                one.signal(signal.SIGUSR1)

    # Time

    def _look(self) -> None:
        if self._watcher is None or self._is_stopping:
            return
        if changed := self._watcher.changed():
            more = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
            say(f"{os.path.relpath(changed[0])}{more} changed: the app is loaded again")
            self._failures = 0
            self._roll_all()
        self._later(LOOK, self._look)

    def _weigh(self, process: Process) -> None:
        """Looks what it has before its first request."""
        limit = self._plan.rss_bytes_max
        if limit is None or (resident := process.resident()) <= limit:
            return
        process.is_large = True
        say(f"process {process.popen.pid} of the app begins with {mib(resident)}, more than --max-rss: it is not replaced for that")

    def _look_at_memory(self) -> None:
        limit = self._plan.rss_bytes_max
        if limit is None or self._is_stopping:
            return
        for one in self._places():
            if one.ready_at is None or one.is_large or one.is_worn or (resident := one.resident()) <= limit:
                continue
            say(f"process {one.popen.pid} of the app has {mib(resident)}, more than --max-rss: another takes its place")
            one.is_worn = True
            self._replace(one)
        self._later(LOOK_AT_MEMORY, self._look_at_memory)

    def _alive(self) -> None:
        self._plan.alive()
        self._later(max(0.001, (self._plan.watchdog or 0.0) / 2), self._alive)


HANDLED: dict[int, Callable[[Supervisor], None]] = {
    signal.SIGTERM: Supervisor._stop,
    signal.SIGINT: Supervisor._stop,
    signal.SIGHUP: Supervisor._roll_all,
    signal.SIGUSR1: Supervisor._reopen,
    signal.SIGTTIN: Supervisor._more,
    signal.SIGTTOU: Supervisor._fewer,
    signal.SIGCHLD: Supervisor._reap,
}


def _noted(_number: int, _frame: FrameType | None) -> None:
    """The wake-up descriptor has the number."""


# What a service manager says to this process, and to no other.
OURS = {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"}


def is_useful(process: Process) -> bool:
    """Whether it has served for a while."""
    return process.ready_at is not None and time.monotonic() - process.ready_at >= USEFUL


def ended_how(code: int) -> str:
    """How a process ended, in words."""
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"


def mib(size: int) -> str:
    """So many bytes, in words."""
    return f"{size / (1 << 20):.0f} MiB of memory"


def say(text: str) -> None:
    """Tells whoever looks at standard error what happens."""
    tell(f"number8: {text}\n")


def tell(text: str) -> None:
    """Prints whole lines on standard error, if there is one. That nobody reads it keeps nobody from being served."""
    if sys.stderr is not None:
        _native.tell(text)


def main(plan: Plan) -> int:
    """Runs the app as ``plan`` says; returns the exit code."""
    return Supervisor(plan).run()
