"""Interleaved measurements in two stages: every cell is screened, and only fresh data may call a cell REGRESSED.

Stage one screens each cell and metric alone at 5 %; with nothing changed that flags a few of many. Stage two measures
the flagged cells again, and Holm's procedure within the flagged ones decides on the new data alone. It is looked at
once at half time, at 0.1 % (Haybittle 1971, Peto et al. 1976), which the final level pays for.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from edgebench.compare.inference import Estimates, holm, joined_estimates, paired, quantile
from edgebench.compare.judge import Pair, judge, tails
from edgebench.compare.shrink import Array, Flags
from edgebench.compare.verdict import Finding, Verdict

INTERIM_ALPHA = 0.001
# What a run's log ratio to its partner was seen to vary by (1 sigma) in quiet and in noisy cells (docs/evidence.md).
QUIET_SD, NOISY_SD = 0.015, 0.029


@dataclass(frozen=True, slots=True)
class Stage:
    """The pairs of one stage: for each (cell, metric) the log ratios head/base, in the order they were measured."""

    ratios: Mapping[tuple[str, str], Sequence[float]]

    def of(self, pairs: Sequence[Pair]) -> Array:
        """Return pairs x cells, NaN where a pair was lost or a cell was not measured."""
        rows = max((len(self.ratios.get((pair.cell, pair.metric), ())) for pair in pairs), default=0)
        found = np.full((rows, len(pairs)), np.nan)
        for column, pair in enumerate(pairs):
            values = self.ratios.get((pair.cell, pair.metric), ())
            found[: len(values), column] = values
        return found


def estimates_of(pairs: Sequence[Pair], stage: Stage) -> Estimates:
    """Estimate every pair of cells; variances are shrunk within each metric. Pairs come sorted by metric."""
    parts = [
        paired(stage.of([pair for pair in pairs if pair.metric == metric]))
        for metric in dict.fromkeys(pair.metric for pair in pairs)
    ]
    return joined_estimates(parts)


def flagged(pairs: Sequence[Pair], estimates: Estimates, alpha: float) -> Flags:
    """Return which pairs look worse than the margin at `alpha`, each on its own: they are measured again."""
    found: Flags = tails(pairs, estimates).p_worse <= alpha
    return found


def decided(pairs: Sequence[Pair], estimates: Estimates, alpha: float = INTERIM_ALPHA) -> bool:
    """Tell whether a look at half time settles every flagged pair: surely worse, or surely inside its budget."""
    evidence = tails(pairs, estimates)
    half = quantile(estimates.df, 1 - alpha / 2) * estimates.se
    below = evidence.worse + half < np.log1p([pair.limits.budget for pair in pairs])
    # Stopping where the change is no worse than the margin can only prevent a REGRESSED.
    harmless = below & (evidence.worse < np.log1p([pair.limits.margin for pair in pairs]))
    return bool(np.all((holm(evidence.p_worse) <= alpha) | harmless))


def judge_stages(
    pairs: Sequence[Pair], first: Stage, second: Stage | None, alpha: float, *, early: bool
) -> list[Finding]:
    """Return the findings of both stages; `early` tells that stage two ended at its look at half time.

    A pair that was not flagged is judged by stage one and cannot be REGRESSED; a flagged one by stage two alone.
    """
    screened = estimates_of(pairs, first)
    marks = flagged(pairs, screened, alpha)
    findings = judge(pairs, screened, alpha)
    for place, finding in enumerate(findings):
        findings[place] = _unconfirmed(finding, flag=bool(marks[place]))
    again = [int(place) for place in np.flatnonzero(marks)]
    if not again or second is None:
        return findings
    chosen = [pairs[place] for place in again]
    final = INTERIM_ALPHA if early else alpha - INTERIM_ALPHA
    for place, finding in zip(again, judge(chosen, estimates_of(chosen, second), final), strict=True):
        findings[place] = finding
    return findings


def detectable(sd: float, pairs: int, margin: float, alpha: float = 0.05) -> float:
    """Return the relative change that `pairs` pairs find in 80 % of cases, when their log ratios vary by `sd`."""
    df = np.array(float(pairs - 1))
    reach = float(quantile(df, 1 - alpha) + quantile(df, 0.8)) * sd / math.sqrt(pairs)
    return math.expm1(math.log1p(margin) + reach)


def _unconfirmed(finding: Finding, *, flag: bool) -> Finding:
    """Stage one alone calls nothing REGRESSED."""
    if finding.verdict is Verdict.REGRESSED or (flag and finding.verdict is Verdict.PASS):
        reason = "it looked worse in the first stage, which fresh data were to confirm: they were not taken"
        return replace(finding, verdict=Verdict.INCONCLUSIVE, reason=reason)
    return finding
