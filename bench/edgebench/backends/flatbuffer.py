"""Flatbuffers (.tflite, .pte), read without a schema's generated code: tables, and their fields by number."""

from __future__ import annotations

import struct


def root(data: bytes, at: int = 0) -> Table:
    """Return the root table of a buffer that begins at `at`.

    What is no flatbuffer, or is damaged, shows in struct.error or IndexError, here or when a field is read.
    """
    return Table(data, _target(data, at))


class Table:
    """A table at `at`. A field is its number in the schema; a union has two, its type's and its value's."""

    def __init__(self, data: bytes, at: int) -> None:
        self.data, self.at = data, at

    def _field(self, number: int) -> int | None:
        (back,) = struct.unpack_from("<i", self.data, self.at)
        index = self.at - back
        (size,) = struct.unpack_from("<H", self.data, index)
        if 4 + 2 * number >= size:
            return None
        (offset,) = struct.unpack_from("<H", self.data, index + 4 + 2 * number)
        return self.at + offset if offset else None

    def number(self, number: int, form: str) -> int:
        """Return a scalar, `form` as struct has it; its default is 0."""
        if (place := self._field(number)) is None:
            return 0
        value: int = struct.unpack_from(form, self.data, place)[0]
        return value

    def bytes_of(self, number: int) -> range:
        """Return where the bytes of a vector lie."""
        if (place := self._field(number)) is None:
            return range(0)
        start = _target(self.data, place)
        (count,) = struct.unpack_from("<I", self.data, start)
        return range(start + 4, start + 4 + count)

    def text(self, number: int) -> str:
        """Return a string, empty where there is none."""
        place = self.bytes_of(number)
        return self.data[place.start : place.stop].decode("utf-8", errors="replace")

    def numbers(self, number: int, form: str) -> tuple[int, ...]:
        """Return the scalars of a vector."""
        start, count = (found := self.bytes_of(number)).start, len(found)
        if start + count > len(self.data):
            raise IndexError(start)
        return struct.unpack_from(f"<{count}{form}", self.data, start)

    def table(self, number: int) -> Table | None:
        """Return a table, None where there is none."""
        return None if (place := self._field(number)) is None else Table(self.data, _target(self.data, place))

    def tables(self, number: int) -> list[Table]:
        """Return the tables of a vector."""
        start, count = (found := self.bytes_of(number)).start, len(found)
        if start + 4 * count > len(self.data):
            raise IndexError(start)
        return [Table(self.data, _target(self.data, start + 4 * index)) for index in range(count)]


def _target(data: bytes, at: int) -> int:
    offset: int = struct.unpack_from("<I", data, at)[0]
    return at + offset
