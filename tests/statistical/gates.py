"""Whole simulated suites through the production arithmetic: 60 cells x 2 metrics, half of them noisy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgebench.compare.cells import Sample
from edgebench.compare.evidence import Evidence, from_history, joined, without_history
from edgebench.compare.inference import Estimates, holm, joined_estimates, paired, predicted, quantile, stored
from edgebench.compare.judge import Pair, tails
from edgebench.compare.paired import INTERIM_ALPHA, flagged
from edgebench.compare.policy import STORED_ALPHA, UNMEASURED_SD, WHOLE_ALPHA, Limits
from edgebench.compare.whole import apart_from, whole_of
from tests.statistical.noise import SESSION_SD, Array, Flags, Places, runs_of
from tests.statistical.worlds import World, jumps_in, sessions_of, stats_of

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


def runs_world(rng: np.random.Generator, size: tuple[int, ...]) -> Array:
    """Return medians of runs whose values are correlated, with outliers among them (`noise`)."""
    return np.array([runs_of(NOISY_CELLS, size[-1], rng) for _ in range(size[0])])


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a gate said of one suite: which pairs REGRESSED, and whether each 95 % interval holds the truth.

    `whole` tells of the lines of all benchmarks whether one REGRESSED.
    """

    regressed: Flags
    covered: Flags
    whole: bool = False

    @property
    def alarm(self) -> bool:
        """Whether anything REGRESSED."""
        return self.whole or bool(self.regressed.any())


def stored_suite(
    rng: np.random.Generator,
    *,
    change: Array,
    history: int,
    shared: float = 0.5,
    runs: int = RUNS,
    spread: float = SESSION_SD,
    world: World = runs_world,
) -> Outcome:
    """Judge stored reports: base, head (changed by `change`, log, a pair) and `history` more of the base.

    Sessions differ by `spread`, half of it the machine's; `world` is how runs do.
    """
    every: list[Estimates] = []
    proofs: list[Evidence] = []
    wholes: list[Evidence] = []
    margin = np.full(CELLS, np.log1p(0.01))
    for metric in range(METRICS):
        logs = sessions_of(world, rng, history + 2, CELLS, runs, spread, shared)
        logs[1] += change[metric * CELLS : (metric + 1) * CELLS, None]
        base, head, *earlier = (stats_of(session) for session in logs)
        jumps, ones = jumps_in(logs), np.ones(CELLS)
        if history:
            estimates = predicted(base, head, earlier, [0] * history, SESSION_SD)
            apart = apart_from(base, head, earlier, [0] * history, SESSION_SD)
            evidence = from_history(ones, margin, head, base, estimates, jumps, apart)
        else:
            estimates = stored(base, head, SESSION_SD)
            evidence = without_history(
                ones, margin, head, base, estimates, jumps, sd=UNMEASURED_SD, assumed_sd=SESSION_SD, doubt=ones
            )
        whole = whole_of(
            base,
            head,
            earlier,
            [0] * history,
            sign=1.0,
            margin=float(margin[0]),
            prior_sd=SESSION_SD,
            sd=UNMEASURED_SD,
            doubt=1.0,
            of_runs=np.maximum(estimates.spread**2 - 2 * SESSION_SD**2, 0.0),
        )
        assert whole is not None
        every.append(estimates)
        proofs.append(evidence)
        wholes.append(whole.evidence)
    regressed = holm(joined(proofs).p_worse) <= STORED_ALPHA
    whole_regressed = holm(joined(wholes).p_worse) <= WHOLE_ALPHA
    return Outcome(regressed, covers(joined_estimates(every), change), bool(whole_regressed.any()))


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


def _log_ratios(rng: np.random.Generator, pairs: int, change: Array) -> Array:
    sides = [np.concatenate([runs_of(NOISY_CELLS, pairs, rng) for _ in range(METRICS)]) for _ in range(2)]
    found: Array = (sides[1] - sides[0]).T + change
    return found


def _paired(ratios: Array) -> Estimates:
    return joined_estimates([paired(ratios[:, metric * CELLS : (metric + 1) * CELLS]) for metric in range(METRICS)])


def _by_metric(ratios: Array, marks: Places) -> Estimates:
    return joined_estimates(
        [paired(ratios[:, part]) for m in range(METRICS) if (part := np.flatnonzero(marks // CELLS == m)).size]
    )
