"""Protobuf's wire format, read without generated code: a message's fields by number."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from typing import TypeAlias

Data: TypeAlias = mmap.mmap | bytes
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


class DamagedError(Exception):
    """The bytes are no message."""


def fields(data: Data, begin: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Yield each field's number and where its content lies; a varint's is read by `varint`. Raises DamagedError."""
    while begin < end:
        tag, begin = varint(data, begin, end)
        number, kind = tag >> 3, tag & 7
        start = begin
        if kind == _VARINT:
            _, begin = varint(data, begin, end)
        elif kind == _BYTES:
            size, start = varint(data, begin, end)
            begin = start + size
        elif kind in {_FIXED32, _FIXED64}:
            begin += 4 if kind == _FIXED32 else 8
        else:
            raise DamagedError
        if begin > end:
            raise DamagedError
        yield number, start, begin


def varint(data: Data, at: int, end: int) -> tuple[int, int]:
    """Return a number and where it ends; raises DamagedError."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= end:
            break
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise DamagedError


def text_at(data: Data, begin: int, end: int) -> str:
    """Return a string; what is no text in it is replaced."""
    return data[begin:end].decode("utf-8", errors="replace")
