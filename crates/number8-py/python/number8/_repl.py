"""The REPL of this very interpreter: the agent of number8's terminals, in ``__main__``, on threads of its own."""

from __future__ import annotations

import builtins
import code
import ctypes
import io
import signal
import sys
import threading
import types
import weakref
from typing import Any

from number8 import _lifetime, _native

#: The server that has the REPL: there is one.
_owner: weakref.ref[Any] | None = None
_owning = threading.Lock()

#: The session of each thread that runs one.
_sessions: dict[int, Any] = {}


def take(server: Any) -> None:
    """Gives the REPL to a server; raises RuntimeError where another one that runs has it."""
    global _owner
    with _owning:
        other = _owner() if _owner else None
        if other is not None and other._is_running():
            raise RuntimeError("there is one REPL for all servers, and it is registered already")
        _owner = weakref.ref(server)


def give_back(server: Any) -> None:
    """Undoes ``take``."""
    global _owner
    with _owning:
        if _owner and _owner() is server:
            _owner = None


def start(console: _native.Console) -> None:
    """Runs a session on threads of its own."""
    threading.Thread(target=_run, args=(console,), name="number8-repl", daemon=True).start()


class _Routed:
    """A standard stream that is the session's in the thread of a session, and what it was elsewhere."""

    def __init__(self, name: str, usual: Any) -> None:
        self.__dict__["_name"], self.__dict__["_usual"] = name, usual

    def _stream(self) -> Any:
        session = _sessions.get(threading.get_ident())
        return self._usual if session is None else session.stream(self._name)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream(), name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._stream(), name, value)

    def __iter__(self) -> Any:
        return iter(self._stream())

    def __next__(self) -> Any:
        return next(self._stream())


def _route() -> list[tuple[Any, str, Any, Any]]:
    """Has the standard streams, and ``input``, go by threads; returns what they were."""
    places = []
    for name in ("stdin", "stdout", "stderr"):
        usual = getattr(sys, name)
        ours: Any = _Routed("typed" if name == "stdin" else "out", usual)
        places.append((sys, name, usual, ours))
    usual_input = builtins.input

    def ask(prompt: object = "", /) -> str:
        session = _sessions.get(threading.get_ident())
        return usual_input(prompt) if session is None else session.input(str(prompt))

    places.append((builtins, "input", usual_input, ask))
    for holder, name, _, ours in places:
        setattr(holder, name, ours)
    return places


def _run(console: _native.Console) -> None:
    # The thread that starts this one may keep signals from it, and programs inherit that.
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    places = _route()
    ident = threading.get_ident()
    try:
        _sessions[ident] = session = _session(console)
        session.main()
    finally:
        # Where no session has begun there is none.
        _sessions.pop(ident, None)
        for holder, name, usual, ours in places:
            if getattr(holder, name) is ours:
                setattr(holder, name, usual)
        console.close()


def _session(console: _native.Console) -> Any:
    agent = types.ModuleType("number8_agent")
    exec(compile(_native.AGENT, "<number8>", "exec"), agent.__dict__)

    class Wire(agent.Wire):  # type: ignore[misc, name-defined]
        """Keys and output of a console; a thread looks for Ctrl-C."""

        def __init__(self) -> None:
            self.pending = bytearray()
            self.room = threading.Condition()
            self.is_running = self.ended = self.is_terminal = False
            self.at_prompt = self.at_work = self.at_machine = None
            self.ident = threading.get_ident()
            threading.Thread(target=self.listen, name="number8-repl-keys", daemon=True).start()

        @property
        def running(self) -> bool:
            return self.is_running

        @running.setter
        def running(self, value: bool) -> None:
            with self.room:
                self.is_running = value
                early = self.pending.rfind(b"\3") if value else -1
                del self.pending[: early + 1]
            if early >= 0:
                # It came before what it is to interrupt had begun.
                raise KeyboardInterrupt

        def listen(self) -> None:
            while not self.ended:
                data = console.read()
                with self.room:
                    if data is None:
                        self.ended, data = True, b""
                    if self.is_running and (self.ended or agent.CTRL_C in data):
                        # What came before it was for what is interrupted.
                        data = data[data.rfind(b"\3") + 1 :]
                        error = ctypes.py_object(KeyboardInterrupt)
                        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(self.ident), error)
                    self.pending += data
                    self.room.notify_all()
                    self.room.wait_for(lambda: self.ended or len(self.pending) < agent.PENDING_MAX)

        def fill(self) -> None:
            with self.room:
                self.room.wait_for(lambda: self.pending or self.ended)
                if not self.pending:
                    raise agent.Gone

        def send(self, text: str | bytes) -> None:
            console.write(text if isinstance(text, bytes) else text.encode("utf-8", "replace"))

        def columns(self) -> int:
            return 1 << 30

    class Out(io.RawIOBase):
        def writable(self) -> bool:
            return True

        def write(self, data: Any) -> int:
            wire.send(bytes(data))
            return len(data)

    class Session(agent.Repl):  # type: ignore[misc, name-defined]
        """The agent in ``__main__``, which a soft reset leaves as it is."""

        def __init__(self) -> None:
            self.wire = wire
            self.begins_raw = self.is_typed = False
            self.module = sys.modules["__main__"]
            self.console = code.InteractiveInterpreter(self.module.__dict__)
            self.editor = agent.Editor(self.wire, self.names)
            self.out: Any = None
            self.typed: Any = None
            self.streams("\r\n")

        def stream(self, name: str) -> Any:
            self.streams(None)
            return getattr(self, name)

        def streams(self, newline: str | None) -> None:
            if self.out is None or self.out.closed:
                self.newline = newline or "\r\n"
                self.out = io.TextIOWrapper(io.BufferedWriter(Out()), "utf-8", "replace", write_through=True)
                self.out.reconfigure(newline=self.newline, line_buffering=True)
            if self.typed is None or self.typed.closed:
                self.typed = io.TextIOWrapper(io.BufferedReader(agent.Typed(wire)), "utf-8", "replace", newline="\n")
            if newline is not None and newline != self.newline:
                self.newline = newline
                self.out.reconfigure(newline=newline)

        def prompt(self, goes_on: bool) -> str:
            return "... " if goes_on else ">>> "

        def run(self, function: Any) -> Any:
            try:
                return super().run(function)
            finally:
                self.out.flush()
                # It was shown to somebody, and is no reason for the script to have failed.
                _lifetime.note_seen()

        def execute(self, source: bytes) -> None:
            super().execute(source)
            self.out.flush()

        def main(self) -> None:
            while True:
                try:
                    is_raw, self.begins_raw = self.begins_raw, False
                    while True:
                        (self.raw if is_raw else self.friendly)()
                        is_raw = not is_raw
                except agent.Again as again:
                    wire.send("MPY: soft reboot\r\n")
                    self.begins_raw = again.args[0] == "raw"
                except KeyboardInterrupt:
                    # One that came as what it was meant for had just ended.
                    wire.send("\r\n")
                except agent.Gone:
                    return

    wire = Wire()
    return Session()
