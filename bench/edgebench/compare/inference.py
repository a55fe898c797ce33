"""The arithmetic of the gate: from runs of many cells to estimates with standard errors, and Holm's correction.

Everything is on the natural logarithm; arrays have one entry a cell of one metric.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgebench.compare.shrink import MOST_DF, Array, Flags, Prior, fit_prior, shrink
from edgebench.report import student

# The stated prior counts as this many sessions' worth of knowledge against a history.
PRIOR_DF = 4.0
# All cells together know the spread between sessions at most this well: degrees of freedom, and more a session.
_SHARED_DF = (10.0, 4.0)
# A base that departs from its history at this level (two-sided) is judged against itself alone.
_DEPARTED_P = 0.001
# Differences of a pair below this (1 sigma, relative) are the clock's, not the machine's.
PAIR_FLOOR = 1e-4
# So many sessions have a median run-to-run variance.
_MANY = 5
# A median of sessions is this much less certain than their mean (pi/2 for a normal distribution and many of them).
_MEDIAN = math.pi / 2
# The functions of one number, for arrays.
_UPPER_TAIL = np.frompyfunc(student.upper_tail, 2, 1)
_QUANTILE = np.frompyfunc(student.quantile, 2, 1)


@dataclass(frozen=True, slots=True)
class Estimates:
    """Log ratios of the cells, head over the base's level, with standard error and degrees of freedom; NaN for none.

    `sessions` is how many sessions the level comes from; with one it is the base itself. `departed` marks bases away
    from their history. `spread` is the standard deviation between two sessions of one unchanged cell, runs included.
    """

    log_ratio: Array
    se: Array
    df: Array
    sessions: Array
    departed: Flags
    spread: Array


@dataclass(frozen=True, slots=True)
class RunStats:
    """Runs of one session, one entry a cell: log of the median run, number of runs, sum of squares of their logs.

    `low` and `high` are the logs of the two middle runs, equal for an odd number: more than half of the runs are at
    least as high as `low`, and as low as `high`.
    """

    middle: Array
    low: Array
    high: Array
    count: Array
    squares: Array


def run_stats(runs: Sequence[Sequence[float]]) -> RunStats:
    """Return the statistics of the cells' runs; a cell without runs has NaN."""
    middle, low, high, squares = (np.full(len(runs), math.nan) for _ in range(4))
    counts = np.array([float(len(cell)) for cell in runs])
    for place, cell in enumerate(runs):
        if not cell:
            squares[place] = 0.0
            continue
        ordered = sorted(cell)
        lower, upper = ordered[(len(cell) - 1) // 2], ordered[len(cell) // 2]
        middle[place] = math.log((lower + upper) / 2)
        low[place], high[place] = math.log(lower), math.log(upper)
        # Many small lists: a thousand reports are half a million of them, and arrays of five values cost more.
        logs = list(map(math.log, ordered))
        mean = math.fsum(logs) / len(logs)
        squares[place] = math.fsum((log - mean) ** 2 for log in logs)
    return RunStats(middle, low, high, counts, squares)


def stored(base: RunStats, head: RunStats, prior_sd: float) -> Estimates:
    """Compare two sessions with a stated session-to-session spread: `prior_sd`, relative, taken as known.

    The variance is that of two sessions plus that of their runs; degrees of freedom by Satterthwaite. A cell of one
    run a side takes its run-to-run variance from the other cells; where no cell has two runs, there is none (NaN).
    """
    run_variance, run_df = _run_variance((base, head))
    of_runs = run_variance * (of_median(base.count) + of_median(head.count))
    variance = 2 * prior_sd**2 + of_runs
    with np.errstate(divide="ignore", invalid="ignore"):
        df = np.where(of_runs > 0, run_df * (variance / of_runs) ** 2, MOST_DF)
    ones = np.ones_like(base.middle)
    se = np.sqrt(variance)
    return Estimates(head.middle - base.middle, se, np.minimum(df, MOST_DF), ones, ones < 0, se)


def of_median(count: Array) -> Array:
    """Return the variance of the median of so many normal values, in units of theirs: 1 of one, pi/2n of many."""
    with np.errstate(divide="ignore"):
        found: Array = np.where(count > 0, math.pi / (2 * count + math.pi - 2), np.inf)
    return found


def predicted(
    base: RunStats, head: RunStats, history: Sequence[RunStats], groups: Sequence[int], prior_sd: float
) -> Estimates:
    """Compare with a history of earlier sessions: a predictive t of the head among the sessions of the base's level.

    `groups` numbers the software of each earlier session, 0 being the base's own: only group 0 tells the base's
    level, the median of its sessions, and every group tells how sessions of one software differ. The variance of a
    session is measured against what prior and runs predict, shrunk across cells, and never trusted to be far below
    the prior while there are few sessions. Sessions share what drifts in the machine, so more cells do not make up
    for few sessions.
    """
    run_variance, _ = _run_variance((base, head, *history))
    run_variance = np.nan_to_num(run_variance)
    middles = np.array([base.middle, *(entry.middle for entry in history)])
    counts = np.array([base.count, *(entry.count for entry in history)])
    of = np.array([0, *groups])
    with warnings.catch_warnings():
        # A cell that no session has is all NaN, and stays so.
        warnings.simplefilter("ignore", RuntimeWarning)
        usual = np.nanmean(np.where(np.isfinite(middles), of_median(counts), np.nan), axis=0)
        expected = prior_sd**2 + run_variance * usual
        variance, df = _session_variance(middles, of, expected)
        level = middles[of == 0]
        known = np.isfinite(level).sum(axis=0).astype(np.float64)
        centre = np.nanmedian(level, axis=0)
        others = np.where(known > 1, np.nanmedian(level[1:], axis=0) if len(level) > 1 else math.nan, base.middle)
    reach = variance * (1 + _of_level(known))
    # A base away from the rest of its level: the rest says how sessions spread, the base alone where it is.
    spread_without, df_without = _session_variance(middles[1:], of[1:], expected)
    gap = np.abs(base.middle - others) / np.sqrt(spread_without * (1 + _of_level(known - 1)))
    departed = (known > 1) & (2 * upper_tail(gap, df_without) < _DEPARTED_P)
    centre = np.where(departed, base.middle, centre)
    variance = np.where(departed, spread_without, variance)
    reach = np.where(departed, 2 * spread_without, reach)
    df = np.where(departed, df_without, df)
    # A head of fewer runs than the history's is less certain than the history's sessions were.
    more = run_variance * np.maximum(0.0, of_median(head.count) - usual)
    sessions = np.where(departed, 1.0, known)
    return Estimates(head.middle - centre, np.sqrt(reach + more), df, sessions, departed, np.sqrt(2 * variance + more))


def _of_level(sessions: Array) -> Array:
    """Return the variance of the median of sessions in units of theirs; that of two is their mean."""
    count = np.maximum(sessions, 1.0)
    found: Array = np.where(count > 2, _MEDIAN / count, 1 / count)
    return found


def paired(log_ratios: Array) -> Estimates:
    """Estimate from interleaved pairs: `log_ratios` is pairs x cells, NaN where a pair was lost.

    A plain paired t: ten pairs know their own variance well enough, and quiet and noisy cells do not mix.
    """
    count = np.isfinite(log_ratios).sum(axis=0).astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.nansum(log_ratios, axis=0) / np.where(count > 0, count, np.nan)
        squares = np.nansum((log_ratios - mean) ** 2, axis=0)
        own = np.where(count > 1, squares / (count - 1), np.nan)
    freedom = np.where(count > 1, count - 1, np.nan)
    variance = np.maximum(own, PAIR_FLOOR**2)
    none = np.zeros_like(mean)
    with np.errstate(divide="ignore", invalid="ignore"):
        se = np.sqrt(variance / count)
        return Estimates(mean, se, freedom, none, none > 0, se)


def joined_estimates(parts: Sequence[Estimates]) -> Estimates:
    """Return the estimates of several metrics as one."""
    names = ("log_ratio", "se", "df", "sessions", "departed", "spread")
    return Estimates(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def holm(p_values: Array) -> Array:
    """Return Holm's adjusted p-values (Scandinavian Journal of Statistics 6:65, 1979); NaN stays out of the family."""
    adjusted = np.full(p_values.shape, np.nan)
    family = np.flatnonzero(np.isfinite(p_values))
    order = family[np.argsort(p_values[family], kind="stable")]
    steps = p_values[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted


def upper_tail(t: Array, df: Array) -> Array:
    """Return the probability of Student's t above `t`."""
    with np.errstate(invalid="ignore"):
        return np.asarray(_UPPER_TAIL(t, df), dtype=np.float64)


def quantile(df: Array, p: float) -> Array:
    """Return the quantile of Student's t."""
    with np.errstate(invalid="ignore"):
        return np.asarray(_QUANTILE(df, p), dtype=np.float64)


def _run_variance(sessions: Sequence[RunStats]) -> tuple[Array, Array]:
    """Run-to-run variance within sessions, pooled over the sessions and shrunk across cells; NaN where unknown.

    Of many sessions it is their median one, which a single outlier does not move, and worth half as much.
    """
    freedoms = np.array([np.maximum(entry.count - 1, 0) for entry in sessions])
    squares = np.array([np.nan_to_num(entry.squares) for entry in sessions])
    df = freedoms.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        own: Array = np.where(df > 0, squares.sum(axis=0) / df, np.nan)
        # The median of chi-squared over its degrees of freedom (Wilson and Hilferty 1931, PNAS 17:684).
        single = np.where(freedoms > 0, squares / freedoms / (1 - 2 / (9 * freedoms)) ** 3, np.nan)
        many = np.isfinite(single).sum(axis=0) >= _MANY
        own = np.where(many, np.nanmedian(single, axis=0), own)
    df = np.where(many, df / 2, df)
    prior = fit_prior(own, df)
    if prior is not None:
        # Quiet and noisy cells are two crowds rather than one: at full weight the noisy ones' intervals are too short.
        return shrink(own, df, Prior(prior.variance, prior.df / 2))
    # Too few cells to shrink: a cell of one run borrows the others' pooled variance.
    if (total := float(df.sum())) > 0:
        own = np.where(df > 0, own, np.nansum(own * df) / total)
        df = np.where(df > 0, df, total)
    return own, df


def _session_variance(means: Array, groups: Sequence[int] | Array, expected: Array) -> tuple[Array, Array]:
    """Variance of session means within groups, shrunk across cells in units of what was expected."""
    labels = np.asarray(groups)
    squares = np.zeros(means.shape[1])
    df = np.zeros(means.shape[1])
    for label in np.unique(labels):
        rows = means[labels == label]
        count = np.isfinite(rows).sum(axis=0)
        centre = np.nansum(rows, axis=0) / np.maximum(count, 1)
        squares += np.nansum((rows - centre) ** 2, axis=0)
        df += np.maximum(count - 1, 0)
    if len(labels) > 1 and len(np.unique(labels)) > 1 and float(df.max(initial=0.0)) < 2:
        # Hardly two sessions of one software: take the spread about one mean, changes between releases included.
        return _session_variance(means, np.zeros(len(labels), dtype=int), expected)
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = np.where(df > 0, squares / df, np.nan) / expected
    fitted = fit_prior(ratio, df)
    sessions = float(df.max(initial=0.0))
    if fitted is None:
        prior = Prior(1.0, PRIOR_DF)
    else:
        blended = (sessions * fitted.variance + PRIOR_DF) / (sessions + PRIOR_DF)
        prior = Prior(max(fitted.variance, blended), fitted.df)
    variance, freedom = shrink(ratio, df, prior)
    # What drifts in the machine drifts in all cells at once: cells are no substitute for sessions.
    most = MOST_DF if sessions == 0 else _SHARED_DF[0] + _SHARED_DF[1] * sessions
    return variance * expected, np.minimum(freedom, most)
