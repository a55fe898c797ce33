"""A report as one HTML file that needs nothing else: no network, light and dark, on a phone and on paper."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from edgebench.render import timeline
from edgebench.render.charts.bars import energy_bars, latency_bars
from edgebench.render.charts.roofline import roofline_plot
from edgebench.render.charts.svg import drawn
from edgebench.render.charts.tradeoff import trade_offs
from edgebench.render.columns import measured
from edgebench.render.head import head
from edgebench.render.page.document import Chapter, Page, html
from edgebench.render.page.section import section_markup
from edgebench.render.sections import sections
from edgebench.render.several import report_names, several
from edgebench.render.summary import Summary, summary
from edgebench.render.sustained import timelines
from edgebench.render.templates import filled_in
from edgebench.render.view import View, chosen
from edgebench.report.model import Benchmark, Report

if TYPE_CHECKING:
    from markupsafe import Markup


def page(report: Report, view: View | None = None) -> str:
    """Return the whole report as one HTML document; every text from the report is escaped.

    UsageError where `view` names what the report has not.
    """
    view = view or View()
    report = chosen(report, view)
    first = summary(report, view)
    chapters = [*_variants(first), *_charts(report), *_tables(report), *_courses(report)]
    chapters.append(Chapter("This report", filled_in("facts.html.j2", facts=head(report))))
    return html(
        Page(
            title=f"{report.suite.name} on {report.platform}",
            subtitle=" · ".join(first.head),
            answer=filled_in("answer.html.j2", groups=first.groups, notes=first.notes, tone=""),
            chapters=chapters,
            closing=f"Report {report.id}, {report.schema_}, suite {report.suite.digest[:80]}.",
        )
    )


def page_of_several(reports: Sequence[Report], files: Sequence[str], view: View) -> str:
    """Return several reports side by side as one HTML document; UsageError where `view` names what none has."""
    names = report_names(reports, files)
    answers, sections = several(reports, files, view)
    rows = [
        row.model_copy(update={"name": f"{row.name} · {name}"})
        for name, report in zip(names, reports, strict=True)
        for row in measured(report, "inference")
        if fnmatchcase(row.name, view.only or "*")
    ]
    chapters = [Chapter(f"{one.title[:1].upper()}{one.title[1:]}", section_markup(one), one.tone) for one in sections]
    chapters += _compared(rows)
    for name, report in zip(names, reports, strict=True):
        chapters.append(Chapter(name, filled_in("facts.html.j2", facts=head(report))))
    return html(
        Page(
            title=f"{len(reports)} reports side by side",
            subtitle=" · ".join(names),
            answer=filled_in("answer.html.j2", groups=(), notes=answers, tone=""),
            chapters=chapters,
        )
    )


def _variants(first: Summary) -> Iterator[Chapter]:
    for section in first.tables:
        yield Chapter(section.title or "Variants", section_markup(section, "Variants"), section.tone)


def _charts(report: Report) -> Iterator[Chapter]:
    yield from _compared(measured(report, "inference"))
    if (roofline := roofline_plot(report)) is not None:
        yield Chapter("Roofline", drawn(roofline))


def _compared(rows: Sequence[Benchmark]) -> Iterator[Chapter]:
    trades = trade_offs(rows)
    if trades:
        yield Chapter("Quality against cost", _figures([drawn(plot) for plot in trades], "plots"))
    for title, bars in (("Latency", latency_bars(rows)), ("Energy", energy_bars(rows))):
        if bars is not None:
            yield Chapter(title, drawn(bars))


def _tables(report: Report) -> Iterator[Chapter]:
    for section in sections(report, sparks=False):
        yield Chapter(section.title, section_markup(section), section.tone)


def _courses(report: Report) -> Iterator[Chapter]:
    session = timeline.session_timeline(report)
    found = [*timelines(report), *([] if session is None else [session])]
    if found:
        yield Chapter("Over time", _figures([drawn(one) for one in found], "courses"))


def _figures(figures: list[Markup], kind: str) -> Markup:
    return filled_in("figures.html.j2", figures=figures, kind=kind)
