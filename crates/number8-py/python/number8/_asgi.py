"""The event loop under an ASGI application: its selector, the application's lifespan, the end."""

from __future__ import annotations

import asyncio
import functools
import logging
import selectors
import signal
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, MutableMapping
from typing import Any

from number8 import _leaving, _native, _signals

logger = logging.getLogger("number8")

Message = MutableMapping[str, Any]
Application = Callable[[Any, Any, Any], Awaitable[None]]

# How long a task may take to hear that the server stops and has ended its stream of events, in seconds; then it is cancelled.
HEAR_SECONDS = 1.0
# How long tasks have, once they are cancelled at the end, in seconds.
CANCEL_SECONDS = 5.0
# The same after a second signal; a supervisor waits for a second then.
CANCEL_NOW_SECONDS = 0.4

# Tasks that have not ended with their loop: as they go, Python would complain, or wait.
_left: list[asyncio.Task[Any]] = []

STOPPING = (signal.SIGINT, signal.SIGTERM)

# Both are awaited in places that take nothing but coroutines.
Coroutine.register(_native.Awaitable)
Coroutine.register(_native.Done)


# What frameworks raise where a client has left.
_DEPARTURES = ("ClientDisconnect", "WebSocketDisconnect")


class ClientDisconnected(OSError):
    """Nobody is there any more to whom `send` could send."""

    def __init__(self) -> None:
        super().__init__("the client has left")


class StartupFailed(RuntimeError):
    """The application said that it cannot start."""


class Selector(selectors.EpollSelector):
    """What the loop waits with: the server goes on in the meantime, in this very thread.

    The loop's own descriptors are behind one, which the server watches. Its readiness is told once; so the loop looks
    again until nothing of its own is ready.
    """

    def __init__(self, host: _native.AsgiHost) -> None:
        super().__init__()
        self._turn = host.turn
        self._look_again = False
        host.watch(self.fileno())

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if self._look_again:
            events = super().select(0)
            if events:
                self._turn(0)
                return events
            self._look_again = False
        if self._turn(timeout):
            events = super().select(0)
            self._look_again = bool(events)
            return events
        return []


class Lifespan:
    """The application's start and end, by the protocol of that name."""

    def __init__(self, application: Application) -> None:
        self.state: dict[str, Any] = {}
        self._application = application
        self._messages: asyncio.Queue[Message] = asyncio.Queue()
        self._started: asyncio.Future[str | None] | None = None
        self._stopped: asyncio.Future[str | None] | None = None
        self._task: asyncio.Task[None] | None = None
        # It has asked what there is to do.
        self._has_received = False

    async def startup(self) -> None:
        """Waits until the application has started; one that does not know of lifespans has."""
        loop = asyncio.get_running_loop()
        self._started, self._stopped = loop.create_future(), loop.create_future()
        self._task = loop.create_task(self._run())
        self._messages.put_nowait({"type": "lifespan.startup"})
        failure = await self._started
        if failure is not None:
            await asyncio.wait([self._task], timeout=CANCEL_SECONDS)
            raise StartupFailed(f"the application failed to start: {failure}" if failure else "the application failed to start")

    async def shutdown(self) -> None:
        """Waits until the application has ended."""
        if self._task is None or self._stopped is None or self._task.done():
            return
        self._messages.put_nowait({"type": "lifespan.shutdown"})
        failure = await self._stopped
        if failure is not None:
            logger.error("the application failed to shut down: %s", failure)
        await asyncio.wait([self._task], timeout=CANCEL_SECONDS)

    async def _run(self) -> None:
        assert self._started is not None and self._stopped is not None
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": self.state}
        try:
            await self._application(scope, self._receive, self._send)
        except Exception as error:
            if not self._started.done():
                # One that knows of lifespans has failed, one that does not asks what it is to do with this scope.
                knows = self._has_received
                logger.log(logging.WARNING if knows else logging.INFO, "the application takes no part in its lifespan: %r", error)
            elif self._started.result() is None:
                logger.error("the application failed in its lifespan", exc_info=error)
        finally:
            for future in (self._started, self._stopped):
                if not future.done():
                    future.set_result(None)

    async def _receive(self) -> Message:
        self._has_received = True
        return await self._messages.get()

    async def _send(self, message: Message) -> None:
        assert self._started is not None and self._stopped is not None
        kind = message["type"]
        during, _, outcome = kind.removeprefix("lifespan.").partition(".")
        future = {"startup": self._started, "shutdown": self._stopped}.get(during)
        if future is None or outcome not in ("complete", "failed") or future.done():
            raise RuntimeError(f"unexpected message {kind!r} in the lifespan")
        future.set_result(message.get("message", "") if outcome == "failed" else None)


