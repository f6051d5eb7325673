"""The compiled part of number8."""

from collections.abc import Callable
from typing import Any

__version__: str

def run(arguments: list[str]) -> int:
    """Does what the command line asks for and returns its exit code; the first argument is the name of the program."""


def serve(
    application: Callable[..., Any],
    *,
    bind: str,
    interface: str,
    threads: int,
    max_body: int = ...,
    grace: float = ...,
) -> None:
    """Serves an application until a signal ends it; see `number8.serve`, which says what the arguments mean."""
