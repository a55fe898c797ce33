"""A verdict and a trend as pages: the answer first, what changed as charts, everything as tables to sort and filter."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from edgebench.compare.trend import Series, Trend
from edgebench.compare.verdict import Comparison
from edgebench.render.charts.changes import changes_of
from edgebench.render.charts.extent import Extent
from edgebench.render.charts.lines import Course, over_time
from edgebench.render.charts.svg import drawn
from edgebench.render.page.document import Chapter, Page, html
from edgebench.render.page.section import section_markup
from edgebench.render.tables import Column, Section
from edgebench.render.templates import filled_in
from edgebench.render.verdicts.table import finding_columns, hard_columns
from edgebench.render.verdicts.text import (
    answer_lines,
    assumed_lines,
    by_severity,
    headline,
    metric_title,
    remarks,
    verdict_text,
    whole_lines,
)
from edgebench.render.verdicts.trend import changed_first, said_of, series_columns

# So many series are drawn, those that changed last first; the table has all.
_DRAWN = 48


@dataclass(frozen=True, slots=True)
class _Told:
    """What the answer of a page says: the same parts that a report's answer has."""

    about: str
    sentences: tuple[str, ...]


def verdict_page(comparison: Comparison) -> str:
    """Return a verdict as one HTML document; every text from a report is escaped."""
    common = [f"all: {', '.join(f'{key} {value}' for key, value in comparison.common)}"] if comparison.common else []
    told = _Told("", (headline(comparison), *whole_lines(comparison), *answer_lines(comparison)))
    chapters = [*_changes(comparison), *_findings(comparison)]
    for title, lines in (
        ("Beside it", remarks(comparison)),
        ("Assumed", assumed_lines(comparison)),
    ):
        if lines:
            section = Section(title, bullets=tuple((line, "") for line in lines))
            chapters.append(Chapter(title, section_markup(section)))
    return html(
        Page(
            title=f"{comparison.verdict}: {comparison.head.label} against {comparison.base.label}",
            subtitle=" · ".join([*_sides(comparison), *common]),
            answer=filled_in("answer.html.j2", groups=[told], notes=(), tone=comparison.verdict.value),
            chapters=chapters,
        )
    )


def trend_page(trend: Trend) -> str:
    """Return a trend as one HTML document; `trend` has at least one series."""
    changed, still = changed_first(trend)
    reports = len(trend.reports)
    span = f"{trend.reports[0][1][:10]} to {trend.reports[-1][1][:10]}"
    told = _Told("", tuple(said_of(trend)))
    notes = [("Note", note) for note in trend.notes]
    notes += [("System", f"{number}: {text}") for number, text in enumerate(trend.systems, 1) if len(trend.systems) > 1]
    several = len(trend.systems) > 1
    chapters = []
    if changed:
        section = Section("What changed", (tuple(series_columns(changed, several=several)),))
        chapters.append(Chapter("What changed", section_markup(section)))
    chapters.append(_courses(trend, [*changed, *still]))
    if still:
        section = Section("What did not change", (tuple(series_columns(still, several=several)),))
        chapters.append(Chapter("What did not change", section_markup(section)))
    return html(
        Page(
            title=f"{reports} report{'s' if reports > 1 else ''}, {span}",
            subtitle="where figures changed, report by report",
            answer=filled_in("answer.html.j2", groups=[told], notes=notes, tone=""),
            chapters=chapters,
        )
    )


def _sides(comparison: Comparison) -> list[str]:
    sides = (("base", comparison.base), ("head", comparison.head))
    return [f"{name} {side.label}{f' of {side.created[:10]}' if side.created else ''}" for name, side in sides]


def _changes(comparison: Comparison) -> Iterator[Chapter]:
    charts = changes_of(comparison.findings)
    if charts:
        figures = [drawn(chart) for chart in charts]
        yield Chapter("Changes", filled_in("figures.html.j2", figures=figures, kind="courses"))


def _findings(comparison: Comparison) -> Iterator[Chapter]:
    if comparison.hard:
        section = Section("Must be equal", (tuple(hard_columns(comparison.hard)),))
        yield Chapter("Must be equal", section_markup(section), "error")
    if comparison.findings:
        rows = by_severity(comparison.findings)
        name, metric, *others = finding_columns(rows)
        verdicts = Column("verdict", tuple(map(verdict_text, rows)), "left")
        section = Section("Every benchmark", ((name, metric, verdicts, *others),))
        yield Chapter("Every benchmark", section_markup(section))


def _courses(trend: Trend, series: Sequence[Series]) -> Chapter:
    moments = [created[:10] for _, created in trend.reports]
    figures = []
    for one in series[:_DRAWN]:
        values = tuple(Extent(value, value, value, "unknown") for value in one.values)
        changes = tuple(one.places[change.place] for change in one.changes)
        system = f", system {one.system + 1}" if len(trend.systems) > 1 else ""
        better = tuple(one.places[change.place] for change in one.changes if one.improved(change))
        course = Course(f"{one.cell}{system}", one.places, values, changes, better)
        title = f"{one.cell}{system}: {metric_title(one.metric)}"
        figures.append(drawn(over_time(title, one.metric, moments, [course], f"{one.better} is better")))
    return Chapter("Report by report", filled_in("figures.html.j2", figures=figures, kind="plots"))
