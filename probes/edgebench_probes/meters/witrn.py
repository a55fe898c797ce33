"""WITRN C4, C5, U3 and their family: USB HID, a report each millisecond or so without being asked.

The maker's own packet structure is described with the published WITRN HID demo; the time stamp and both checksums also
in github.com/fqueze/usb-power-profiling. No data sheet with an accuracy was at hand.
"""

from __future__ import annotations

import struct

from edgebench_probes.meters.protocol import ProtocolError, Reading, electrical

VENDOR = 0x0716
REPORT = 64
CLOCK_WRAP_S = 256.0


def valid(report: bytes) -> bool:
    """Whether a report is whole and both its sums are right."""
    if len(report) != REPORT or report[:2] != b"\xff\x55":
        return False
    inner = sum(report[8:62]) % 256
    return report[62] == inner and report[63] == (sum(report[:8]) + inner) % 256


def clock_s(report: bytes) -> float:
    """Time of the meter in s, modulo 256 s; raises ProtocolError.

    Byte 2 holds the seconds modulo 256, byte 3 the milliseconds within the second modulo 256, byte 6 all milliseconds
    modulo 100: together they leave one millisecond, or none.
    """
    for milliseconds in range(report[3], 1000, 256):
        if milliseconds % 100 == report[6]:
            return report[2] + milliseconds / 1000
    raise ProtocolError("the time in a report of the WITRN meter contradicts itself")


def decode(frame: bytes) -> list[Reading]:
    """Return the reading of a report, with the meter's clock modulo 256 s; raises ProtocolError."""
    if not valid(frame):
        raise ProtocolError("a report of the WITRN meter has a wrong length, start or checksum")
    volts, amps = struct.unpack_from("<ff", frame, 46)
    return [electrical(volts, amps, clock_s(frame))]


class Unwrap:
    """Extends a clock that wraps: the difference to the reading before is taken modulo the wrap.

    A step back by less than a tenth of the wrap is a report out of order, and stays a step back.
    """

    def __init__(self, wrap_s: float = CLOCK_WRAP_S) -> None:
        self._wrap_s = wrap_s
        self._last: float | None = None
        self._total = 0.0

    def __call__(self, seconds: float) -> float:
        """Extend one time stamp (s)."""
        if self._last is None:
            self._total = seconds
        else:
            step = (seconds - self._last) % self._wrap_s
            self._total += step if step < 0.9 * self._wrap_s else step - self._wrap_s
        self._last = seconds
        return self._total
