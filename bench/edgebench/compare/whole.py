"""All cells of a metric as one: the geometric mean, which finds what every benchmark has a little of.

A slow-down of a few per cent in every cell is found in hardly any of them alone. Sessions differ less in the mean of
many cells than in a single one, and what is left, the drift of the whole machine, a history measures.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from edgebench.compare.evidence import CELLS_NEEDED, Evidence
from edgebench.compare.inference import PRIOR_DF, Estimates, RunStats, predicted, upper_tail
from edgebench.compare.shrink import MOST_DF, Array

NAME: Final = "all benchmarks"
# Of the variance between sessions of a cell, so much is taken to be the whole machine's where nothing measures it.
_SHARED = 0.5
# Cells farther than this from the middle of a session (robust standard deviations) are drawn in.
_DRAWN_IN = 3.0
_MAD = 1.4826
_DEPARTED_P = 0.001
_LEAST_CELLS = 2


@dataclass(frozen=True, slots=True)
class Whole:
    """The mean log ratio of all cells, oriented as the metric is, with what is known of it."""

    estimates: Estimates
    evidence: Evidence


def whole_of(
    base: RunStats,
    head: RunStats,
    history: Sequence[RunStats],
    groups: Sequence[int],
    *,
    sign: float,
    margin: float,
    prior_sd: float,
    sd: float,
    doubt: float,
    of_runs: Array,
) -> Whole | None:
    """Return the evidence of all cells together; None of fewer than two, or where nothing tells how runs differ.

    `sd` is what a proof has to stand where no history measures sessions, `prior_sd` what they are said to differ by;
    `doubt` multiplies the uncertainty, and `of_runs` is what each cell's difference varies by because of its runs.
    """
    usable = np.isfinite(base.middle) & np.isfinite(head.middle)
    if int(usable.sum()) < _LEAST_CELLS:
        return None
    if not history:
        if not np.isfinite(of_runs[usable]).any():
            return None
        differences = [(side - base.middle)[usable] for side in (head.low, head.middle, head.high)]
        return _alone(differences, of_runs[usable], sign, margin, prior_sd, max(sd, prior_sd), doubt)
    middles = np.array([base.middle, *(entry.middle for entry in history)])[:, usable]
    heads = [side[usable] for side in (head.low, head.middle, head.high)]
    return _among(middles, heads, np.array([0, *groups]), sign, margin, prior_sd, sd)


def drawn_in(values: Array) -> Array:
    """Return the mean of each row, its far values drawn in to three robust standard deviations; NaN stay out."""
    middle = np.nanmedian(values, axis=-1, keepdims=True)
    reach = _DRAWN_IN * _MAD * np.nanmedian(np.abs(values - middle), axis=-1, keepdims=True)
    found: Array = np.nanmean(np.clip(values, middle - reach, middle + reach), axis=-1)
    return found


def without_shift(stats: RunStats, base: RunStats) -> RunStats:
    """Return a session without what all its cells differ by from the base's; NaN of one that has too few of them."""
    known = stats.middle - base.middle
    known = known[np.isfinite(known)]
    shift = float(drawn_in(known)) if len(known) >= CELLS_NEEDED else math.nan
    return RunStats(stats.middle - shift, stats.low - shift, stats.high - shift, stats.count, stats.squares)


def apart_from(
    base: RunStats, head: RunStats, history: Sequence[RunStats], groups: Sequence[int], prior_sd: float
) -> Estimates | None:
    """Return the estimates of cells by what they differ from the others of their session; None of too few cells."""
    if int((np.isfinite(base.middle) & np.isfinite(head.middle)).sum()) < CELLS_NEEDED:
        return None
    past = [without_shift(entry, base) for entry in history]
    return predicted(base, without_shift(head, base), past, groups, prior_sd * math.sqrt(1 - _SHARED))


