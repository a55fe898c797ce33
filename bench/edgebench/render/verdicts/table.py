"""A verdict on a terminal: the answer first, failures first, what passed in a line a metric, then what it rests on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from edgebench.compare.fingerprint import Difference
from edgebench.compare.verdict import Comparison, Finding, Verdict
from edgebench.render.tables import Column, FittingTable
from edgebench.render.units import NONE
from edgebench.render.verdicts.text import (
    answer_lines,
    assumed_lines,
    budget_text,
    by_severity,
    change_text,
    detectable_text,
    disturbed_text,
    headline,
    level_text,
    metric_title,
    passed_lines,
    remarks,
    value_text,
    whole_lines,
)
from edgebench.report.text import clean

_STYLES = {
    Verdict.REGRESSED: "bold red",
    Verdict.INCOMPARABLE: "bold magenta",
    Verdict.INCONCLUSIVE: "bold yellow",
    Verdict.IMPROVED: "bold green",
    Verdict.PASS: "bold green",
}
_TITLES = {
    Verdict.REGRESSED: "Regressed",
    Verdict.INCOMPARABLE: "Cannot be compared",
    Verdict.INCONCLUSIVE: "Inconclusive",
    Verdict.IMPROVED: "Improved",
    Verdict.PASS: "Passed",
}
# More rows of one verdict than this nobody reads; --format json has them.
_ROWS = 80


def verdict_table(comparison: Comparison, *, everything: bool = False) -> RenderableType:
    """Return the whole verdict; what passed is a line a metric, or rows where `everything` asks for them."""
    parts: list[RenderableType] = [Text(clean(headline(comparison)), style=_STYLES[comparison.verdict])]
    parts.append(Text(clean(f"base {comparison.base.label}, head {comparison.head.label}"), style="dim"))
    if comparison.common:
        parts.append(Text("all: " + clean(", ".join(f"{k} {v}" for k, v in comparison.common)), style="dim"))
    parts += [Text(clean(line)) for line in (*whole_lines(comparison), *answer_lines(comparison))]
    parts += [Text(), FittingTable(hard_columns(comparison.hard))] if comparison.hard else []
    found = by_severity(comparison.findings)
    folded = [] if everything else [finding for finding in found if _passed(finding)]
    for verdict, title in _TITLES.items():
        rows = [finding for finding in found if finding.verdict is verdict and (everything or not _passed(finding))]
        if rows:
            parts += [Text(), Text(title, style=_STYLES[verdict]), *_table(rows)]
    if folded:
        parts += [Text(), Text("Passed, --all shows each", style=_STYLES[Verdict.PASS])]
        parts += [_bullet(line) for line in passed_lines(folded)]
    for title, lines in (("Beside it", remarks(comparison)), ("Assumed", assumed_lines(comparison))):
        if lines:
            parts += [Text(), Text(title, style="bold"), *(_bullet(line) for line in lines)]
    return Group(*parts)


def _passed(finding: Finding) -> bool:
    """Tell whether a finding needs no row of its own: it passed, and is not worse."""
    return finding.verdict is Verdict.PASS and not finding.worse


def _table(rows: Sequence[Finding]) -> Iterator[RenderableType]:
    yield FittingTable(finding_columns(rows[:_ROWS]), keys=2)
    if len(rows) > _ROWS:
        yield Text(f"and {len(rows) - _ROWS} more: --format json has all", style="dim")


def finding_columns(rows: Sequence[Finding]) -> list[Column]:
    """Return the columns of findings: benchmark and metric, then what is known of each."""

    def column(header: str, cells: list[str], *, left: bool = False, below: bool = False) -> Column:
        return Column(header, tuple(cells), justify="left" if left else "right", below=below)

    return [
        column("benchmark", [clean(finding.cell) for finding in rows], left=True),
        column("metric", [metric_title(finding.metric) for finding in rows], left=True),
        column("change [95 %]", [_broken(change_text(finding)) for finding in rows]),
        column("vs history\n[95 %]", [_broken(level_text(finding)) for finding in rows]),
        column("base → head", list(map(_both, rows))),
        column("budget", [budget_text(finding) for finding in rows]),
        column("could\nfind", [detectable_text(finding) for finding in rows]),
        column("why", list(map(_why, rows)), below=True),
    ]


def _both(finding: Finding) -> str:
    if finding.base is None and finding.head is None:
        return NONE
    return f"{value_text(finding.base, finding)}\n→ {value_text(finding.head, finding)}"


def _why(finding: Finding) -> str:
    """Return the reason; that it cannot be told is what the column "could find" says of what is inconclusive."""
    worse = "surely worse, and surely inside the budget" if finding.worse else ""
    reason = "" if finding.verdict is Verdict.INCONCLUSIVE else finding.reason or ""
    return clean("; ".join(part for part in (worse, reason, disturbed_text(finding)) if part))


def _broken(text: str) -> str:
    return text.replace(" [", "\n[")


def hard_columns(rows: Sequence[Difference]) -> list[Column]:
    """Return the columns of what must be equal and is not."""
    return [
        Column("must be equal", tuple(clean(entry.field) for entry in rows), justify="left"),
        Column("base", tuple(clean(entry.base) for entry in rows), justify="left", wrap=True),
        Column("head", tuple(clean(entry.head) for entry in rows), justify="left", wrap=True),
    ]


def _bullet(text: str) -> Text:
    return Text(f"• {clean(text)}")
