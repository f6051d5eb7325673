"""The folder that every server serves.

The bytes are random, so that no server may send fewer of them by compressing, and the files are
old, so that no server takes them for files that are still being written.
"""

import os
import random
from pathlib import Path

SMALL, LARGE, HUGE = "1k.bin", "100k.bin", "100m.bin"
SIZES = {SMALL: 1 << 10, LARGE: 100 << 10, HUGE: 100 << 20}
MANY_COUNT, MANY_SIZE = 10_000, 4 << 10
_CHUNK = 1 << 20
_MODIFIED = 1_600_000_000


def many_path(index: int) -> str:
    return f"many/{index:04}.bin"


def make(folder: Path) -> None:
    """Writes what is missing, and reads the rest so that the page cache holds it."""
    (folder / "many").mkdir(parents=True, exist_ok=True)
    source = random.Random(8)
    for name, size in SIZES.items():
        _write(folder / name, size, source)
    for index in range(MANY_COUNT):
        _write(folder / many_path(index), MANY_SIZE, source)


def _write(path: Path, size: int, source: random.Random) -> None:
    if path.exists() and path.stat().st_size == size:
        with path.open("rb", buffering=0) as file:
            while file.read(_CHUNK):
                pass
        return
    with path.open("wb") as file:
        for start in range(0, size, _CHUNK):
            file.write(source.randbytes(min(_CHUNK, size - start)))
    os.utime(path, (_MODIFIED, _MODIFIED))
