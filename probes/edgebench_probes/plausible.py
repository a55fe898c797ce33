"""What a reading of power may be: the one rule for every source. Pure.

A source without a sign by nature (a processor, a graphics unit, an ACPI meter) that reads below zero, above what a
thing of its scope can draw, or what its driver says when it has no value, has no reading. Where the sign is a direction
by nature (a meter in a cable, a battery), the power is its magnitude, and a flow that turns round in between ends the
stretch: joules there and back have no sum.
"""

from __future__ import annotations

import math

from edgebench_probes.base import ProbeError, Scope

MAX_VOLTS = 1000.0  # beyond every source of the catalogue
MAX_AMPS = 1000.0
# Chosen here, far above what one thing of the kind draws: a value beyond is a register without a value, no power.
MOST_W = {
    Scope.CORE: 1000.0,
    Scope.UNCORE: 1000.0,
    Scope.PACKAGE: 1000.0,
    Scope.DRAM: 1000.0,
    Scope.MODULE: 1000.0,
    Scope.GPU: 3000.0,
    Scope.PSYS: 25_000.0,
    Scope.BOARD_DC: 25_000.0,
    Scope.WALL_AC: 25_000.0,
}
TURN_W = 0.1  # a flow below this is an offset of the converter, not a direction
# All bits set, or the end of a register's range. ACPI 6.0, 10.4.3 and 10.4.5: an Integer with all bits set is returned
# where a reading or an averaging interval is not available, which the kernel's driver scales by 1000.
_EMPTY = frozenset(
    sign * value
    for bits in (32, 64)
    for value in (2**bits - 1, 2 ** (bits - 1) - 1, 2 ** (bits - 1))
    for sign in (1, -1)
)


class Implausible(ProbeError):  # noqa: N818 - says what is so
    """This value is no power."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason, "measure with another source (`edgebench probes` lists them)")


def without_value(raw: int) -> bool:
    """Whether a whole number from a driver stands for "no value", also where the driver scaled it by a thousand."""
    return raw in _EMPTY or (raw % 1000 == 0 and raw // 1000 in _EMPTY)


def plausible(power_w: float, scope: Scope) -> float:
    """Return a power (W) that a thing of this scope can draw; raises Implausible with the reason for any other."""
    if not math.isfinite(power_w):
        raise Implausible(f"it gave {power_w} W, which is no power")
    if power_w < 0:
        raise Implausible(f"it gave {power_w:.6g} W, and a power below zero is none that {scope} can draw")
    if power_w > MOST_W[scope]:
        raise Implausible(f"it gave {power_w:.7g} W, more than {scope} can draw: the sensor has no value")
    return power_w


def electrical_power(volts: float, amps: float) -> float:
    """Product (W) of a voltage (V) and a current (A), with the sign of the current; raises Implausible."""
    if not (0 <= volts <= MAX_VOLTS and abs(amps) <= MAX_AMPS):
        raise Implausible(f"it gave {volts:g} V and {amps:g} A, which cannot be")
    return volts * amps


class Direction:
    """Power of a source whose sign tells the way of the flow: its magnitude, as long as it does not turn round."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self._sign = 0

    def __call__(self, power_w: float) -> float:
        """Magnitude (W) of a reading; raises Implausible."""
        size = plausible(abs(power_w), self._scope)
        sign = 0 if size < TURN_W else 1 if power_w > 0 else -1
        if sign and self._sign and sign != self._sign:
            raise Implausible("the flow has turned round, and power there and back has no sum")
        self._sign = self._sign or sign
        return size

    @property
    def notes(self) -> tuple[tuple[str, str], ...]:
        """What the report is told: the direction, where it is against the arrow."""
        text = "the sign of the source is negative: the magnitude is counted"
        return (("direction", text),) if self._sign < 0 else ()
