"""Finds out when the code of an app has changed, by looking at its files."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

# What nobody writes by hand.
SKIPPED = {"__pycache__", "node_modules", "site-packages"}


class Watcher:
    """Watches every Python file below a folder, and others that it is told of."""

    def __init__(self, folder: str) -> None:
        self._folder = os.path.abspath(folder)
        self._others: set[str] = set()
        self._known = dict(self._look())

    def add(self, files: Iterable[str]) -> None:
        """Watches these files too."""
        for file in {os.path.abspath(file) for file in files} - self._known.keys():
            self._others.add(file)
            self._known.update(_stamped(file))

    def changed(self) -> list[str]:
        """The files that have changed, come or gone since the last time."""
        now = dict(self._look())
        before, self._known = self._known, now
        return sorted(file for file in before.keys() | now.keys() if before.get(file) != now.get(file))

    def _look(self) -> Iterator[tuple[str, tuple[int, int]]]:
        for folder, folders, files in os.walk(self._folder):
            # A virtual environment has that file.
            folders[:] = [
                name
                for name in folders
                if not name.startswith(".")
                and name not in SKIPPED
                and not os.path.exists(os.path.join(folder, name, "pyvenv.cfg"))
            ]
            for name in files:
                if name.endswith(".py"):
                    yield from _stamped(os.path.join(folder, name))
        for file in self._others:
            yield from _stamped(file)


def _stamped(file: str) -> Iterator[tuple[str, tuple[int, int]]]:
    try:
        found = os.stat(file)
    except OSError:
        return
    yield file, (found.st_mtime_ns, found.st_size)
