"""Words of a verdict that every format shares: order, short names, changes with their intervals."""

from __future__ import annotations

from collections.abc import Sequence

from edgebench.compare.policy import PERCENTILES
from edgebench.compare.verdict import Comparison, Finding, Verdict
from edgebench.render.cells import title
from edgebench.render.units import NONE, points, quantity, share, signed
from edgebench.report.text import clean

ORDER = (Verdict.REGRESSED, Verdict.INCOMPARABLE, Verdict.INCONCLUSIVE, Verdict.IMPROVED, Verdict.PASS)
_NAMES_SHOWN = 20


def by_severity(findings: Sequence[Finding]) -> list[Finding]:
    """Return the findings, failures first, the largest change for the worse first among them."""
    return sorted(findings, key=lambda finding: (ORDER.index(finding.verdict), -abs(finding.change or 0.0)))


def metric_title(metric: str) -> str:
    """Return a metric's name for people; ``*`` is the whole cell."""
    name, _, suffix = metric.partition(".")
    if metric == "*":
        return "the cell"
    return f"{title(name)} {suffix}" if suffix in PERCENTILES else title(metric)


def change_text(finding: Finding) -> str:
    """Return a change with its interval: ``+5.6 % [+4.9, +6.3]``, accuracy in points."""
    if finding.change is None:
        return NONE
    if finding.absolute:
        return f"{points(finding.change)} points"
    if finding.exact:
        digits = 0 if finding.change == 0 else 2
        return f"{signed(100 * finding.change, digits)} %"
    shown = f"{signed(100 * finding.change, 1)} %"
    if finding.interval is None:
        return shown
    return f"{shown} [{signed(100 * finding.interval[0], 1)}, {signed(100 * finding.interval[1], 1)}]"


def value_text(value: float | None, finding: Finding) -> str:
    """Return a value with its unit; an accuracy in per cent."""
    if value is None:
        return NONE
    return share(value) if finding.absolute else quantity(value, finding.unit)


def budget_text(finding: Finding) -> str:
    """Return the budget: ``5 %`` or ``1 point``."""
    if finding.budget is None:
        return NONE
    unit = "point" if finding.budget == 0.01 else "points"
    return f"{100 * finding.budget:g} {unit if finding.absolute else '%'}"


def detectable_text(finding: Finding) -> str:
    """Return the change that would have been found in 80 % of such comparisons."""
    return NONE if finding.detectable is None else f"{signed(100 * finding.detectable, 1)} %"


def headline(comparison: Comparison) -> str:
    """Return the verdict and why, in one line."""
    counts = comparison.counts
    verdict = comparison.verdict
    if comparison.hard:
        return f"{verdict}: the two reports are not of the same system ({comparison.hard[0].field} differs)"
    if not comparison.findings:
        return f"{verdict}: the two have no metric of any benchmark in common"
    parts = [f"{counts[name]} {_word(name)}" for name in ORDER if counts[name]]
    if comparison.removed:
        parts.append(f"{len(comparison.removed)} removed")
    cells = len({finding.cell for finding in comparison.findings})
    more = ""
    if verdict is Verdict.INCONCLUSIVE and comparison.exit_code == 0:
        more = " (inconclusive is allowed)"
    return f"{verdict}: {', '.join(parts)} in {cells} benchmark{'' if cells == 1 else 's'}{more}"


def names_text(names: Sequence[str]) -> str:
    """Return a list of cells, shortened when it is long."""
    more = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
    return ", ".join(clean(name, 200) for name in names[:_NAMES_SHOWN]) + more


def remarks(comparison: Comparison) -> list[str]:
    """Return what a reader must know beside the findings: cells that came and went, soft fields, notes."""
    lines = []
    if comparison.removed:
        lines.append(f"removed (in base only): {names_text(comparison.removed)}")
    if comparison.added:
        lines.append(f"added (in head only): {names_text(comparison.added)}")
    lines += [f"{entry.field}: {entry.base} → {entry.head}" for entry in comparison.soft]
    return [clean(line) for line in [*lines, *comparison.notes]]


def _word(verdict: Verdict) -> str:
    return {Verdict.PASS: "passed"}.get(verdict, verdict.value.lower())
