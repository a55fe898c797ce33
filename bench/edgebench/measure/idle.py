"""Idle power: the baseline that net energy takes away."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from statistics import fmean, stdev
from typing import TYPE_CHECKING, Literal

from edgebench.measure.ledger import IdlePower
from edgebench_probes.base import ProbeError
from edgebench_probes.catalogue.discover import shortest_window
from edgebench_probes.sampling.probe import SampledProbe

if TYPE_CHECKING:
    from edgebench_probes.base import Mark, Probe


def measure_idle(
    probes: Sequence[Probe], seconds: float, when: Literal["before", "after"]
) -> tuple[tuple[IdlePower, ...], dict[str, str]]:
    """Measure idle power over about `seconds`, cut into windows of a second, or of what the slowest source needs.

    Returns the power of each scope and, for one without a figure, the reason.
    """
    slice_s = max([1.0, *(_idle_window_s(probe) for probe in probes)])
    slices = max(2, int(seconds / slice_s))
    slice_s = max(slice_s, seconds / slices)
    powers: dict[int, list[float]] = {index: [] for index in range(len(probes))}
    failed: dict[str, str] = {}
    marks: list[Mark | None] = [None] * len(probes)
    for step in range(slices + 1):
        for index, probe in enumerate(probes):
            try:
                mark = probe.mark()
                if (start := marks[index]) is not None:
                    powers[index].append(probe.energy(start, mark).power_w)
                marks[index] = mark
            except ProbeError as error:
                marks[index] = None
                failed[str(probe.info.scope)] = str(error)
        if step < slices:
            time.sleep(slice_s)
    records = []
    for index, probe in enumerate(probes):
        if found := powers[index]:
            scope = str(probe.info.scope)
            failed.pop(scope, None)
            records.append(
                IdlePower(
                    probe=probe.info.name,
                    scope=scope,
                    power_w=fmean(found),
                    stdev_w=stdev(found) if len(found) > 1 else None,
                    seconds=slice_s * len(found),
                    windows=len(found),
                    when=when,
                )
            )
    return tuple(records), failed


def _idle_window_s(probe: Probe) -> float:
    """Return what a window of idle power needs to hold enough samples, whatever the power; 0 for a counter."""
    return 1.05 * shortest_window(probe, math.inf) if isinstance(probe, SampledProbe) else 0.0
