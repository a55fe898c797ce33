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

    `base` and `head` are the medians over runs of the runs' medians, as `show` prints them. `change` is what they say,
    head/base - 1, or head - base where `absolute` (of interleaved pairs, the mean of the pairs); `interval` is its 95 %
    confidence interval in the same measure, not corrected for the number of cells. `p` is Holm's adjusted p-value of
    being worse than the margin, `detectable` the change that would have been found in 80 % of such comparisons; `worse`
    marks a PASS that is surely worse than the margin, and surely inside the budget; `covered` an INCONCLUSIVE whose
    estimate is inside the budget where three times the budget would have been found; `lost` a metric that only the
    base has. `sessions` is the number of sessions behind the base's level; with a history, `level` is that level,
    `level_change` the head against it, and these decide. `cautions` are the codes of the reports' own warnings about
    this cell. `disturbed_runs` are those of the interleaved runs it rests on that other programs disturbed each time.
    A field is None where there is no such thing, never zero.
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
    disturbed_runs: int | None = None
    sessions: int | None = None
    worse: bool = False
    covered: bool = False
    lost: bool = False
    level: float | None = None
    level_change: float | None = None
    level_interval: tuple[float, float] | None = None
    cautions: tuple[str, ...] = ()
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
    """Everything a comparison found. `assumptions` are the sentences that the verdicts rest on.

    `whole` has a finding a metric over the geometric mean of all cells, of stored reports. `cautions` are what the
    reports themselves warn of, `answers` sentences about who wins in them.
    """

    mode: Literal["stored", "ab"]
    base: Side
    head: Side
    findings: tuple[Finding, ...]
    whole: tuple[Finding, ...] = ()
    hard: tuple[Difference, ...] = ()
    soft: tuple[Difference, ...] = ()
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    common: tuple[tuple[str, str], ...] = ()
    cautions: tuple[str, ...] = ()
    answers: tuple[str, ...] = ()
    assumptions: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    allowed: tuple[str, ...] = field(default=())

    @property
    def verdict(self) -> Verdict:
        """The verdict of the whole: hard differences first, then the worst finding; what the head lost is a gap.

        A few cells that cannot be told among many do not take a PASS from the rest: where the line of all benchmarks
        passed in their metric, and three times their budget would have been found, they are covered by it.
        """
        if self.hard or not self.findings:
            return Verdict.INCOMPARABLE
        passed = {line.metric for line in self.whole if line.verdict in {Verdict.PASS, Verdict.IMPROVED}}
        found = {line.verdict for line in self.whole}
        for finding in self.findings:
            allowed = finding.lost and "removed" in self.allowed
            if not allowed and not (finding.covered and finding.metric in passed):
                found.add(finding.verdict)
        if not found:
            return Verdict.PASS if any(finding.covered for finding in self.findings) else Verdict.INCOMPARABLE
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
