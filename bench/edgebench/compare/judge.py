"""From estimates to verdicts: margin, budget and Holm's correction; and exact metrics as they are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgebench.compare.cells import Sample
from edgebench.compare.evidence import Evidence
from edgebench.compare.inference import Estimates, holm, quantile, upper_tail
from edgebench.compare.policy import Limits, Policy, gauge_of
from edgebench.compare.shrink import Array
from edgebench.compare.verdict import Finding, Verdict

# Powers of ten of a ratio that no honest pair of runs reaches; keeps exp finite.
_WIDEST = 50.0
# A cell that cannot be told is covered by the line of all benchmarks where so many budgets would have been found.
_COVERED = 3.0
_NO_SPREAD = "one run tells nothing of how runs differ, and no other run or history does: measure with --processes"


@dataclass(frozen=True, slots=True)
class Pair:
    """One metric of one cell on both sides."""

    cell: str
    metric: str
    base: Sample
    head: Sample
    limits: Limits

    @property
    def sign(self) -> float:
        """+1 where more is worse."""
        return 1.0 if self.base.better == "lower" else -1.0


@dataclass(frozen=True, slots=True)
class Tails:
    """Evidence of each pair, signed so that positive is worse: estimate, p of worse and of better than the margin."""

    worse: Array
    p_worse: Array
    p_better: Array


def tails(pairs: Sequence[Pair], estimates: Estimates, doubt: Array | float = 1.0) -> Tails:
    """Return the one-sided p-values of interleaved pairs against the margin, not yet corrected.

    `doubt` multiplies the standard error that a proof has to overcome.
    """
    se = doubt * estimates.se
    worse = np.array([pair.sign for pair in pairs]) * estimates.log_ratio
    margin = margins(pairs)
    return Tails(
        worse,
        upper_tail((worse - margin) / se, estimates.df),
        upper_tail((-worse - margin) / se, estimates.df),
    )


def margins(pairs: Sequence[Pair]) -> Array:
    """Return the margins of pairs as log ratios."""
    return np.log1p([pair.limits.margin for pair in pairs])


def judge(
    pairs: Sequence[Pair],
    estimates: Estimates,
    alpha: float,
    evidence: Evidence | None = None,
    doubt: Array | float = 1.0,
) -> list[Finding]:
    """Return a finding for every pair; all pairs of the comparison are one family of Holm's.

    `evidence` is that of stored sessions; without it the estimates are of interleaved pairs and speak for themselves,
    but for the `doubt` that multiplies the error of a proof.
    REGRESSED: surely worse than the margin, and not surely inside the budget. IMPROVED: surely better than the margin.
    PASS: the 95 % interval stays under the budget. Otherwise INCONCLUSIVE, with what could have been found.
    """
    if evidence is None:
        found = tails(pairs, estimates, doubt)
        evidence = Evidence(found.p_worse, found.p_better, doubt * estimates.se, estimates.df, ((len(pairs), None),))
        stored = False
    else:
        stored = True
    # The strictest step of Holm over the whole family is what a single changed cell has to pass.
    reach = evidence.reach(margins(pairs), alpha, int(np.isfinite(evidence.p_worse).sum()))
    adjusted = zip(holm(evidence.p_worse), holm(evidence.p_better), strict=True)
    return [
        _finding(pair, estimates, place, alpha, p_values, float(reach[place]), stored=stored)
        for place, (pair, p_values) in enumerate(zip(pairs, adjusted, strict=True))
    ]


def _finding(
    pair: Pair,
    estimates: Estimates,
    place: int,
    alpha: float,
    adjusted: tuple[float, float],
    reach: float,
    *,
    stored: bool,
) -> Finding:
    se, df = float(estimates.se[place]), estimates.df[place]
    log_ratio = float(estimates.log_ratio[place])
    if not (math.isfinite(se) and math.isfinite(log_ratio) and df > 0):
        return incomparable(pair.cell, pair.metric, _NO_SPREAD, pair)
    budget = pair.limits.budget
    t = float(quantile(df, 0.975))
    surely_below = bool(pair.sign * log_ratio + t * se < math.log1p(budget))
    detectable = _ratio(reach) if math.isfinite(reach) else None
    reason: str | None = None
    proven = bool(adjusted[0] <= alpha)
    if proven and not surely_below:
        verdict = Verdict.REGRESSED
    elif adjusted[1] <= alpha:
        verdict = Verdict.IMPROVED
    elif surely_below:
        verdict = Verdict.PASS
    else:
        verdict = Verdict.INCONCLUSIVE
        reason = _unsure(detectable, budget)
    near = detectable is not None and detectable <= _COVERED * budget
    # What the two printed values say, and what a history adds, are told apart.
    change = math.log(pair.head.value / pair.base.value) if stored else log_ratio
    sessions = int(estimates.sessions[place])
    level = sessions > 1
    return Finding(
        cell=pair.cell,
        metric=pair.metric,
        verdict=verdict,
        worse=proven and verdict is Verdict.PASS,
        covered=stored and near and verdict is Verdict.INCONCLUSIVE and pair.sign * log_ratio < math.log1p(budget),
        unit=pair.base.unit,
        base=pair.base.value,
        head=pair.head.value,
        change=pair.head.value / pair.base.value - 1 if stored else _ratio(log_ratio),
        interval=_ends(change, t * float(estimates.spread[place])),
        p=float(adjusted[0]),
        detectable=detectable,
        budget=budget,
        margin=pair.limits.margin,
        base_runs=len(pair.base.runs) or None,
        head_runs=len(pair.head.runs) or None,
        sessions=sessions or None,
        level=pair.head.value / math.exp(log_ratio) if level else None,
        level_change=_ratio(log_ratio) if level else None,
        level_interval=_ends(log_ratio, t * se) if level else None,
        scope=pair.base.scope,
        reason=reason,
    )


def _unsure(detectable: float | None, budget: float) -> str:
    """Say why it cannot be told, and what to do."""
    if detectable is None:
        return "so few runs, or runs that jump so often, prove nothing: measure again with more runs (--processes)"
    if detectable > budget:
        return (
            f"could find {100 * detectable:.1f} % here, the budget is {100 * budget:.1f} %: "
            "more runs find less, and of stored reports a history or 'edgebench ab' does"
        )
    return "the change is too near the budget to tell on which side it lies: measure again with more runs"


def _ends(log_ratio: float, half: float) -> tuple[float, float]:
    return _ratio(log_ratio - half), _ratio(log_ratio + half)


def exact(pair: Pair) -> Finding:
    """Judge a metric that does not vary: any change is what it is, and worse than the budget is REGRESSED."""
    absolute = gauge_of(pair.metric).absolute
    base, head = pair.base.value, pair.head.value
    if absolute:
        change: float | None = head - base
    else:
        change = 0.0 if head == base else (head / base - 1 if base > 0 and head >= 0 else None)
    if change is None:
        return incomparable(pair.cell, pair.metric, "a value is zero or negative: a ratio means nothing", pair)
    worse = pair.sign * change
    # The budget itself is allowed; the slack is rounding of the division, not tolerance.
    slack = 1e-12
    verdict = Verdict.PASS
    if worse > pair.limits.budget + slack:
        verdict = Verdict.REGRESSED
    elif -worse > pair.limits.budget + slack:
        verdict = Verdict.IMPROVED
    return Finding(
        cell=pair.cell,
        metric=pair.metric,
        verdict=verdict,
        unit=pair.base.unit,
        base=base,
        head=head,
        change=change,
        budget=pair.limits.budget,
        absolute=absolute,
        exact=True,
    )


def incomparable(cell: str, metric: str, reason: str, pair: Pair | None = None, *, lost: bool = False) -> Finding:
    """Return the finding of what cannot be compared, with the reason; `lost` where the base has it and head not."""
    return Finding(
        lost=lost,
        cell=cell,
        metric=metric,
        verdict=Verdict.INCOMPARABLE,
        unit="" if pair is None else pair.base.unit,
        reason=reason,
    )


def check(cell: str, metric: str, base: Sample, head: Sample, policy: Policy) -> Pair | Finding:
    """Return the pair to be compared, or the finding that says why it cannot be."""
    for side, sample in (("base", base), ("head", head)):
        if sample.fault is not None:
            return incomparable(cell, metric, f"{side}: {sample.fault}")
    for what, first, second in (
        ("unit", base.unit, head.unit),
        ("better direction", base.better, head.better),
        ("scope", base.scope, head.scope),
        ("probe", base.probe, head.probe),
    ):
        if first != second:
            return incomparable(cell, metric, f"the {what} differs: {first or 'none'} and {second or 'none'}")
    return Pair(cell, metric, base, head, policy.limits(cell, metric))


def _ratio(log_ratio: float) -> float:
    return math.expm1(max(-_WIDEST, min(_WIDEST, log_ratio)))
