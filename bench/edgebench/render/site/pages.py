"""The pages of one board: the board itself over its releases, and each of its reports."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from edgebench.compare.cells import Session
from edgebench.compare.trend import Series, Trend
from edgebench.history.condensed import Head
from edgebench.render.charts.extent import Extent
from edgebench.render.charts.lines import Course, over_time
from edgebench.render.charts.plot import Plot
from edgebench.render.charts.svg import drawn
from edgebench.render.charts.tradeoff import trade_offs
from edgebench.render.columns import measured
from edgebench.render.head import head as facts_of
from edgebench.render.page.document import Chapter, Page, html
from edgebench.render.page.listing import Cell, listing
from edgebench.render.page.section import section_markup
from edgebench.render.site.parts import START, Links, change_text, no_answer
from edgebench.render.site.shelf import Board, Turn, report_path
from edgebench.render.summary import summary
from edgebench.render.templates import filled_in
from edgebench.render.units import NONE, quantity, share, short
from edgebench.render.verdicts.text import metric_title
from edgebench.report.intervals import interval
from edgebench.report.model import Report

if TYPE_CHECKING:
    from markupsafe import Markup

# Of a board's figures so many are drawn, those that changed first, and of each so many releases, the newest.
_DRAWN, _RELEASES = 24, 120
_READING = (
    "Every point is a report, to which a click leads; its bar is the 95 % interval. A dashed line is where a new level "
    "begins: green for the better, red for the worse."
)


def _turns(turns: Sequence[Turn], links: Links) -> Markup:
    rows = [
        [
            Cell(turn.benchmark),
            Cell(metric_title(turn.metric)),
            Cell(change_text(turn), key=turn.change),
            Cell("better" if turn.better else "worse"),
            Cell(turn.created[:10], f"../{turn.report}"),
            links.of(turn.commit),
        ]
        for turn in turns
    ]
    header = ("benchmark", "metric", "change", "which is", "first report", "commit")
    return listing("Changes", header, rows, right={2})


def board_page(board: Board, trend: Trend, sessions: Sequence[Session], turns: Sequence[Turn], links: Links) -> str:
    """Return a board's page: what changed, figures over releases, every figure now, its reports."""
    chapters = []
    if turns:
        chapters.append(Chapter("Changes", _turns(turns, links)))
    shown = sorted(
        (one for one in trend.series if one.metric in {"latency_s", "energy_gross_j"} and len(one.values) > 1),
        key=lambda one: not one.changes,
    )
    figures = [drawn(_course(one, sessions, board)) for one in shown[:_DRAWN]]
    if figures:
        drawings = filled_in("figures.html.j2", figures=figures, kind="courses", note=_READING)
        chapters.append(Chapter("Over releases", drawings))
    chapters.append(Chapter("Figures now", _now(trend, len(shown) - len(figures))))
    chapters.append(Chapter("Reports", _reports(board.heads, links)))
    return html(
        Page(
            board.title,
            f"{board.platform} · {len(board.heads)} reports",
            no_answer(),
            chapters,
            up=(
                (START[0], "../index.html"),
                (f"newest report, {board.heads[-1].created[:10]}", f"../{report_path(board.heads[-1].id)}"),
            ),
        )
    )


def _course(one: Series, sessions: Sequence[Session], board: Board) -> Plot:
    heads = {head.id: head for head in board.heads}
    places = one.places[-_RELEASES:]
    moments = [_moment(heads[sessions[place].id]) for place in places]
    extents = []
    for place, value in zip(places, one.values[-_RELEASES:], strict=True):
        ends = interval(sessions[place].cells[one.cell].samples[one.metric].runs)
        extents.append(Extent(value, *(ends or (value, value)), "interval" if ends else "unknown"))
    first = len(one.places) - len(places)
    turned = [change for change in one.changes if change.place >= first]
    course = Course(
        metric_title(one.metric),
        tuple(range(len(places))),
        tuple(extents),
        changes=tuple(change.place - first for change in turned),
        better=tuple(change.place - first for change in turned if one.improved(change)),
        hrefs=tuple(f"../{report_path(sessions[place].id)}" for place in places),
    )
    earlier = f" (the newest {len(places)} of {first + len(places)})" if first else ""
    return over_time(f"{one.cell}: {metric_title(one.metric)}{earlier}", one.metric, moments, [course])


def _moment(head: Head) -> str:
    """Name a release: its day and commit, or of what does not tell, the edgebench that measured."""
    return f"{head.created[:10]} {short(head.revision)[:7] if head.revision else head.version[:12]}"


def _now(trend: Trend, undrawn: int) -> Markup:
    rows = []
    for one in trend.series:
        value, last = one.values[-1], one.changes[-1] if one.changes else None
        rows.append(
            [
                Cell(one.cell),
                Cell(metric_title(one.metric)),
                Cell(share(value) if one.absolute else quantity(value, one.unit), key=value),
                Cell(trend.reports[one.places[-1]][1][:10]),
                Cell(str(len(one.changes)), key=len(one.changes)),
                Cell(NONE if last is None else last.created[:10]),
            ]
        )
    header = ("benchmark", "metric", "now", "measured", "changes", "last change")
    notes = [f"{undrawn} more that did not change are not drawn"] if undrawn > 0 else []
    return listing("Figures", header, rows, right={2, 4}, notes=notes)


def _reports(heads: Sequence[Head], links: Links) -> Markup:
    rows = [
        [
            Cell(head.created[:16].replace("T", " "), f"../{report_path(head.id)}"),
            Cell(head.label),
            Cell(head.version),
            links.of(head.revision),
            Cell(head.status),
        ]
        for head in reversed(heads)
    ]
    return listing("Reports", ("created", "file", "edgebench", "commit", "status"), rows)


def report_page(report: Report, board: Board, label: str, links: Links) -> str:
    """Return a report's page: its answer, its variants, quality against cost, what failed, and of what it is."""
    # That it is condensed is said at the end of the page, of all of it.
    warnings = tuple(notice for notice in report.warnings if notice.code != "condensed")
    report = report.model_copy(update={"warnings": warnings})
    first = summary(report)
    chapters = [Chapter(one.title or "Variants", section_markup(one, "Variants"), one.tone) for one in first.tables]
    plots = [drawn(plot) for plot in trade_offs(measured(report, "inference"))]
    if plots:
        chapters.append(Chapter("Quality against cost", filled_in("figures.html.j2", figures=plots, kind="plots")))
    gone = [
        [Cell(row.name), Cell(row.status), Cell(row.reason or "")] for row in report.benchmarks if row.status != "ok"
    ]
    if gone:
        chapters.append(Chapter("Not measured", listing("Not measured", ("benchmark", "status", "why"), gone)))
    facts = facts_of(report)
    told = [[Cell(name), links.of(report.commit) if name == "commit" else Cell(text)] for name, text in facts]
    told.append([Cell("file"), Cell(label)])
    chapters.append(Chapter("This report", listing("Facts", ("fact", "of this report"), told, tools=False)))
    return html(
        Page(
            title=f"{board.title}, {report.created[:10]}",
            subtitle=" · ".join(first.head),
            answer=filled_in("answer.html.j2", groups=first.groups, notes=first.notes, tone=""),
            chapters=chapters,
            closing=f"Report {report.id}, from a history: passes, layers and resources stand in the file itself.",
            up=((START[0], "../index.html"), (board.title, f"../{board.path}")),
        )
    )
