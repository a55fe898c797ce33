"""Shizuku YK001, AVHzY CT-3, Power-Z KT002: USB serial, up to 1000 samples/s, each with the meter's own time.

The protocol is not published; it was read off the wire by others (github.com/fqueze/usb-power-profiling and the AVHzY
forum, thread 369), whose descriptions agree. No data sheet with an accuracy was at hand.
"""

from __future__ import annotations

import struct
from functools import reduce
from operator import xor

from edgebench_probes.meters.protocol import Framer, ProtocolError, Reading, electrical

USB = ((0x0483, 0xFFFF), (0x0483, 0xFFFE), (0x0483, 0x374B))
STOP, START = 0x07, 0x09
LONGEST_PAYLOAD = 128  # samples seen have 32 or 36 bytes
OVERHEAD = 7  # A5, length (4), checksum, 5A


def frame(payload: bytes) -> bytes:
    """Wrap a payload: A5, its length (u32, little endian), the payload, the XOR of its bytes, 5A."""
    return b"\xa5" + struct.pack("<I", len(payload)) + payload + bytes([reduce(xor, payload, 0), 0x5A])


def command(code: int, request_id: int, arguments: bytes = b"") -> bytes:
    """Return a command frame; the reply, and what the command starts, carry its id."""
    return frame(bytes([1, code, request_id, 0]) + arguments)


def measure(buffer: bytes) -> int:
    """Length of the valid frame at the beginning of a buffer; see Framer."""
    if len(buffer) < 5:
        return 0
    (length,) = struct.unpack_from("<I", buffer, 1)
    if not 4 <= length <= LONGEST_PAYLOAD:
        return -1
    whole = length + OVERHEAD
    if len(buffer) < whole:
        return 0
    good = buffer[whole - 1] == 0x5A and reduce(xor, buffer[5 : whole - 2]) == buffer[whole - 2]
    return whole if good else -1


def framer() -> Framer:
    """Return a framer of this protocol."""
    return Framer(b"\xa5", LONGEST_PAYLOAD + OVERHEAD, measure)


def is_reply(payload: bytes, request_id: int) -> bool:
    """Whether this payload acknowledges a command."""
    return len(payload) == 4 and payload[2] == request_id and payload[3] == 0x80


def decode(data: bytes, request_id: int = 1) -> list[Reading]:
    """Return the reading of a sample frame, and none of a reply or of another request's sample; raises ProtocolError.

    The meter's clock is in us, 64 bits, since it was switched on.
    """
    if not data.startswith(b"\xa5") or measure(data) != len(data):
        raise ProtocolError("a frame of the Shizuku meter has a wrong length, end or checksum")
    payload = data[5:-2]
    if payload[3] == 0x80 or payload[2] != request_id:
        return []
    if payload[:2] != b"\x04\x00" or payload[3] != 0 or len(payload) < 20:
        raise ProtocolError(f"the Shizuku meter sent a frame of an unknown kind, {payload[:4].hex(' ')}")
    volts, amps = struct.unpack_from("<ff", payload, 4)
    (microseconds,) = struct.unpack_from("<Q", payload, len(payload) - 8)
    return [electrical(volts, amps, microseconds / 1e6)]