def _alone(
    differences: Sequence[Array], of_runs: Array, sign: float, margin: float, prior_sd: float, sd: float, doubt: float
) -> Whole:
    """Judge two sessions: nothing tells the machine's drift from the release's, so the stated spread is all there is.

    `differences` are those of the head's lower middle runs, of its medians, and of its upper middle runs. What cells
    add to the error of their mean is what they scatter by, or their runs do, whichever is more.
    """
    medians = differences[1]
    count = len(medians)
    scatter = _MAD * float(np.median(np.abs(medians - np.median(medians)))) if count >= CELLS_NEEDED else 0.0
    of_cells = max(scatter**2, float(np.nanmean(of_runs)), 1e-12) / count
    variance = 2 * prior_sd**2 + of_cells
    df = min(MOST_DF, count * (variance / of_cells) ** 2)
    strict = doubt * math.sqrt(2 * sd**2 + of_cells)
    means = [float(drawn_in(side)) for side in differences]
    one = (means, math.sqrt(variance), strict, df, 1)
    return _whole(*one, departed=False, spread=math.sqrt(variance), sign=sign, margin=margin)


def _among(
    middles: Array, heads: Sequence[Array], groups: Array, sign: float, margin: float, prior_sd: float, sd: float
) -> Whole:
    """Judge the head among the sessions of a history; of few sessions, what a proof has to stand counts as well.

    `heads` are its lower middle runs, its medians, and its upper middle runs.
    """
    level = np.nanmedian(middles[groups == 0], axis=0)
    means = np.empty(len(middles))
    for group in np.unique(groups):
        rows = groups == group
        means[rows] = drawn_in(middles[rows] - np.nanmedian(middles[rows], axis=0))
    variance, df = _spread(means, groups, prior_sd)
    own = means[groups == 0]
    centre, known, departed = float(own.mean()), len(own), False
    if known > 1:
        rest, rest_df = _spread(means[1:], groups[1:], prior_sd)
        gap = abs(own[0] - own[1:].mean()) / math.sqrt(rest * (1 + 1 / (known - 1)))
        if 2 * float(upper_tail(np.asarray(gap), np.asarray(rest_df))) < _DEPARTED_P:
            centre, known, departed, variance, df = float(own[0]), 1, True, rest, rest_df
    of_head = [float(drawn_in(side - level)) - centre for side in heads]
    se = math.sqrt(variance * (1 + 1 / known))
    sessions = float(len(means) - len(np.unique(groups)))
    unknown = max(0.0, PRIOR_DF - sessions)
    cautious = (sessions * variance + unknown * _SHARED * sd**2) / max(PRIOR_DF, sessions)
    strict = math.sqrt(max(variance, cautious) * (1 + 1 / known))
    spread = math.sqrt(2 * variance)
    return _whole(of_head, se, strict, df, known, departed=departed, spread=spread, sign=sign, margin=margin)


def _spread(means: Array, groups: Array, prior_sd: float) -> tuple[float, float]:
    """Return the variance of the sessions' means about that of their software, and its degrees of freedom.

    The prior counts in where the sessions lie closer together than it says; it never makes them look calmer.
    """
    squares, df = 0.0, 0.0
    for group in np.unique(groups):
        rows = means[groups == group]
        squares += float(((rows - rows.mean()) ** 2).sum())
        df += len(rows) - 1
    prior = _SHARED * prior_sd**2
    if df and squares / df > prior:
        return squares / df, df
    return (squares + PRIOR_DF * prior) / (df + PRIOR_DF), df + PRIOR_DF


def _whole(
    means: Sequence[float],
    se: float,
    strict: float,
    df: float,
    sessions: int,
    *,
    departed: bool,
    spread: float,
    sign: float,
    margin: float,
) -> Whole:
    """Return the whole of what the head's lower middle runs, its medians and its upper ones say.

    As in a single cell, of an even number of runs the middle one counts that speaks against the change.
    """
    low, log_ratio, high = means
    one = np.ones(1)
    freedom = df * one
    estimates = Estimates(log_ratio * one, se * one, freedom, sessions * one, np.array([departed]), spread * one)
    worse, better = (low, -high) if sign > 0 else (-high, low)
    p_values = [upper_tail((side - margin) / strict * one, freedom) for side in (worse, better)]
    return Whole(estimates, Evidence(p_values[0], p_values[1], strict * one, freedom, ((1, None),)))
