"""What the WSGI host needs of Python's own classes."""

from __future__ import annotations

import io


class Nowhere(io.TextIOBase):
    """Takes what is written where standard error is closed."""

    def writable(self) -> bool:
        return True

    def write(self, text: str, /) -> int:
        return len(text)


class Spooled(io.BufferedReader):
    """The content of a request, in a file without a name. It need not be closed."""

    def __init__(self, number: int) -> None:
        super().__init__(io.FileIO(number, "rb"), 64 * 1024)

    def __del__(self) -> None:
        self.close()
