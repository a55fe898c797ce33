"""What a swarm's node sends, put together again: lines in any order, twice or missing, to output that is whole. Pure.

The lines are those of `node`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import zlib
from collections.abc import Iterator

import msgspec

from edgebench.errors import ContainerError
from edgebench.report.io import MAX_BYTES


class _Frame(msgspec.Struct, frozen=True):
    say: int | None = None
    text: str = ""
    part: int | None = None
    crc: int = 0
    data: str = ""
    code: int | None = None
    parts: int = 0
    size: int = 0
    sha256: str = ""
    memory: bool = False


class Frames:
    """The frames of one command. `other` are the last lines that are none: what an image that cannot run it says."""

    def __init__(self) -> None:
        self.other: list[str] = []
        self.end: _Frame | None = None
        self._decoder = msgspec.json.Decoder(_Frame)
        self._parts: dict[int, bytes] = {}
        self._said: set[int] = set()
        self._texts: dict[int, str] = {}
        self.tail: list[str] = []

    def take(self, lines: list[str]) -> None:
        """Take lines of a log; what came before or is damaged is left alone."""
        for line in lines:
            try:
                frame = self._decoder.decode(line)
            except msgspec.MsgspecError:
                self.other = [*self.other[-9:], line]
                continue
            if frame.say is not None and frame.say not in self._said:
                self._said.add(frame.say)
                self._texts[frame.say] = frame.text
            elif frame.part is not None:
                self._take_part(frame.part, frame)
            elif frame.code is not None:
                self.end = frame

    def _take_part(self, index: int, frame: _Frame) -> None:
        try:
            piece = base64.b64decode(frame.data, validate=True)
        except binascii.Error:
            return
        if zlib.crc32(piece) == frame.crc:
            self._parts[index] = piece

    def said(self) -> Iterator[str]:
        """Yield the lines of progress that were not yielded yet, in their order."""
        for index in sorted(self._texts):
            line = self._texts.pop(index)
            self.tail = [*self.tail[-9:], line]
            yield line

    def absorb(self, other: Frames) -> None:
        """Take what another log brought of the same output."""
        self._parts |= other._parts
        self.end = other.end or self.end

    def missing(self) -> list[int]:
        """Return the pieces that did not arrive; of a command that ended."""
        return [] if self.end is None else [index for index in range(self.end.parts) if index not in self._parts]

    def output(self) -> bytes | None:
        """Return what the command wrote, or None where pieces are missing or it is not what the node wrote.

        Raises ContainerError for more than a report may have.
        """
        if self.end is None or self.missing():
            return None
        if self.end.size > MAX_BYTES:
            raise ContainerError(f"the container wrote more than the {MAX_BYTES // 2**20} MiB a report may have")
        unpacking = zlib.decompressobj()
        try:
            packed = b"".join(self._parts[index] for index in range(self.end.parts))
            content = unpacking.decompress(packed, MAX_BYTES) if packed else b""
        except zlib.error:
            content = b""
        if hashlib.sha256(content).hexdigest() == self.end.sha256:
            return content
        self._parts.clear()  # each was whole, so they are of two outputs: all anew
        return None
