"""Power of a machine at rest, before and after a block: what is taken away from its energy."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean, stdev

from edgebench_probes.base import Mark, Probe, ProbeError
from edgebench_probes.catalogue.discover import shortest_window
from edgebench_probes.reading import Idle

MIN_SLICES, MAX_SLICES = 2, 10
SLICE_REFRESHES = 200  # of a counter: 1 % of a slice is two refreshes


@dataclass(frozen=True, slots=True)
class Rest:
    """Mean power (W) of one stretch at rest, its uncertainty (W, one sigma), and its length (s)."""

    power_w: float
    sigma_w: float
    seconds: float


def check_long_enough(probes: Sequence[Probe], seconds: float) -> None:
    """Raise ProbeError when some probe cannot tell its idle power in so many seconds."""
    for probe in probes:
        needed_s = MIN_SLICES * _slice_s(probe)
        if seconds < needed_s:
            raise ProbeError(
                f"an idle time of {seconds:g} s is too short for {probe.info.name} ({probe.info.scope})",
                f"give at least {needed_s:.2g} s",
            )


def rest(probes: Sequence[Probe], seconds: float) -> list[Rest | str]:
    """Wait so many seconds and return for each probe its mean power, or the reason why it has none.

    The stretch is cut into slices, whose scatter tells how steady the machine is at rest.
    """
    longest_s = max((_slice_s(probe) for probe in probes), default=seconds)
    slices = max(MIN_SLICES, min(MAX_SLICES, int(seconds / longest_s)))
    marks: list[list[Mark | str]] = [[_mark(probe) for probe in probes]]
    begun = time.monotonic()
    for index in range(1, slices + 1):
        time.sleep(max(0.0, begun + seconds * index / slices - time.monotonic()))
        marks.append([_mark(probe) for probe in probes])
    return [_mean(probe, [row[index] for row in marks]) for index, probe in enumerate(probes)]


def idle(before: Rest | str, after: Rest | str) -> tuple[Idle | None, str | None]:
    """Return the idle power of both stretches, or why there is none. A drift between them is uncertainty."""
    if isinstance(before, str):
        return None, f"no idle power before the block ({before})"
    if isinstance(after, str):
        return None, f"no idle power after the block ({after})"
    means = math.hypot(before.sigma_w, after.sigma_w) / 2
    drift = abs(before.power_w - after.power_w) / 2
    power_w = (before.power_w + after.power_w) / 2
    seconds = before.seconds + after.seconds
    return Idle(power_w, math.hypot(means, drift), before.power_w, after.power_w, seconds), None


def _slice_s(probe: Probe) -> float:
    """Return the shortest slice (s): of samples enough for a mean, of a counter enough refreshes to tell it moves."""
    info = probe.info
    return SLICE_REFRESHES * info.refresh_s if info.kind == "counter" else 1.05 * shortest_window(probe, math.inf)


def _mark(probe: Probe) -> Mark | str:
    try:
        return probe.mark()
    except ProbeError as error:
        return error.reason


def _mean(probe: Probe, marks: Sequence[Mark | str]) -> Rest | str:
    """Return the mean power between the first and the last mark."""
    good: list[Mark] = []
    for mark in marks:
        if isinstance(mark, str):
            return mark
        good.append(mark)
    try:
        whole = probe.energy(good[0], good[-1])
        powers = [probe.energy(a, b).power_w for a, b in pairwise(good)]
    except ProbeError as error:
        return error.reason
    scatter_w = stdev(powers, fmean(powers)) / math.sqrt(len(powers))
    return Rest(whole.power_w, max(scatter_w, whole.uncertainty_j / whole.seconds), whole.seconds)
