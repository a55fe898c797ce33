"""Changes against a base: a mark and its interval for each benchmark, around the line of no change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgebench.compare.verdict import Finding
from edgebench.render.charts.scale import Scale, scale
from edgebench.render.units import signed
from edgebench.render.verdicts.text import by_severity, change_text, metric_title, verdict_text
from edgebench.report.catalogue import info_of

MAX_ROWS = 60
# Changes beyond this (as shares) stand at the edge.
_FURTHEST = 2.0


@dataclass(frozen=True, slots=True)
class Row:
    """One benchmark: where its change and the ends of its interval stand (per cent of the axis), and its words."""

    label: str
    at: float
    ends: tuple[float, float] | None
    text: str
    kind: str


@dataclass(frozen=True, slots=True)
class Changes:
    """The changes of one metric; `zero` and `budgets` are places on the axis."""

    title: str
    scale: Scale
    zero: float
    budgets: tuple[float, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...]


def changes_of(findings: Sequence[Finding]) -> list[Changes]:
    """Return a chart for each metric of which some benchmark has a change, in the order of the findings."""
    by_metric: dict[str, list[Finding]] = {}
    for finding in findings:
        if finding.change is not None and finding.metric.partition(".")[0] != "*":
            by_metric.setdefault(finding.metric, []).append(finding)
    return [_chart(metric, by_severity(found)) for metric, found in by_metric.items()]


def _chart(metric: str, findings: Sequence[Finding]) -> Changes:
    rows = findings[:MAX_ROWS]
    lower = info_of(metric).better == "lower"
    absolute = rows[0].absolute
    budgets = sorted({(1 if lower else -1) * row.budget for row in rows if row.budget is not None})
    ends = [end for row in rows for end in (row.change or 0.0, *(row.interval or ()), *budgets)]

    def words(values: Sequence[float]) -> list[str]:
        texts = ("0" if abs(value) < 1e-12 else signed(100 * value, 2).rstrip("0").rstrip(".") for value in values)
        return [f"{text} {'points' if absolute else '%'}" for text in texts]

    axis = scale([0.0, *(min(_FURTHEST, max(-_FURTHEST, end)) for end in ends)], words, log=False)
    found = [
        Row(
            finding.cell,
            axis.at(finding.change or 0.0),
            None if finding.interval is None else (axis.at(finding.interval[0]), axis.at(finding.interval[1])),
            f"{change_text(finding)} {verdict_text(finding)}",
            finding.verdict.value,
        )
        for finding in rows
    ]
    notes = [f"right is {'worse' if lower else 'better'}; the dashed line is the budget"]
    notes += [f"{len(findings) - len(rows)} more stand in the table only"] if len(findings) > len(rows) else []
    title = metric_title(metric)
    return Changes(
        title=f"{title[:1].upper()}{title[1:]}: change of the head, with its 95 % interval",
        scale=axis,
        zero=axis.at(0.0),
        budgets=tuple(axis.at(budget) for budget in budgets),
        rows=tuple(found),
        notes=tuple(notes),
    )
