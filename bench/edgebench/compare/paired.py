"""Interleaved measurements in two stages: every cell is screened, and only fresh data may call it changed.

Stage one screens each cell and metric alone at 5 %, for the worse and for the better; with nothing changed that flags a
few of many. Stage two measures the flagged cells again, and the new data alone decide whether they changed the way they
looked: REGRESSED and IMPROVED are a family of Holm's procedure each. It is looked at once at half time, at 0.1 %
(Haybittle 1971, Peto et al. 1976), which the final level pays for.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from edgebench.compare.evidence import DOUBT
from edgebench.compare.inference import Estimates, holm, joined_estimates, paired, quantile
from edgebench.compare.judge import Pair, judge, tails
from edgebench.compare.shrink import Array
from edgebench.compare.verdict import Finding, Verdict

INTERIM_ALPHA = 0.001
# What a run's log ratio to its partner was seen to vary by (1 sigma) in quiet and in noisy cells (docs/evidence.md).
QUIET_SD, NOISY_SD = 0.015, 0.029
# Which way a pair looks changed in the first stage.
WORSE, BETTER = 1.0, -1.0


@dataclass(frozen=True, slots=True)
class Stage:
    """The pairs of one stage: for each (cell, metric) the log ratios head/base, in the order they were measured.

    `disturbed` counts those of their runs that other programs disturbed each time, and that were kept.
    """

    ratios: Mapping[tuple[str, str], Sequence[float]]
    disturbed: Mapping[tuple[str, str], int] = field(default_factory=dict)

    def of(self, pairs: Sequence[Pair]) -> Array:
        """Return pairs x cells, NaN where a pair was lost or a cell was not measured."""
        rows = max((len(self.ratios.get((pair.cell, pair.metric), ())) for pair in pairs), default=0)
        found = np.full((rows, len(pairs)), np.nan)
        for column, pair in enumerate(pairs):
            values = self.ratios.get((pair.cell, pair.metric), ())
            found[: len(values), column] = values
        return found

    def doubt(self, pairs: Sequence[Pair]) -> Array:
        """Return what multiplies the error that a proof has to overcome: more than 1 where disturbed runs are kept."""
        return np.where([self.disturbed.get((pair.cell, pair.metric), 0) > 0 for pair in pairs], DOUBT, 1.0)


def estimates_of(pairs: Sequence[Pair], stage: Stage) -> Estimates:
    """Estimate every pair of cells; variances are shrunk within each metric. Pairs come sorted by metric."""
    parts = [
        paired(stage.of([pair for pair in pairs if pair.metric == metric]))
        for metric in dict.fromkeys(pair.metric for pair in pairs)
    ]
    return joined_estimates(parts)


def flagged(pairs: Sequence[Pair], estimates: Estimates, alpha: float) -> Array:
    """Return +1 where a pair looks worse than the margin at `alpha`, -1 where it looks better, 0 elsewhere.

    Each on its own; those that look changed are measured again.
    """
    evidence = tails(pairs, estimates)
    return np.where(evidence.p_worse <= alpha, WORSE, np.where(evidence.p_better <= alpha, BETTER, 0.0))


def confirmed(pairs: Sequence[Pair], ways: Array, estimates: Estimates, doubt: Array | float = 1.0) -> Array:
    """Return the p-values that flagged pairs changed the way they looked (`flagged`), Holm's within each way."""
    evidence = tails(pairs, estimates, doubt)
    found = np.full(len(pairs), np.nan)
    for way, chances in ((WORSE, evidence.p_worse), (BETTER, evidence.p_better)):
        found[ways == way] = holm(chances[ways == way])
    return found


def decided(pairs: Sequence[Pair], ways: Array, stage: Stage, alpha: float = INTERIM_ALPHA) -> bool:
    """Tell whether a look at half time settles every flagged pair: surely changed, or surely inside its budget."""
    estimates = estimates_of(pairs, stage)
    worse = tails(pairs, estimates).worse
    half = quantile(estimates.df, 1 - alpha / 2) * estimates.se
    below = worse + half < np.log1p([pair.limits.budget for pair in pairs])
    # Stopping where the change is no larger than the margin can only prevent a REGRESSED or an IMPROVED.
    harmless = below & (ways * worse < np.log1p([pair.limits.margin for pair in pairs]))
    return bool(np.all((confirmed(pairs, ways, estimates, stage.doubt(pairs)) <= alpha) | harmless))


def judge_stages(
    pairs: Sequence[Pair], first: Stage, second: Stage | None, alpha: float, *, early: bool
) -> list[Finding]:
    """Return the findings of both stages; `early` tells that stage two ended at its look at half time.

    A pair that was not flagged is judged by stage one and cannot have changed; a flagged one by stage two alone.
    """
    screened = estimates_of(pairs, first)
    ways = flagged(pairs, screened, alpha)
    findings = judge(pairs, screened, alpha)
    for place, finding in enumerate(findings):
        findings[place] = _unconfirmed(_disturbed(finding, first), looked_worse=ways[place] == WORSE)
    final = INTERIM_ALPHA if early else alpha - INTERIM_ALPHA
    for way in (WORSE, BETTER):
        again = [int(place) for place in np.flatnonzero(ways == way)]
        if not again or second is None:
            continue
        chosen = [pairs[place] for place in again]
        told = judge(chosen, estimates_of(chosen, second), final, doubt=second.doubt(chosen))
        for place, finding in zip(again, told, strict=True):
            findings[place] = _one_way(_disturbed(finding, second), way)
    return findings


def detectable(sd: float, pairs: int, margin: float, alpha: float = 0.05) -> float:
    """Return the relative change that `pairs` pairs find in 80 % of cases, when their log ratios vary by `sd`."""
    df = np.array(float(pairs - 1))
    reach = float(quantile(df, 1 - alpha) + quantile(df, 0.8)) * sd / math.sqrt(pairs)
    return math.expm1(math.log1p(margin) + reach)


def _unconfirmed(finding: Finding, *, looked_worse: bool) -> Finding:
    """Stage one alone calls nothing REGRESSED or IMPROVED."""
    changed = finding.verdict in {Verdict.REGRESSED, Verdict.IMPROVED}
    if not changed and not (looked_worse and finding.verdict is Verdict.PASS):
        return finding
    looked = "worse" if looked_worse else "better"
    reason = f"it looked {looked} in the first stage, which fresh data were to confirm: they were not taken"
    return replace(finding, verdict=Verdict.INCONCLUSIVE, reason=reason)


def _one_way(finding: Finding, way: float) -> Finding:
    """Two stages that contradict each other prove nothing."""
    if finding.verdict is not (Verdict.IMPROVED if way == WORSE else Verdict.REGRESSED):
        return finding
    looked = ("worse", "better") if way == WORSE else ("better", "worse")
    reason = f"it looked {looked[0]} in the first stage and {looked[1]} in the second: the machine is not quiet enough"
    return replace(finding, verdict=Verdict.INCONCLUSIVE, reason=reason)


def _disturbed(finding: Finding, stage: Stage) -> Finding:
    """Return the finding with how many of the runs it rests on were disturbed and kept, where any was."""
    count = stage.disturbed.get((finding.cell, finding.metric), 0)
    return replace(finding, disturbed_runs=count) if count else finding