async def run(application: Application, is_cancelled: Callable[[], bool], scope: dict[str, Any], exchange: Any) -> None:
    """Sees one request to its end."""
    try:
        await application(scope, exchange.receive, exchange.send)
    except BaseException as error:
        if isinstance(error, GeneratorExit) or (isinstance(error, asyncio.CancelledError) and is_cancelled()):
            # The server ends.
            exchange.ended(True)
            raise
        # SystemExit and KeyboardInterrupt, too: they would end the loop, with the requests of all others.
        is_over = exchange.ended(True)
        if not _is_departure(error, is_over and scope["type"] == "websocket"):
            logger.error("the application failed at %s", scope["path"], exc_info=error)
    else:
        if not exchange.ended(False):
            logger.error("the application ended without a whole answer at %s", scope["path"])


def _is_departure(error: BaseException, is_told: bool) -> bool:
    """Whether an exception is ours of a client that has left, or what a framework has made of it: Starlette raises others, also of
    the message which tells that a WebSocket is over (`is_told`), and a group of tasks has several.

    What an application fails at when it deals with that is an error of its own."""
    together = getattr(error, "exceptions", None)
    if isinstance(together, tuple) and together:
        return all(_is_departure(one, is_told) for one in together)
    seen: set[int] = set()
    cause: BaseException | None = error
    while (isinstance(cause, OSError) or type(cause).__name__ in _DEPARTURES) and id(cause) not in seen:
        if isinstance(cause, ClientDisconnected) or (is_told and type(cause).__name__ == "WebSocketDisconnect"):
            return True
        seen.add(id(cause))
        cause = cause and (cause.__cause__ or cause.__context__)
    return False


class Serving:
    """One run of a server."""

    def __init__(self, host: _native.AsgiHost, application: Application, root_path: str, grace: float) -> None:
        self._host = host
        self._application = application
        self._root_path = root_path
        self._grace = grace
        self._stops = 0
        # Signals to stop that Python has had; the loop comes to them when it has its turn.
        self._signals = 0
        self._is_watched = False
        self._stopped_at: float | None = None
        self._is_started = False
        # Nothing but the end of the application is waited for.
        self._is_ending = False
        # Requests are cancelled; before, who raises CancelledError has failed.
        self.is_cancelling = False
        # Those of them that are before the others.
        self._cancelled: list[asyncio.Task[Any]] = []
        self._has_signals = False
        self._main: asyncio.Task[None] | None = None
        self._ended: asyncio.Future[str | None] | None = None

    async def serve(self) -> None:
        loop = asyncio.get_running_loop()
        self._main = asyncio.current_task()
        self._ended = loop.create_future()
        if threading.current_thread() is threading.main_thread():
            before = {number: signal.getsignal(number) for number in STOPPING}
            for number in STOPPING:
                loop.add_signal_handler(number, self.stop)
                # The loop is woken by what Python does before this, and has put a function here that does nothing.
                signal.signal(number, self._signalled)
            _signals.note(before)
            self._has_signals = True
        else:
            _leaving.note_stop(functools.partial(loop.call_soon_threadsafe, self._stop_at_once))
        lifespan = Lifespan(self._application)
        await lifespan.startup()
        # Who sets up a log of its own as it starts turns off all loggers that are there, unless it says otherwise.
        logger.disabled = False
        self._start(loop, lifespan.state)
        complaint = await self._ended
        if complaint is not None:
            logger.warning("%s", complaint)
        await self._finish()
        self._is_ending = True
        await lifespan.shutdown()

    def forget_signals(self) -> None:
        """The loop has given them back."""
        if self._has_signals:
            _signals.forget()

    @property
    def was_stopped(self) -> bool:
        return self._stops > 0

    def stop(self) -> None:
        """The first call stops gracefully, the next one at once; a start that takes long is given up."""
        self._stops += 1
        if self._stopped_at is None:
            self._stopped_at = time.monotonic()
        if self._is_started:
            self._host.stop(self._stops > 1)
            if self._stops == 1:
                asyncio.get_running_loop().call_later(HEAR_SECONDS, self._cancel_unheard)
        if self._stops > 1:
            self.is_cancelling = True
            for task in self._host.tasks():
                task.cancel()
            if self._stops == 2 and self._is_started:
                asyncio.get_running_loop().call_later(CANCEL_NOW_SECONDS, self._give_up)
        if self._stops > 2 or (self._stops > 1 and self._is_ending) or not self._is_started:
            assert self._main is not None
            self._main.cancel()

    def _cancel_unheard(self) -> None:
        """Who makes events that nobody gets any more has heard of it, unless it waits for something that may never come."""
        self._cancelled = self._host.unheard()
        for task in self._cancelled:
            task.cancel()

    def _is_cancelled(self) -> bool:
        """Whether it is the server that has cancelled the task which asks."""
        return self.is_cancelling or asyncio.current_task() in self._cancelled

    def _signalled(self, _number: int, _frame: object) -> None:
        """A signal has come, which the loop hears of when it has its turn. One that is blocked never has: a second ends the process."""
        self._signals += 1
        if self._signals > 1 and self._stops == 0 and not self._is_watched:
            self._is_watched = True
            threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        """Ends the process, unless the loop hears of the signals in the meantime."""
        time.sleep(CANCEL_NOW_SECONDS)
        if self._stops == 0:
            logger.warning("the application blocks its event loop")
            _leaving.leave_at_once(0)

    def _stop_at_once(self) -> None:
        self.stop()
        self.stop()

    def _give_up(self) -> None:
        """A second signal was a while ago: requests are not waited for that go on although they are cancelled."""
        if not self._is_ending:
            assert self._main is not None
            self._main.cancel()

    async def end(self) -> None:
        """Ends what is left in the loop, or leaves it alone where it does not end."""
        self._main, self._is_ending, self.is_cancelling = asyncio.current_task(), True, True
        loop = asyncio.get_running_loop()
        tasks = asyncio.all_tasks() - {self._main}
        for task in tasks:
            task.cancel()
        if not await self._have_ended(tasks):
            logger.warning("tasks of the application still go on")
        await self._have_ended({loop.create_task(loop.shutdown_asyncgens())})
        others = set(threading.enumerate())
        waiting: list[threading.Thread] = []
        shutdown = loop.create_task(loop.shutdown_default_executor())
        # Its first step starts a thread that waits for those of the executor.
        loop.call_soon(lambda: waiting.extend(set(threading.enumerate()) - others))
        if not await self._have_ended({shutdown}):
            logger.warning("threads of the application still go on")
            _leaving.note_threads(waiting)

    async def _have_ended(self, tasks: set[asyncio.Task[Any]]) -> bool:
        """Waits until these have ended, not too long and not beyond another signal; says whether they have."""
        if not tasks:
            return True
        try:
            await asyncio.wait(tasks, timeout=CANCEL_SECONDS if self._stops < 2 else CANCEL_NOW_SECONDS)
        except asyncio.CancelledError:
            pass
        late = {task for task in tasks if not task.done()}
        for task in tasks - late:
            if not task.cancelled():
                # Nobody wants to know it.
                task.exception()
        _left.extend(late)
        return not late

    def _start(self, loop: asyncio.AbstractEventLoop, state: dict[str, Any]) -> None:
        self._is_started = True
        create_task: Callable[[Any], Any] = loop.create_task
        if loop.get_task_factory() is None:
            if sys.version_info >= (3, 12):
                create_task = functools.partial(asyncio.Task, loop=loop, eager_start=True)
            else:
                create_task = functools.partial(asyncio.Task, loop=loop)
        hooks = _Hooks()
        hooks.create_future = loop.create_future
        hooks.create_task = create_task
        hooks.run = functools.partial(run, self._application, self._is_cancelled)
        hooks.disconnected = ClientDisconnected
        hooks.ended = self._on_end
        hooks.failed = lambda error: logger.error("a request failed", exc_info=error)
        descriptor = self._host.fileno()
        if descriptor is not None:
            loop.add_reader(descriptor, self._host.drain)
        self._host.start(hooks, self._root_path, state)

    def _on_end(self, complaint: str | None) -> None:
        assert self._ended is not None
        if not self._ended.done():
            self._ended.set_result(complaint)

    async def _finish(self) -> None:
        """Tasks that go on after their answer have what is left of the grace; then they are cancelled."""
        passed = time.monotonic() - self._stopped_at if self._stopped_at is not None else 0.0
        if tasks := self._host.tasks():
            _, late = await asyncio.wait(tasks, timeout=max(self._grace - passed, 0.0))
            self.is_cancelling = True
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late, timeout=CANCEL_SECONDS)
        descriptor = self._host.fileno()
        if descriptor is not None:
            asyncio.get_running_loop().remove_reader(descriptor)


