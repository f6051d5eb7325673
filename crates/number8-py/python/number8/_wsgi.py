"""What the WSGI host needs of Python's own classes."""

from __future__ import annotations

import io


class Spooled(io.BufferedReader):
    """The content of a request, in a file without a name. It need not be closed."""

    def __init__(self, number: int) -> None:
        super().__init__(io.FileIO(number, "rb"), 64 * 1024)

    def __del__(self) -> None:
        self.close()
