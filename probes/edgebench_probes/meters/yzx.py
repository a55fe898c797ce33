"""YZXStudio ZY1276 and its family: serial, 115200 baud, a frame each 250 ms without being asked.

The frame was published by CursedHardware (github.com/CursedHardware/yzx-usb-meter), the checksum by
github.com/fqueze/usb-power-profiling. The clock in the frame moves only while a load is on, so the host's is used.
No data sheet with an accuracy was at hand.
"""

from __future__ import annotations

import struct

from edgebench_probes.meters.protocol import Framer, ProtocolError, Reading, electrical

VENDOR = 0x1A86  # the serial chip's maker (WCH): a meter has it, and much else
START = b"\xab\x00\x06"
LENGTH = 28
STEP_V = STEP_A = 1e-4
REFRESH_S = 0.25


def measure(buffer: bytes) -> int:
    """Length of the valid frame at the beginning of a buffer; see Framer."""
    if len(buffer) < LENGTH:
        return 0
    return LENGTH if sum(buffer[: LENGTH - 1]) % 256 == buffer[LENGTH - 1] else -1


def framer() -> Framer:
    """Return a framer of this protocol."""
    return Framer(START, LENGTH, measure)


def decode(frame: bytes) -> list[Reading]:
    """Return the reading of a frame; raises ProtocolError."""
    if len(frame) != LENGTH or not frame.startswith(START) or measure(frame) != LENGTH:
        raise ProtocolError("a frame of the YZXStudio meter has a wrong length, start or checksum")
    volts, amps = struct.unpack_from("<iI", frame, 3)
    return [electrical(volts * STEP_V, amps * STEP_A)]
