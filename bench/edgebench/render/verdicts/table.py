"""A verdict on a terminal: the answer first, failures first, then what it rests on."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from edgebench.compare.verdict import Comparison, Finding, Verdict
from edgebench.render.tables import Column, FittingTable
from edgebench.render.verdicts.text import (
    budget_text,
    by_severity,
    change_text,
    detectable_text,
    headline,
    level_text,
    metric_title,
    remarks,
    value_text,
    verdict_text,
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
# More rows than this nobody reads; what is left out passed, and --format json has it.
_ROWS = 80


def verdict_table(comparison: Comparison) -> RenderableType:
    """Return the whole verdict."""
    parts: list[RenderableType] = [Text(clean(headline(comparison)), style=_STYLES[comparison.verdict])]
    parts.append(Text(clean(f"base {comparison.base.label}, head {comparison.head.label}"), style="dim"))
    if comparison.common:
        parts.append(Text("all cells: " + clean(", ".join(f"{k} {v}" for k, v in comparison.common)), style="dim"))
    parts += [Text(clean(line)) for line in whole_lines(comparison)]
    parts += [_hard(comparison)] if comparison.hard else []
    shown = by_severity(comparison.findings)
    rows = shown[:_ROWS]
    if rows:
        parts += [Text(), FittingTable(_columns(rows))]
    if left_out := shown[_ROWS:]:
        failed = sum(finding.verdict not in {Verdict.PASS, Verdict.IMPROVED} for finding in left_out)
        parts.append(Text(f"and {len(left_out)} more, {failed} of them not passed: --format json has all", style="dim"))
    # The column "could find" says it of what is inconclusive.
    reasons = [finding for finding in rows if finding.reason and finding.verdict is not Verdict.INCONCLUSIVE]
    if reasons:
        parts += [Text(), *(_bullet(text) for text in dict.fromkeys(map(_why, reasons)))]
    for title, lines in (("beside it", remarks(comparison)), ("assumed", list(comparison.assumptions))):
        if lines:
            parts += [Text(), Text(title, style="bold"), *(_bullet(line) for line in lines)]
    return Group(*parts)


def _columns(rows: list[Finding]) -> list[Column]:
    def column(header: str, cells: list[str], *, left: bool = False) -> Column:
        return Column(header, tuple(map(clean, cells)), justify="left" if left else "right")

    history = [column("vs history [95 %]", list(map(level_text, rows)))] if any(row.level for row in rows) else []
    return [
        column("benchmark", [finding.cell for finding in rows], left=True),
        column("metric", [metric_title(finding.metric) for finding in rows], left=True),
        column("verdict", list(map(verdict_text, rows)), left=True),
        column("change [95 %]", [change_text(finding) for finding in rows]),
        column("base", [value_text(finding.base, finding) for finding in rows]),
        column("head", [value_text(finding.head, finding) for finding in rows]),
        *history,
        column("budget", [budget_text(finding) for finding in rows]),
        column("could find", [detectable_text(finding) for finding in rows]),
    ]


def _hard(comparison: Comparison) -> RenderableType:
    rows = comparison.hard
    columns = [
        Column("must be equal", tuple(clean(entry.field) for entry in rows), justify="left"),
        Column("base", tuple(clean(entry.base) for entry in rows), justify="left", wrap=True),
        Column("head", tuple(clean(entry.head) for entry in rows), justify="left", wrap=True),
    ]
    return Group(Text(), FittingTable(columns))


def _why(finding: Finding) -> str:
    return f"{finding.cell}, {metric_title(finding.metric)}: {finding.reason}"


def _bullet(text: str) -> Text:
    return Text(f"• {clean(text)}")
