"""What all meter protocols share: a reading, the one error a decoder may raise, framing that finds its way back."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from edgebench_probes.base import ProbeError

MAX_VOLTS = 1000.0  # beyond every meter of the catalogue: a frame that says so is no measurement
MAX_AMPS = 100.0
MAX_POWER_W = 25_000.0


class ProtocolError(ProbeError):
    """A frame is not what the protocol says; the only error that a decoder raises."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One value of a meter: W, and where the meter gives them V, A and its own clock in s (which may wrap or jump).

    `power_w` is a magnitude, and `backwards` that the current had the negative sign; of power alone it has the sign.
    """

    power_w: float
    volts: float | None = None
    amps: float | None = None
    device_s: float | None = None
    backwards: bool = False

    @property
    def signed_w(self) -> float:
        """Power (W) with the sign of the current."""
        return -self.power_w if self.backwards else self.power_w


def electrical(volts: float, amps: float, device_s: float | None = None, power_w: float | None = None) -> Reading:
    """Return a reading of voltage and current; the sign of a current tells the way round the meter is plugged in.

    Raises ProtocolError for what no meter can have measured, infinities and NaN among it.
    """
    power = abs(volts * amps) if power_w is None else power_w
    if not (0 <= volts <= MAX_VOLTS and abs(amps) <= MAX_AMPS and 0 <= power <= MAX_POWER_W):
        raise ProtocolError(f"the meter says {volts:g} V, {amps:g} A and {power:g} W, which cannot be")
    return Reading(power, volts, abs(amps), device_s, amps < 0)


def active_power(power_w: float) -> Reading:
    """Return a reading of power alone, whose sign is a direction; raises ProtocolError for what cannot be."""
    if not (math.isfinite(power_w) and abs(power_w) <= MAX_POWER_W):
        raise ProtocolError(f"the meter says {power_w:g} W, which cannot be")
    return Reading(power_w)


class Framer:
    """Cuts a byte stream into frames, and finds the next frame after garbage.

    `measure` looks at a buffer that begins with the protocol's `start` and answers the length of the valid frame there,
    0 when more bytes are needed to tell, or -1 when no frame begins here. `longest` bounds what is kept.
    """

    def __init__(self, start: bytes, longest: int, measure: Callable[[bytes], int]) -> None:
        self._start, self._longest, self._measure = start, longest, measure
        self._buffer = b""
        self.skipped = 0  # bytes that belonged to no frame

    def feed(self, data: bytes) -> list[bytes]:
        """Take bytes as they come and return the frames that are complete now."""
        buffer, frames, at = self._buffer + data, [], 0
        while at < len(buffer):
            found = buffer.find(self._start, at)
            if found < 0:  # the last bytes may be the beginning of a start
                found = max(at, len(buffer) - len(self._start) + 1)
                self.skipped += found - at
                at = found
                break
            self.skipped += found - at
            at = found
            length = self._measure(buffer[at : at + self._longest])
            if length == 0 and len(buffer) - at < self._longest:
                break
            if length <= 0:
                self.skipped += 1
                at += 1
            else:
                frames.append(buffer[at : at + length])
                at += length
        self._buffer = buffer[at:]
        return frames

    def clear(self) -> None:
        """Forget an unfinished frame."""
        self.skipped += len(self._buffer)
        self._buffer = b""


def _crc8_table(polynomial: int) -> bytes:
    table = bytearray()
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = (crc << 1 ^ (polynomial if crc & 0x80 else 0)) & 0xFF
        table.append(crc)
    return bytes(table)


_CRC8_39 = _crc8_table(0x39)


def crc8_39(data: bytes, crc: int = 0x42) -> int:
    """CRC-8 with polynomial 0x39, most significant bit first, initial value 0x42 (FNIRSI)."""
    for byte in data:
        crc = _CRC8_39[crc ^ byte]
    return crc


def _crc16_table(polynomial: int) -> tuple[int, ...]:
    table = []
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = crc >> 1 ^ (polynomial if crc & 1 else 0)
        table.append(crc)
    return tuple(table)


_CRC16_MODBUS = _crc16_table(0xA001)


def crc16_modbus(data: bytes) -> int:
    """CRC-16/MODBUS: polynomial 0x8005 reflected, initial value 0xFFFF."""
    crc = 0xFFFF
    for byte in data:
        crc = crc >> 8 ^ _CRC16_MODBUS[(crc ^ byte) & 0xFF]
    return crc