class _Hooks:
    """What the host asks Python for."""

    create_future: Callable[[], Any]
    create_task: Callable[[Any], Any]
    run: Callable[..., Any]
    disconnected: Callable[[], Any]
    ended: Callable[[str | None], Any]
    failed: Callable[[BaseException], Any]


def new_loop(host: _native.AsgiHost) -> asyncio.AbstractEventLoop:
    """The loop for a host: asyncio's own with our selector, or uvloop's."""
    if host.has_selector():
        return asyncio.SelectorEventLoop(Selector(host))
    import uvloop  # type: ignore[import-not-found,unused-ignore]

    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop


def serve(host: _native.AsgiHost, application: Application, root_path: str, grace: float) -> None:
    """Serves until stopped; blocks."""
    loop = new_loop(host)
    asyncio.set_event_loop(loop)
    handlers = {number: signal.getsignal(number) for number in STOPPING}
    serving = Serving(host, application, root_path, grace)
    try:
        loop.run_until_complete(serving.serve())
    except asyncio.CancelledError:
        if not serving.was_stopped:
            raise
    finally:
        try:
            loop.run_until_complete(serving.end())
        finally:
            asyncio.set_event_loop(None)
            loop.close()
            serving.forget_signals()
            host.close()
            # The loop takes those away that were there before it, too.
            for number, handler in handlers.items():
                if handler is not None and signal.getsignal(number) != handler:
                    signal.signal(number, handler)
