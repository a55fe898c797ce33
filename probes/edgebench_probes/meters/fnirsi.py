"""FNIRSI FNB48, FNB48S, FNB58 and C1: USB HID, 100 samples/s in packets of four.

The protocol is not published; it was read off the wire by others: [1] github.com/baryluk/fnirsi-usb-power-data-logger,
[2] github.com/fqueze/usb-power-profiling. They agree on the frame, not on all of it: [1] reads values without a sign,
[2] with one, which is taken here, as an offset of some 10 uA goes below zero. [1] throws the first packet of data away,
as it holds garbage. Smoothing is from [2]. No data sheet with an accuracy was at hand.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from edgebench_probes.meters.protocol import ProtocolError, Reading, crc8_39, electrical

REPORT = 64
SAMPLES = 4
SPACING_S = 0.010
STEP_V = STEP_A = 1e-5
# A request lasts for one second; [2] repeats it each 0.5 s, [1] each 1 s for the FNB58 and each 3 ms for the others. An
# FNB58 of firmware 0.68 was reported to freeze at 1 s and to work at 3 ms ([1], issue 19).
KEEP_ALIVE_S, QUICK_S = 0.5, 0.003


@dataclass(frozen=True, slots=True)
class Model:
    """What differs between the models: the USB identity, the third request, the keep-alive, the built-in smoothing."""

    title: str
    usb: tuple[int, int]
    third: int
    keep_alive_s: float
    smoothing_s: float


MODELS = {
    "fnb48": Model("FNIRSI FNB48", (0x0483, 0x003A), 0x83, QUICK_S, 0.0),
    "c1": Model("FNIRSI C1", (0x0483, 0x003B), 0x83, QUICK_S, 0.5),
    "fnb58": Model("FNIRSI FNB58", (0x2E3C, 0x5558), 0x82, KEEP_ALIVE_S, 0.0),
    "fnb58-0.68": Model("FNIRSI FNB58, firmware 0.68", (0x2E3C, 0x5558), 0x82, QUICK_S, 0.0),
    "fnb48s": Model("FNIRSI FNB48S", (0x2E3C, 0x0049), 0x82, KEEP_ALIVE_S, 0.12),
}


def request(command: int) -> bytes:
    """Return a 64-byte report: AA, command, zeros, CRC-8 over bytes 1 to 62."""
    body = bytes([0xAA, command]) + bytes(REPORT - 3)
    return body + bytes([crc8_39(body[1:])])


def valid(report: bytes) -> bool:
    """Whether a report is a whole and uncorrupted one."""
    return len(report) == REPORT and report[0] == 0xAA and crc8_39(report[1:63]) == report[63]


def decode(frame: bytes) -> list[Reading]:
    """Return the four readings of a data report, oldest first, and none of any other report; raises ProtocolError."""
    if not valid(frame):
        raise ProtocolError("a report of the FNIRSI meter has a wrong length, start or checksum")
    if frame[1] != 0x04:
        return []
    readings = []
    for index in range(SAMPLES):
        volts, amps = struct.unpack_from("<ii", frame, 2 + 15 * index)
        readings.append(electrical(volts * STEP_V, amps * STEP_A))
    return readings
