"""How sure a difference is: chances that nothing changed for the worse, or the better, by more than the margin.

Everything is oriented: positive is worse. Three doubts stand between a difference and its proof. Runs jump: an even
number of runs counts with the middle run that speaks against the change, and what jumps explain is added to the chance
(`jumps`). Sessions differ: a history measures it. Without one, either the whole difference is sure although sessions
differ by 3 %, or the cell stands out from the others of its metric, whose differences
show how far sessions take single cells.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgebench.compare.inference import Estimates, RunStats, quantile, upper_tail
from edgebench.compare.jumps import Jumps, explained
from edgebench.compare.shrink import MOST_DF, Array

# Where a report itself warns (other load, throttled, a virtual machine), its doubt counts as this much more.
DOUBT = 1.5
# So many cells tell how far sessions take single ones; their spread is known with this many degrees of freedom a cell.
CELLS_NEEDED = 8
_DF_A_CELL = 0.4
# A cell that stands out must also be worse by itself, at this level.
_PLAUSIBLE = 0.05
_MAD = 1.4826
# How finely, and how far, is searched for the change that jumps do not explain.
_STEP, _STEPS = 1.25, 12


@dataclass(frozen=True, slots=True)
class Evidence:
    """Chances that a cell is not worse, or not better, than the margin, and what a proof of a change would take.

    `reach_se` and `reach_df` are the error that a proof has to overcome; `doubts` the jumps that it has to leave
    unexplained, a metric each, with how many cells of the arrays are its own.
    """

    p_worse: Array
    p_better: Array
    reach_se: Array
    reach_df: Array
    doubts: tuple[tuple[int, Doubts | None], ...]

    def reach(self, margin: Array, alpha: float, family: int) -> Array:
        """Return the log ratio that 80 % of such comparisons prove; infinite where so few runs prove nothing.

        For a single changed cell, at the strictest step of Holm over the `family`.
        """
        level = alpha / max(family, 1)
        found: Array = margin + self.reach_se * (quantile(self.reach_df, 1 - level) + quantile(self.reach_df, 0.8))
        begin = 0
        for count, doubts in self.doubts:
            part = slice(begin, begin + count)
            begin += count
            if doubts is not None:
                found[part] = doubts.beyond(found[part], level / 2)
        return found


@dataclass(frozen=True, slots=True)
class Doubts:
    """The jumps of a metric, and how many runs stand on either side; `base_runs` is inf where a history does.

    `sign` is positive where a figure that rises is worse.
    """

    jumps: Jumps
    sign: Array
    head_runs: Array
    base_runs: Array

    def of(self, change: Array, way: Array) -> Array:
        """Return the chance that jumps of the head's runs, or of a base that stands alone, explain a change.

        A figure has risen where `way` is positive: runs of the head jumped up, or those of the base down.
        """
        usable = np.where(np.isfinite(change), change, 0.0)
        alone = np.isfinite(self.base_runs)
        found = explained(self.jumps, usable, self.head_runs, way, self.jumps.head)
        of_base = explained(self.jumps, usable, np.where(alone, self.base_runs, 1.0), -way, self.jumps.base)
        found = found + np.where(alone, of_base, 0.0)
        return np.minimum(found, 1.0)

    def beyond(self, change: Array, chance: float) -> Array:
        """Return the change from where on jumps explain it with less than a chance, infinite where there is none."""
        found = change
        for _ in range(_STEPS):
            short = self.of(found, self.sign) > chance
            if not short.any():
                return found
            found = np.where(short, _STEP * found, found)
        return np.where(self.of(found, self.sign) > chance, np.inf, found)


def joined(parts: Sequence[Evidence]) -> Evidence:
    """Return the evidence of several metrics as one."""
    names = ("p_worse", "p_better", "reach_se", "reach_df")
    arrays = [np.concatenate([getattr(part, name) for part in parts]) for name in names]
    return Evidence(arrays[0], arrays[1], arrays[2], arrays[3], tuple(one for part in parts for one in part.doubts))


def from_history(
    sign: Array,
    margin: Array,
    head: RunStats,
    base: RunStats,
    estimates: Estimates,
    jumps: Jumps,
    apart: Estimates | None = None,
) -> Evidence:
    """Return the evidence against the level that a history has measured.

    `apart` are the same estimates without what all cells of a session share: a cell may be proven worse by itself, or
    by standing out from the others.
    """
    alone = np.where(estimates.sessions < 2, base.count, np.inf)
    doubts = Doubts(jumps, sign, head.count, alone)
    found = []
    for way in (sign, -sign):
        side = _against(way, head, estimates.log_ratio)
        chance = upper_tail((side - margin) / estimates.se, estimates.df)
        if apart is not None:
            far = upper_tail((_against(way, head, apart.log_ratio) - margin) / apart.se, apart.df)
            # Two ways to a proof are two chances of a false one.
            chance = 2 * np.fmin(chance, np.where(chance <= _PLAUSIBLE, far, 1.0))
        found.append(np.minimum(chance + doubts.of(side, way), 1.0))
    nearer = estimates if apart is None else apart
    return Evidence(found[0], found[1], nearer.se, nearer.df, ((len(sign), doubts),))


def without_history(
    sign: Array,
    margin: Array,
    head: RunStats,
    base: RunStats,
    estimates: Estimates,
    jumps: Jumps,
    *,
    sd: float,
    assumed_sd: float,
    doubt: Array,
) -> Evidence:
    """Return the evidence of two sessions alone.

    `estimates` rest on `assumed_sd`, what sessions are said to differ by; a proof has to hold with `sd`, which is
    larger. `doubt` multiplies the uncertainty of each cell.
    """
    runs = np.maximum(estimates.se**2 - 2 * assumed_sd**2, 0.0)
    whole_se = doubt * np.sqrt(2 * sd**2 + runs)
    sides = [_against(way, head, estimates.log_ratio, base) for way in (sign, -sign)]
    usual = int(np.isfinite(estimates.log_ratio).sum())
    shift = float(np.nanmedian(sign * estimates.log_ratio)) if usual else math.nan
    apart_se, apart_df = _apart(estimates, runs, usual)
    apart_se = doubt * apart_se
    doubts = Doubts(jumps, sign, head.count, base.count)
    found = []
    for side, turn in zip(sides, (1.0, -1.0), strict=True):
        whole = upper_tail((side - margin) / whole_se, estimates.df)
        apart = upper_tail((side - turn * shift - margin) / apart_se, apart_df)
        plausible = upper_tail((side - margin) / estimates.se, estimates.df) <= _PLAUSIBLE
        either = np.fmin(whole, np.where(plausible, apart, 1.0))
        # Two ways to a proof are two chances of a false one.
        either = np.where(np.isfinite(apart_se), 2 * either, whole)
        found.append(np.minimum(either + doubts.of(side, turn * sign), 1.0))
    nearer = apart_se < whole_se
    reach_df = np.where(nearer, apart_df, estimates.df)
    reach_se = np.where(nearer, apart_se, whole_se)
    return Evidence(found[0], found[1], reach_se, reach_df, ((len(reach_se), doubts),))


def _against(sign: Array, head: RunStats, log_ratio: Array, base: RunStats | None = None) -> Array:
    """Return the oriented difference with the middle runs that speak against it."""
    found = sign * log_ratio - np.where(sign > 0, head.middle - head.low, head.high - head.middle)
    if base is not None:
        found = found - np.where(sign > 0, base.high - base.middle, base.middle - base.low)
    return np.asarray(found)


def _apart(estimates: Estimates, runs: Array, cells: int) -> tuple[Array, Array]:
    """Return how far unchanged cells lie from the common shift (1 sigma), and its degrees of freedom; NaN of few."""
    if cells < CELLS_NEEDED:
        none = np.full_like(runs, np.nan)
        return none, none
    scatter = _MAD * float(np.nanmedian(np.abs(estimates.log_ratio - np.nanmedian(estimates.log_ratio))))
    # A noisier cell than the usual one scatters more.
    variance = scatter**2 + np.maximum(runs - float(np.nanmedian(runs)), 0.0)
    return np.sqrt(np.maximum(variance, 1e-8)), np.full_like(runs, min(_DF_A_CELL * cells, MOST_DF))
