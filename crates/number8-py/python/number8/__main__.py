"""The number8 command: ``python -m number8`` and the script that pip installs are the same."""

import os
import signal
import sys

from number8 import _native


def main() -> int:
    """Runs the command with the arguments of this process; returns its exit code."""
    # What is opened is not to take the place of a standard stream that is closed, and be written to.
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    # Signals are the command's from here on; without it Python's own handlers would only note them.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    code = _native.run(["number8", *sys.argv[1:]])
    # Where it was not needed, nothing goes on.
    if (leaving := sys.modules.get("number8._leaving")) is not None:
        leaving.leave_calls(code)
    return code


if __name__ == "__main__":
    sys.exit(main())
