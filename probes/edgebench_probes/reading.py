"""What measuring a block gives: one reading a probe and scope, never pooled, and a reason for each that is missing."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from edgebench_probes.base import ProbeError, Scope, WindowEnergy
from edgebench_probes.finding import Finding
from edgebench_probes.window import net_per_inference

# Of a normal distribution 95 % lie within so many sigmas.
_Z95 = 1.959964


@dataclass(frozen=True, slots=True)
class Idle:
    """Power (W) of one probe at rest: the mean of before and after.

    `uncertainty_w` is one sigma: of both means, and half of what they differ by. `seconds` is the time of both.
    """

    power_w: float
    uncertainty_w: float
    before_w: float
    after_w: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Reading:
    """Energy of a block by one probe in one scope.

    `window` is what the probe says of it; `unsure` why its figure must not be relied on, None: it may. `idle` is the
    power at rest, None where it was not asked for, or could not be had: then `no_idle` says why.
    """

    probe: str
    source: str
    scope: Scope
    window: WindowEnergy
    unsure: str | None = None
    idle: Idle | None = None
    no_idle: str | None = None

    @property
    def energy_j(self) -> float:
        """Energy of the window (J), idle power included."""
        return self.window.energy_j

    @property
    def uncertainty_j(self) -> float:
        """Random uncertainty of `energy_j` (J, one sigma)."""
        return self.window.uncertainty_j

    @property
    def systematic_j(self) -> float:
        """Systematic error by the data sheet (J); 0 where none is published: not known, not none."""
        return self.window.systematic_j

    @property
    def seconds(self) -> float:
        """Length of the window (s): the block, and the waits for the source's refreshes around it."""
        return self.window.seconds

    @property
    def power_w(self) -> float:
        """Mean power of the window (W)."""
        return self.window.power_w

    @property
    def net_j(self) -> float | None:
        """Energy above idle (J); it may be negative. None without `idle`."""
        return None if self.idle is None else self._net(self.idle)[0]

    @property
    def net_uncertainty_j(self) -> float | None:
        """Random uncertainty of `net_j` (J, one sigma)."""
        return None if self.idle is None else self._net(self.idle)[1]

    def _net(self, idle: Idle) -> tuple[float, float]:
        return net_per_inference(self.window, 1, idle.power_w, idle.uncertainty_w)

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain data, units in the names; what is not known is absent."""
        found: dict[str, Any] = {"probe": self.probe, "source": self.source, "scope": str(self.scope)}
        found |= asdict(self.window) | {"parts": dict(self.window.parts), "power_w": self.power_w}
        if self.unsure is not None:
            found["unsure"] = self.unsure
        if self.idle is not None:
            found |= {"idle": asdict(self.idle), "net_j": self.net_j, "net_uncertainty_j": self.net_uncertainty_j}
        if self.no_idle is not None:
            found["no_idle"] = self.no_idle
        return found

    def _sigma(self, random: float) -> float:
        """Return one sigma (J) of a random part and the data sheet's, as a report's intervals have both."""
        return math.hypot(random, self.systematic_j)

    def __str__(self) -> str:
        joules = with_interval(self.energy_j, self._sigma(self.uncertainty_j), "J")
        lines = [f"{self.scope}: {joules} in {self.seconds:.3f} s, {self.power_w:.4g} W  ({self.probe}, {self.source})"]
        if self.systematic_j:
            lines.append(f"the data sheet's {self.systematic_j:.2g} J (1 sigma) are in the interval")
        if self.idle is not None:
            net, random = self._net(self.idle)
            above = with_interval(net, self._sigma(random), "J")
            lines.append(f"above idle: {above}; idle {with_interval(self.idle.power_w, self.idle.uncertainty_w, 'W')}")
        if self.no_idle is not None:
            lines.append(f"above idle: missing: {self.no_idle}")
        if self.unsure is not None:
            lines.append(f"not sure: {self.unsure}")
        return "\n  ".join(lines)


class Measured:
    """What was measured; complete when the block has ended."""

    def __init__(self) -> None:
        self._done: tuple[tuple[Reading, ...], tuple[Finding, ...], float] | None = None

    def complete(self, readings: Iterable[Reading], missing: Iterable[Finding], seconds: float) -> None:
        """Take the result; for `measure` alone."""
        self._done = tuple(readings), tuple(missing), seconds

    def _ended(self) -> tuple[tuple[Reading, ...], tuple[Finding, ...], float]:
        if self._done is None:
            raise ProbeError("this measurement has not ended", "ask for its readings after the block")
        return self._done

    @property
    def readings(self) -> tuple[Reading, ...]:
        """One reading a probe and scope."""
        return self._ended()[0]

    @property
    def missing(self) -> tuple[Finding, ...]:
        """What has no reading, with the reason."""
        return self._ended()[1]

    @property
    def seconds(self) -> float:
        """How long the block itself took (s), by CLOCK_MONOTONIC."""
        return self._ended()[2]

    def reading(self, scope: str | None = None, *, probe: str | None = None, source: str | None = None) -> Reading:
        """Return the one reading of this scope, probe and source (each may be left out where the others are enough).

        Raises ProbeError: with the reason where it is missing, and where several readings fit.
        """
        asked = ", ".join(filter(None, (scope, probe, source))) or "this block"
        fits = [
            one
            for one in self.readings
            if scope in (None, one.scope) and probe in (None, one.probe) and source in (None, one.source)
        ]
        if len(fits) == 1:
            return fits[0]
        if fits:
            names = ", ".join(f"{one.scope} by {one.probe} ({one.source})" for one in fits)
            raise ProbeError(f"{asked} has {len(fits)} readings: {names}", "say which by scope, probe and source")
        gone = [one for one in self.missing if scope in (None, one.scope) and probe in (None, one.name)]
        if gone:
            raise ProbeError(f"{asked} has no reading: {gone[0].reason}", gone[0].fix)
        names = ", ".join(dict.fromkeys(str(one.scope) for one in self.readings)) or "none"
        raise ProbeError(f"{asked} has no reading", f"the scopes measured are: {names}")

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain data, for JSON."""
        return {
            "seconds": self.seconds,
            "readings": [one.as_dict() for one in self.readings],
            "missing": [_absent(one) for one in self.missing],
        }

    def __str__(self) -> str:
        lines = "\n".join((*map(str, self.readings), *_lines(self.missing))).split("\n")
        return "\n".join(map(printable, lines))


def _absent(finding: Finding) -> dict[str, str]:
    scope = None if finding.scope is None else str(finding.scope)
    found = {"name": finding.name, "source": finding.source, "scope": scope}
    return {key: value for key, value in {**found, "reason": finding.reason, "fix": finding.fix}.items() if value}


def _lines(missing: Sequence[Finding]) -> Iterable[str]:
    for one in missing:
        fix = f"; {one.fix}" if one.fix else ""
        yield f"{one.scope or one.name}: missing: {one.reason}{fix}  ({one.name})"


def printable(line: str) -> str:
    """Return a line without what would steer a terminal: names and reasons come from meters and plug-ins too."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in line)


def with_interval(value: float, sigma: float, unit: str) -> str:
    """Return a figure with its 95 % interval, to two digits of what it reaches: `35.021 J [34.997, 35.045]`."""
    if not (math.isfinite(sigma) and sigma > 0):
        return f"{value:.6g} {unit}"
    reach = _Z95 * sigma
    digits = max(0, min(9, 1 - math.floor(math.log10(reach))))
    shown, low, high = (f"{one:.{digits}f}" for one in (value, value - reach, value + reach))
    return f"{shown} {unit} [{low}, {high}]"
