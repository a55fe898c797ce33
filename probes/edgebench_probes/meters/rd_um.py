"""RuiDeng UM24C, UM25C, UM34C: serial over Bluetooth (rfcomm), a reading a request.

The protocol is not published; it was read off the air by others (sigrok.org/wiki/RDTech_UM_series, and the driver
rdtech-um of libsigrok), from which frames, models and the way they end are known. No data sheet was at hand.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import reduce
from operator import xor

from edgebench_probes.meters.protocol import Framer, ProtocolError, Reading, electrical

REQUEST = b"\xf0"
LENGTH = 130
END = b"\xff\xf1"  # UM24C and UM25C end so; they have no checksum
STEP_W = 1e-3
# The UM34C ends with the XOR of these bytes of its frame.
CHECKED = (1, 3, 7, 9, 15, 17, 19, 23, 31, 39, 41, 45, 49, 53, 55, 57, 59, 63, 67, 69, 73, 79, 83, 89, 97, 99, 109)
CHECKED_TOO = (111, 113, 119, 121, 127)


@dataclass(frozen=True, slots=True)
class Model:
    """Steps of voltage (V) and current (A), and whether the frame ends in a checksum."""

    title: str
    step_v: float
    step_a: float
    checksum: bool = False


MODELS = {
    0x0963: Model("RuiDeng UM24C", 1e-2, 1e-3),
    0x09C9: Model("RuiDeng UM25C", 1e-3, 1e-4),
    0x0D4C: Model("RuiDeng UM34C", 1e-2, 1e-3, checksum=True),
}


def checksum(frame: bytes) -> int:
    """Last byte of a UM34C frame."""
    return reduce(xor, (frame[index] for index in (*CHECKED, *CHECKED_TOO)))


def measure(buffer: bytes) -> int:
    """Length of the valid frame at the beginning of a buffer; see Framer."""
    if len(buffer) < 2:
        return 0
    model = MODELS.get(int.from_bytes(buffer[:2]))
    if model is None:
        return -1
    if len(buffer) < LENGTH:
        return 0
    good = checksum(buffer) == buffer[LENGTH - 1] if model.checksum else buffer[LENGTH - 2 : LENGTH] == END
    return LENGTH if good else -1


def framer() -> Framer:
    """Return a framer of this protocol: all three model numbers begin with 09 or 0D, so any byte may start a frame."""
    return Framer(b"", LENGTH, measure)


def decode(frame: bytes) -> list[Reading]:
    """Return the reading of a frame; raises ProtocolError.

    The power that the meter sends must agree with voltage and current: a frame without checksum has no other proof.
    """
    if len(frame) != LENGTH or measure(frame) != LENGTH:
        raise ProtocolError("a frame of the RuiDeng UM meter has an unknown model or a wrong end")
    model = MODELS[int.from_bytes(frame[:2])]
    volts, amps, milliwatts = struct.unpack_from(">HHI", frame, 2)
    reading = electrical(volts * model.step_v, amps * model.step_a, power_w=milliwatts * STEP_W)
    expected = volts * model.step_v * amps * model.step_a
    rounding = volts * model.step_v * model.step_a + amps * model.step_a * model.step_v + STEP_W
    if abs(reading.power_w - expected) > 0.02 * expected + 2 * rounding:
        raise ProtocolError(f"the RuiDeng UM meter says {reading.power_w:g} W where V times A is {expected:g} W")
    return [reading]
