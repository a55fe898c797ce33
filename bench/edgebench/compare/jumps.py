"""Runs that jump: how often a run lies far from its session's others, and what so many jumps can explain.

A few runs in a hundred are disturbed whatever the machine, and some benchmarks have two speeds. Neither is a change of
the software, and no t statistic of two or five runs knows of it. So jumps are counted over all runs of a comparison,
and a difference is no proof where the middle run of a side can be one of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgebench.compare.shrink import Array

# What all cells together say of jumps counts as this many runs of each cell.
_WEIGHT = 20.0


@dataclass(frozen=True, slots=True)
class Jumps:
    """How far runs lie from the middle of their session, as logarithms: of all cells (sorted), and cell by cell.

    `own` has a row a cell, padded with -1; `count` is how many runs of a cell could have jumped.
    """

    sizes: Array
    own: Array
    count: Array

    def share(self, sizes: Array) -> Array:
        """Return for each cell the share of runs that jump by such a size or more; what was never seen is rare, not 0.

        What all cells say counts as twenty of a cell's own runs, where these jump less; where they jump more, they
        have to do so by more than chance (two standard deviations of a count).
        """
        above = len(self.sizes) - np.searchsorted(self.sizes, sizes, side="left")
        pooled = (above + 0.5) / (len(self.sizes) + 1)
        # Nothing is no jump: a change of zero is explained by every run, not by the padding.
        seen = ((self.own >= sizes[:, None]) & (self.own >= 0)).sum(axis=1)
        blended = (seen + _WEIGHT * pooled) / (self.count + _WEIGHT)
        surely = (seen - 2 * np.sqrt(seen)) / np.maximum(self.count, 1.0)
        found: Array = np.maximum(np.minimum(blended, pooled), surely)
        return found


def jumps_of(sessions: Sequence[Sequence[Sequence[float]]]) -> Jumps:
    """Return the jumps of sessions, each of them the runs of every cell; a cell of one run tells nothing of jumps."""
    rows: list[list[float]] = []
    for runs in zip(*sessions, strict=True):
        row: list[float] = []
        for values in runs:
            if len(values) > 1:
                row += _sizes(values)
        rows.append(row)
    own = np.full((len(rows), max(map(len, rows), default=0)), -1.0)
    for place, row in enumerate(rows):
        own[place, : len(row)] = row
    return Jumps(np.sort(own[own >= 0]), own, np.array([float(len(row)) for row in rows]))


def _sizes(values: Sequence[float]) -> list[float]:
    """Return how far each run is from the middle; of two, one stays and the other is as far as they are apart."""
    logs = sorted(map(math.log, values))
    if len(logs) == 2:
        return [0.0, logs[1] - logs[0]]
    middle = (logs[(len(logs) - 1) // 2] + logs[len(logs) // 2]) / 2
    return [abs(log - middle) for log in logs]


def explained(jumps: Jumps, change: Array, runs: Array) -> Array:
    """Return the chance that more than half of a cell's `runs` jump by half of `change` or more: 1 of a single run.

    That is what it takes to move the middle run. Half the change, because jumps differ in size.
    """
    share = np.clip(jumps.share(np.maximum(change, 0.0) / 2), 0.0, 1.0)
    found = np.ones_like(share)
    for count in np.unique(runs[runs > 1]):
        chosen = runs == count
        odds = share[chosen]
        whole = int(count)
        found[chosen] = sum(
            math.comb(whole, k) * odds**k * (1 - odds) ** (whole - k) for k in range(whole // 2 + 1, whole + 1)
        )
    return found
