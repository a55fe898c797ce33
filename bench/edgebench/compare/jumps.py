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
    """How far runs lie above and below the middle of their session, as logarithms: of all cells, and cell by cell.

    `up` and `down` are sorted; `own_up` and `own_down` have a row a cell, padded with what is never reached; `count` is
    how many runs of a cell could have jumped. `base` and `head` are the sorted `up` and `down` of these sessions alone.
    """

    up: Array
    down: Array
    own_up: Array
    own_down: Array
    count: Array
    base: tuple[Array, Array]
    head: tuple[Array, Array]

    def share(self, sizes: Array, way: Array, session: tuple[Array, Array]) -> Array:
        """Return for each cell the share of runs that jump by such a size or more, up where `way` is positive.

        What all cells say counts as twenty of a cell's own runs, where these jump less; where they jump more, they
        have to do so by more than chance (two standard deviations of a count). What was never seen is rare, not 0.
        Some sessions are disturbed more than others: where the runs of the `session` that is to be explained jump more
        often than all do, by one standard deviation of their count, each cell's share is that many times as large.
        """
        found: Array = np.where(
            way > 0,
            self._share(self.up, self.own_up, sizes, session[0]),
            self._share(self.down, self.own_down, sizes, session[1]),
        )
        return found

    def _share(self, every: Array, own: Array, sizes: Array, session: Array) -> Array:
        pooled = (_reaching(every, sizes) + 0.5) / (len(every) + 1)
        seen = (own >= sizes[:, None]).sum(axis=1)
        blended = (seen + _WEIGHT * pooled) / (self.count + _WEIGHT)
        surely = (seen - 2 * np.sqrt(seen)) / np.maximum(self.count, 1.0)
        here = _reaching(session, sizes)
        more = here / max(len(session), 1) / pooled
        disturbed = np.where(here - np.sqrt(here) > pooled * len(session), more, 1.0)
        found: Array = disturbed * np.maximum(np.minimum(blended, pooled), surely)
        return found


def _reaching(jumps: Array, sizes: Array) -> Array:
    """Return how many of the sorted jumps reach each size."""
    return np.asarray(len(jumps) - np.searchsorted(jumps, sizes, side="left"))


def jumps_from(up: Array, down: Array) -> Jumps:
    """Return the jumps of sessions from how far runs lie above and below, sessions x cells x runs, NaN for no run.

    The first session is the base, the second the head.
    """
    held = np.isfinite(up)
    cells = up.shape[1]
    own = [np.where(held, side, -np.inf).transpose(1, 0, 2).reshape(cells, -1) for side in (up, down)]
    base, head = ((np.sort(up[place][held[place]]), np.sort(down[place][held[place]])) for place in (0, 1))
    count = held.sum(axis=(0, 2)).astype(np.float64)
    return Jumps(np.sort(up[held]), np.sort(down[held]), own[0], own[1], count, base, head)


def jumps_of(sessions: Sequence[Sequence[Sequence[float]]]) -> Jumps:
    """Return the jumps of sessions, base and head first, each of them the runs of every cell.

    A cell of one run tells nothing of jumps.
    """
    most = max((len(values) for runs in sessions for values in runs), default=0)
    sides = np.full((2, len(sessions), len(sessions[0]), most), np.nan)
    for number, runs in enumerate(sessions):
        for place, values in enumerate(runs):
            if len(values) > 1:
                sides[:, number, place, : len(values)] = np.array(_sizes(values)).T
    return jumps_from(sides[0], sides[1])


def _sizes(values: Sequence[float]) -> list[tuple[float, float]]:
    """Return how far each run is above and below the middle; of two, either may be the one that jumped."""
    logs = sorted(map(math.log, values))
    if len(logs) == 2:
        return [(0.0, 0.0), (logs[1] - logs[0], logs[1] - logs[0])]
    middle = (logs[(len(logs) - 1) // 2] + logs[len(logs) // 2]) / 2
    return [(log - middle, middle - log) for log in logs]


def explained(jumps: Jumps, change: Array, runs: Array, way: Array, session: tuple[Array, Array]) -> Array:
    """Return the chance that more than half of a cell's `runs` jump by half of `change` or more: 1 of a single run.

    That is what it takes to move the middle run, up where `way` is positive, else down. Half the change, because jumps
    differ in size. `session` has the jumps of the session whose middle run it is.
    """
    share = np.clip(jumps.share(np.maximum(change, 0.0) / 2, way, session), 0.0, 1.0)
    found = np.ones_like(share)
    for count in np.unique(runs[runs > 1]):
        chosen = runs == count
        odds = share[chosen]
        whole = int(count)
        found[chosen] = sum(
            math.comb(whole, k) * odds**k * (1 - odds) ** (whole - k) for k in range(whole // 2 + 1, whole + 1)
        )
    return found
