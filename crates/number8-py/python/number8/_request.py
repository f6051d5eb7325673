"""What a Request gives besides numbers, text and bytes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping


class Headers(Mapping[str, str]):
    """The headers of a request: the first value of each name, whose case means nothing."""

    __slots__ = ("_fields",)

    def __init__(self, fields: list[tuple[str, str]]) -> None:
        self._fields = fields

    def __getitem__(self, name: str) -> str:
        wanted = name.lower()
        for other, value in self._fields:
            if other.lower() == wanted:
                return value
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(name.lower() for name, _ in self._fields))

    def __len__(self) -> int:
        return len({name.lower() for name, _ in self._fields})

    def getlist(self, name: str) -> list[str]:
        """Every value of that name, in order."""
        return [value for other, value in self._fields if other.lower() == name.lower()]

    def items_as_sent(self) -> list[tuple[str, str]]:
        """All names and values, as they came."""
        return list(self._fields)

    def __repr__(self) -> str:
        return f"Headers({self._fields!r})"
