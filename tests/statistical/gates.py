"""Whole simulated suites through the production arithmetic: 60 cells x 2 metrics, half of them noisy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgebench.compare.cells import Sample
from edgebench.compare.evidence import Evidence, from_history, joined, without_history
from edgebench.compare.inference import Estimates, holm, joined_estimates, paired, predicted, quantile, stored
from edgebench.compare.judge import Pair, tails
from edgebench.compare.paired import INTERIM_ALPHA, WORSE, confirmed, flagged
from edgebench.compare.policy import STORED_ALPHA, UNMEASURED_SD, WHOLE_ALPHA, Limits
from edgebench.compare.whole import apart_from, whole_of
from tests.statistical.noise import SESSION_SD, Array, Flags, Places, runs_of
from tests.statistical.worlds import World, jumps_in, sessions_of, stats_of

CELLS, METRICS, RUNS, PAIRS = 60, 2, 10, 10
NOISY_CELLS = np.arange(CELLS) % 2 == 0
ALPHA = 0.05
COUNT_SUITES = 2000
_SAMPLE = Sample("s", "lower", (1.0,), 1.0)


def pairs_of(cells: int) -> list[Pair]:
    """Return the pairs of a suite of so many cells, metric by metric."""
    return [
        Pair(f"cell{cell}", f"metric{metric}", _SAMPLE, _SAMPLE, Limits(budget=0.05, margin=0.01))
        for metric in range(METRICS)
        for cell in range(cells)
    ]


PAIRS_OF_CELLS = pairs_of(CELLS)
NOISY_PAIRS = np.tile(NOISY_CELLS, METRICS)


def runs_world(rng: np.random.Generator, size: tuple[int, ...]) -> Array:
    """Return medians of runs whose values are correlated, with outliers among them (`noise`)."""
    return np.array([runs_of(NOISY_CELLS, size[-1], rng) for _ in range(size[0])])


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a gate said of one suite: which pairs REGRESSED or IMPROVED, and whether each 95 % interval holds the truth.

    `whole` tells of the lines of all benchmarks whether one REGRESSED, and whether one IMPROVED.
    """

    regressed: Flags
    improved: Flags
    covered: Flags
    whole: tuple[bool, bool] = (False, False)

    @property
    def alarm(self) -> bool:
        """Whether anything REGRESSED."""
        return self.whole[0] or bool(self.regressed.any())

    @property
    def praise(self) -> bool:
        """Whether anything IMPROVED."""
        return self.whole[1] or bool(self.improved.any())


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
    cells, lines = joined(proofs), joined(wholes)
    regressed, improved = (holm(chances) <= STORED_ALPHA for chances in (cells.p_worse, cells.p_better))
    as_one = [bool((holm(chances) <= WHOLE_ALPHA).any()) for chances in (lines.p_worse, lines.p_better)]
    return Outcome(regressed, improved, covers(joined_estimates(every), change), (as_one[0], as_one[1]))


def ab_suite(rng: np.random.Generator, *, change: Array, pairs: int = PAIRS, world: World | None = None) -> Outcome:
    """Judge interleaved pairs in two stages; drift of 2 % a block is shared by a pair and cancels.

    Runs vary as those of one `world` do in the order of time, or as `noise` has them.
    """
    every = pairs_of(len(change) // METRICS)
    first = _paired(_log_ratios(rng, pairs, change, world))
    ways = flagged(every, first, ALPHA)
    marks = np.flatnonzero(ways)
    changed = np.zeros(len(every), dtype=bool)
    if len(marks):
        ratios = _log_ratios(rng, pairs, change, world)[:, marks]
        chosen = [every[place] for place in marks]
        of_metric = marks // (len(every) // METRICS)
        half, whole = (_by_metric(part, of_metric) for part in (ratios[: pairs // 2], ratios))
        looked = confirmed(chosen, ways[marks], half) <= INTERIM_ALPHA
        final = confirmed(chosen, ways[marks], whole) <= ALPHA - INTERIM_ALPHA
        changed[marks] = final | looked
    return Outcome(changed & (ways == WORSE), changed & (ways != WORSE), covers(first, change))


def one_stage(rng: np.random.Generator, *, cells: int = CELLS, pairs: int = PAIRS, world: World) -> bool:
    """Tell whether anything of an unchanged suite IMPROVED if the first pairs alone decided (Holm over all at 5 %)."""
    first = _paired(_log_ratios(rng, pairs, np.zeros(METRICS * cells), world))
    return bool((holm(tails(pairs_of(cells), first).p_better) <= ALPHA).any())


def covers(estimates: Estimates, truth: Array) -> Flags:
    """Tell of each 95 % interval whether it holds the truth."""
    found: Flags = np.abs(estimates.log_ratio - truth) <= quantile(estimates.df, 0.975) * estimates.se
    return found


def _log_ratios(rng: np.random.Generator, pairs: int, change: Array, world: World | None) -> Array:
    cells = len(change) // METRICS
    if world is None:
        noisy = NOISY_CELLS[:cells]
        sides = [np.concatenate([runs_of(noisy, pairs, rng) for _ in range(METRICS)]) for _ in range(2)]
        return np.asarray((sides[1] - sides[0]).T + change)
    runs = np.concatenate([world(rng, (1, cells, 2 * pairs))[0] for _ in range(METRICS)])
    # A block is ABBA or BAAB: of its two pairs the head comes second in one, and first in the other.
    turns = np.repeat(rng.choice([-1.0, 1.0], (len(runs), pairs // 2)), 2, axis=1)
    turns[:, 1::2] *= -1
    found: Array = (turns * (runs[:, 1::2] - runs[:, ::2])).T + change
    return found


def _paired(ratios: Array) -> Estimates:
    return joined_estimates([paired(part) for part in np.split(ratios, METRICS, axis=1)])


def _by_metric(ratios: Array, metrics: Places) -> Estimates:
    return joined_estimates([paired(ratios[:, metrics == number]) for number in np.unique(metrics)])
