"""Samples in shared memory: one writer (the sampler), one reader, no lock and no fence.

Every record carries its number and the exclusive-or of its words, so that a reader on a weakly ordered processor (Arm)
sees a half-written or overwritten record for what it is and reads it again. The header has the number of records, the
epoch (it grows when the source is lost), and the text of the last loss, under a checksum as well.
"""

from __future__ import annotations

import mmap
import os
import struct
import time
import zlib
from typing import TYPE_CHECKING, Any, NamedTuple

from edgebench_probes.sampling.source import Sample

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

HEADER = 4096
WORDS = 6  # number, t_ns, power, device clock (NaN: none), epoch, exclusive-or of these
RECORD = 8 * WORDS
_BODY = struct.Struct("<qqddq")
_BITS = struct.Struct("<5Q")
_WORD = struct.Struct("<Q")
_STATE = struct.Struct("<QQQ")  # records, epoch, lost (1) or live (0)
_TEXT_AT = 64
_TEXT = struct.Struct("<II")  # length, crc32
_NAN = float("nan")
TORN_WAIT_S = 0.002


class State(NamedTuple):
    """How the stream stands: `lost` says that the source is being opened again; `reason` why it was lost last."""

    written: int
    epoch: int
    lost: bool
    reason: str


def size_of(capacity: int) -> int:
    """Bytes of a ring of so many records."""
    return HEADER + capacity * RECORD


class RingWriter:
    """The sampler's end; `fd` is resized to hold `capacity` records, which are allocated now and not while sampling."""

    def __init__(self, fd: int, capacity: int) -> None:
        os.posix_fallocate(fd, 0, size_of(capacity))
        self._map = mmap.mmap(fd, size_of(capacity))
        self._capacity = capacity
        self._count = 0
        self._epoch = 0

    def put(self, sample: Sample) -> None:
        """Add one sample; the oldest gives way."""
        t_ns, power_w, device_s = sample
        index = self._count
        body = _BODY.pack(index, t_ns, power_w, _NAN if device_s is None else device_s, self._epoch)
        a, b, c, d, e = _BITS.unpack(body)
        at = HEADER + index % self._capacity * RECORD
        self._map[at : at + RECORD] = body + _WORD.pack(a ^ b ^ c ^ d ^ e)
        self._count = index + 1
        self._state(lost=False)

    def lose(self, reason: str) -> None:
        """End this stretch of samples."""
        self._epoch += 1
        text = reason.encode()[:1000]
        self._map[_TEXT_AT : _TEXT_AT + _TEXT.size + len(text)] = _TEXT.pack(len(text), zlib.crc32(text)) + text
        self._state(lost=True)

    def _state(self, *, lost: bool) -> None:
        body = _STATE.pack(self._count, self._epoch, lost)
        self._map[: len(body) + 4] = body + struct.pack("<I", zlib.crc32(body))


class RingReader:
    """The measuring process's end."""

    def __init__(self, fd: int, capacity: int) -> None:
        import numpy  # noqa: F401, ICN001 - loaded here, so that no window has to wait for it

        self._map = mmap.mmap(fd, size_of(capacity), prot=mmap.PROT_READ)
        self.capacity = capacity

    def state(self) -> State:
        """Present state."""
        while True:
            raw = self._map[: _STATE.size + 4]
            if raw.strip(b"\0") == b"":
                return State(0, 0, lost=False, reason="")
            if zlib.crc32(raw[:-4]) == struct.unpack("<I", raw[-4:])[0]:
                break
            time.sleep(1e-5)
        count, epoch, lost = _STATE.unpack(raw[:-4])
        length, crc = _TEXT.unpack_from(self._map, _TEXT_AT)
        at = _TEXT_AT + _TEXT.size
        text = self._map[at : at + min(length, 1000)] if epoch else b""
        return State(count, epoch, bool(lost), text.decode(errors="replace") if zlib.crc32(text) == crc else "lost")

    def records(self, first: int) -> NDArray[Any]:
        """All records from number `first` on that are still held, as a structured array (t_ns, power, device, epoch).

        Records already overwritten are left out: compare the first `number` with `first`.
        """
        import numpy as np

        deadline = time.monotonic() + TORN_WAIT_S
        while True:
            last = self.state().written
            numbers = np.arange(max(first, last - self.capacity, 0), last)
            whole = np.frombuffer(self._map, "<u8", self.capacity * WORDS, HEADER).reshape(-1, WORDS)
            words = whole[numbers % self.capacity]
            good = (np.bitwise_xor.reduce(words, axis=1) == 0) & (words[:, 0] == numbers)
            del whole  # an array on the mapping would keep it from being closed
            late = np.flatnonzero(~good)
            if len(late) == 0 or late[-1] < len(numbers) // 4 or time.monotonic() > deadline:
                return _structured(words[late[-1] + 1 :] if len(late) else words)
            time.sleep(1e-4)

    def close(self) -> None:
        """Unmap the ring."""
        self._map.close()


def _structured(words: NDArray[np.uint64]) -> NDArray[Any]:
    fields = [("number", "<i8"), ("t_ns", "<i8"), ("power", "<f8"), ("device", "<f8"), ("epoch", "<i8"), ("_", "<u8")]
    import numpy as np

    return np.ascontiguousarray(words).view(np.dtype(fields)).reshape(-1)
