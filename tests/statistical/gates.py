"""Whole simulated suites through the production arithmetic: 60 cells x 2 metrics, half of them noisy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgebench.compare.cells import Sample
from edgebench.compare.inference import Estimates, RunStats, holm, paired, predicted, quantile, stored
from edgebench.compare.judge import Pair, tails
from edgebench.compare.paired import INTERIM_ALPHA, flagged
from edgebench.compare.policy import Limits
from tests.statistical.noise import Array, Flags, Places, drift, runs_of

CELLS, METRICS, RUNS, PAIRS = 60, 2, 10, 10
NOISY_CELLS = np.arange(CELLS) % 2 == 0
ALPHA = 0.05
COUNT_SUITES = 2000
_SAMPLE = Sample("s", "lower", (1.0,), 1.0)
PAIRS_OF_CELLS = [
    Pair(f"cell{cell}", f"metric{metric}", _SAMPLE, _SAMPLE, Limits(budget=0.05, margin=0.01))
    for metric in range(METRICS)
    for cell in range(CELLS)
]
NOISY_PAIRS = np.tile(NOISY_CELLS, METRICS)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a gate said of one suite: which pairs REGRESSED, and whether each 95 % interval holds the truth."""

    regressed: Flags
    covered: Flags


def stored_suite(
    rng: np.random.Generator,
    *,
    change: Array,
    history: int,
    shared: float = 0.5,
    runs: int = RUNS,
    drift_scale: float = 1.0,
) -> Outcome:
    """Judge stored reports: base, head (changed by `change`, log, a pair) and `history` more of the base."""
    parts = []
    drifts = [
        drift_scale * np.concatenate([drift(CELLS, shared, rng) for _ in range(METRICS)]) for _ in range(history + 2)
    ]
    for metric in range(METRICS):
        part = slice(metric * CELLS, (metric + 1) * CELLS)
        sessions = [_stats(runs_of(NOISY_CELLS, runs, rng) + drifts[k][part, None]) for k in range(history + 2)]
        base, head, *earlier = sessions
        head = RunStats(head.mean + change[part], head.count, head.squares)
        if history:
            parts.append(predicted(base, head, earlier, [0] * history, 0.01))
        else:
            parts.append(stored(base, head, 0.01))
    estimates = _joined(parts)
    p_values = holm(tails(PAIRS_OF_CELLS, estimates).p_worse)
    return Outcome(p_values <= ALPHA, covers(estimates, change))


def ab_suite(rng: np.random.Generator, *, change: Array, pairs: int = PAIRS) -> Outcome:
    """Judge interleaved pairs in two stages; drift of 2 % a block is shared by a pair and cancels."""
    first = _paired(_log_ratios(rng, pairs, change))
    marks = np.flatnonzero(flagged(PAIRS_OF_CELLS, first, ALPHA))
    regressed = np.zeros(len(PAIRS_OF_CELLS), dtype=bool)
    if len(marks):
        ratios = _log_ratios(rng, pairs, change)[:, marks]
        chosen = [PAIRS_OF_CELLS[place] for place in marks]
        half = _by_metric(ratios[: pairs // 2], marks)
        whole = _by_metric(ratios, marks)
        looked = holm(tails(chosen, half).p_worse) <= INTERIM_ALPHA
        final = holm(tails(chosen, whole).p_worse) <= ALPHA - INTERIM_ALPHA
        regressed[marks] = final | looked
    return Outcome(regressed, covers(first, change))


def covers(estimates: Estimates, truth: Array) -> Flags:
    """Tell of each 95 % interval whether it holds the truth."""
    found: Flags = np.abs(estimates.log_ratio - truth) <= quantile(estimates.df, 0.975) * estimates.se
    return found


def _stats(runs: Array) -> RunStats:
    mean = runs.mean(axis=1)
    return RunStats(mean, np.full(len(runs), float(runs.shape[1])), ((runs - mean[:, None]) ** 2).sum(axis=1))


def _log_ratios(rng: np.random.Generator, pairs: int, change: Array) -> Array:
    sides = [np.concatenate([runs_of(NOISY_CELLS, pairs, rng) for _ in range(METRICS)]) for _ in range(2)]
    found: Array = (sides[1] - sides[0]).T + change
    return found


def _paired(ratios: Array) -> Estimates:
    return _joined([paired(ratios[:, metric * CELLS : (metric + 1) * CELLS]) for metric in range(METRICS)])


def _by_metric(ratios: Array, marks: Places) -> Estimates:
    return _joined(
        [paired(ratios[:, part]) for m in range(METRICS) if (part := np.flatnonzero(marks // CELLS == m)).size]
    )


def _joined(parts: list[Estimates]) -> Estimates:
    names = ("log_ratio", "se", "df", "sessions", "departed")
    return Estimates(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))
