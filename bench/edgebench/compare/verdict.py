"""The verdict as data: one finding a cell and metric, and the comparison that holds them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from edgebench.compare.fingerprint import Difference


class Verdict(StrEnum):
    """What a comparison says; PASS is a claim (surely under the budget), INCONCLUSIVE its absence."""

    PASS = "PASS"  # noqa: S105  # no password
    REGRESSED = "REGRESSED"
    IMPROVED = "IMPROVED"
    INCONCLUSIVE = "INCONCLUSIVE"
    INCOMPARABLE = "INCOMPARABLE"


# What decides a whole comparison: the first of these that any finding has. PASS without a single finding is none.
_WORST_FIRST = (Verdict.REGRESSED, Verdict.INCOMPARABLE, Verdict.INCONCLUSIVE)


@dataclass(frozen=True, slots=True)
class Finding:
    """One metric of one cell, head against base.

    `change` is head/base - 1, or head - base where `absolute`; `interval` its 95 % confidence interval in the same
    measure, not corrected for the number of cells. `p` is Holm's adjusted p-value of being worse than the margin,
    `detectable` the change that would have been found in 80 % of such comparisons. `sessions` is the number of
    sessions behind the base's level. A field is None where there is no such thing, never zero.
    """

    cell: str
    metric: str
    verdict: Verdict
    unit: str = ""
    base: float | None = None
    head: float | None = None
    change: float | None = None
    interval: tuple[float, float] | None = None
    p: float | None = None
    detectable: float | None = None
    budget: float | None = None
    margin: float | None = None
    absolute: bool = False
    exact: bool = False
    base_runs: int | None = None
    head_runs: int | None = None
    sessions: int | None = None
    scope: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Side:
    """What was compared: a report, or an environment of `edgebench ab`."""

    label: str
    id: str | None = None
    created: str | None = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """Everything a comparison found. `assumptions` are the sentences that the verdicts rest on."""

    mode: Literal["stored", "ab"]
    base: Side
    head: Side
    findings: tuple[Finding, ...]
    hard: tuple[Difference, ...] = ()
    soft: tuple[Difference, ...] = ()
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    common: tuple[tuple[str, str], ...] = ()
    assumptions: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    allowed: tuple[str, ...] = field(default=())

    @property
    def verdict(self) -> Verdict:
        """The verdict of the whole: hard differences first, then the worst finding; removed cells are a gap."""
        if self.hard or not self.findings:
            return Verdict.INCOMPARABLE
        found = {finding.verdict for finding in self.findings}
        worst = next((verdict for verdict in _WORST_FIRST if verdict in found), None)
        if worst is Verdict.REGRESSED:
            return worst
        if worst is Verdict.INCOMPARABLE or (self.removed and "removed" not in self.allowed):
            return Verdict.INCOMPARABLE
        if worst is not None:
            return worst
        return Verdict.IMPROVED if Verdict.IMPROVED in found else Verdict.PASS

    @property
    def exit_code(self) -> int:
        """0 passed, 1 regressed, 3 incomparable, 4 inconclusive (0 where that is allowed)."""
        codes = {Verdict.REGRESSED: 1, Verdict.INCOMPARABLE: 3, Verdict.INCONCLUSIVE: 4}
        if self.verdict is Verdict.INCONCLUSIVE and "inconclusive" in self.allowed:
            return 0
        return codes.get(self.verdict, 0)

    @property
    def counts(self) -> dict[Verdict, int]:
        """How many findings have each verdict, worst first, none left out."""
        counted = Counter(finding.verdict for finding in self.findings)
        order = (*_WORST_FIRST, Verdict.IMPROVED, Verdict.PASS)
        return {verdict: counted[verdict] for verdict in order}
