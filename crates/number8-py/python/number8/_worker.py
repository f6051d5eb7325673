"""One process that runs the app: started by the supervisor as ``python -m number8._worker DESCRIPTORS PIPES PARENT app …``.

DESCRIPTORS are the listening sockets, with commas between; PIPES are one that tells the supervisor how things are and, where it wants to know what is counted, two more: one that it asks by, and one that has the answers. PARENT is its process, without which this one is not to be.
"""

from __future__ import annotations

import os
import signal
import sys

from number8 import _native
from number8._loading import LoadError, explain, load

# What is not needed by every process is imported where it is: each of them pays for it.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Status:
    """Tells the supervisor how this process is, a line at a time; nobody if there is none."""

    def __init__(self, descriptor: int | None) -> None:
        self._descriptor = descriptor

    @property
    def is_supervised(self) -> bool:
        return self._descriptor is not None

    def load(self, module: str, attribute: str | None, folder: str, factory: bool, watched: bool) -> Any:
        """The app; None where it cannot be loaded, which is told on standard error."""
        try:
            return load(module, attribute, folder, factory=factory)
        except LoadError as error:
            sys.stderr.write(explain(error))
            sys.stderr.flush()
            return None
        finally:
            if watched:
                self._tell("files " + own_files())

    def ready(self) -> None:
        """It serves."""
        self._tell("ready")

    def worn(self) -> None:
        """It has served as many requests as it was to."""
        self._tell("worn")

    def _tell(self, line: str) -> None:
        if self._descriptor is None:
            return
        data = line.encode() + b"\n"
        try:
            while data:
                data = data[os.write(self._descriptor, data) :]
        except BrokenPipeError:
            pass


def alone() -> None:
    """This process has no supervisor: what that does at a signal is not done here, and by itself the system would end or stop it."""

    def told(number: int, _frame: object) -> None:
        try:
            sys.stderr.write(f"number8: {signal.Signals(number).name} is for a supervisor, and there is none (--no-respawn)\n")
        except (AttributeError, OSError, ValueError):
            # Nobody there to read it is no reason not to serve.
            pass

    for number in signal.SIGHUP, signal.SIGTTIN, signal.SIGTTOU:
        if signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, told)


def own_files() -> str:
    """The files of the modules that were imported, but for those of Python and of installed packages, as JSON."""
    import json
    import sysconfig

    others = tuple({os.path.join(sysconfig.get_path(name), "") for name in ("stdlib", "platstdlib", "purelib", "platlib")})
    files = {getattr(module, "__file__", None) for module in list(sys.modules.values())}
    return json.dumps(sorted(file for file in files if isinstance(file, str) and not file.startswith(others)))


def main(arguments: list[str]) -> int:
    """Runs the app until a signal ends it; returns the exit code."""
    descriptors, pipes, parent, *command = arguments
    status, *metrics = [int(number) for number in pipes.split(",")]
    # Programs that the app starts have nothing to do with them.
    for own in status, *metrics:
        os.set_inheritable(own, False)
    sockets = [int(number) for number in descriptors.split(",")]
    counted = (metrics[0], metrics[1]) if metrics else None
    code = _native.work(["number8", *command], sockets, int(parent), Status(status), counted)
    # Where it was not needed, nothing goes on.
    if (leaving := sys.modules.get("number8._leaving")) is not None:
        leaving.leave_calls(code)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
