"""The pages of a site: the start, a board, a report, and what is found by words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
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
from edgebench.render.several import several
from edgebench.render.site.shelf import Board, Turn, report_path
from edgebench.render.summary import summary
from edgebench.render.templates import filled_in
from edgebench.render.units import NONE, points, quantity, share, short, signed
from edgebench.render.verdicts.text import metric_title
from edgebench.render.view import View
from edgebench.report.intervals import interval
from edgebench.report.model import Report

if TYPE_CHECKING:
    from markupsafe import Markup

# Of a board's figures so many are drawn, those that changed first, and of each so many releases, the newest.
_DRAWN, _RELEASES = 24, 120
# So many changes stand on the start page; so many benchmarks of all boards are compared in one drawing.
_TURNS, _COMPARED = 40, 300
_START = ("All boards", "index.html")


@dataclass(frozen=True, slots=True)
class Links:
    """Where commits are shown: an https address with ``{commit}`` in it, or nowhere."""

    commit: str = ""

    def of(self, revision: str | None) -> Cell:
        """Return a commit as a cell."""
        if not revision:
            return Cell(NONE)
        commit = revision.partition("-")[0]
        plain = commit.isalnum() and commit.isascii()
        return Cell(short(revision), self.commit.replace("{commit}", commit) if self.commit and plain else "")


def start_page(boards: Sequence[Board], newest: Sequence[Report], turns: Sequence[Turn], links: Links) -> str:
    """Return the start: every board, what changed lately, and boards side by side, suite by suite.

    `newest` has the newest report of each board, in the order of `boards`.
    """
    total = sum(len(board.heads) for board in boards)
    chapters = [Chapter("Boards", _boards(boards, turns))]
    if turns:
        chapters.append(Chapter("Newest changes", _turns(turns[:_TURNS], links, len(turns) - _TURNS, up="")))
    for suite in sorted({board.suite for board in boards}):
        own = [(board, report) for board, report in zip(boards, newest, strict=True) if board.suite == suite]
        chapters += _side_by_side(suite, own)
    dates = [head.created[:10] for board in boards for head in (board.heads[0], board.heads[-1])]
    span = f"{total} reports of {len(boards)} boards and suites, {min(dates)} to {max(dates)}" if dates else "no report"
    return html(
        Page(
            "Boards and releases", span, _empty(), chapters, up=(("Search boards, benchmarks, reports", "search.html"),)
        )
    )


def _boards(boards: Sequence[Board], turns: Sequence[Turn]) -> Markup:
    changes = {board.path: sum(turn.path == board.path for turn in turns) for board in boards}
    rows = [
        [
            Cell(board.name, board.path),
            Cell(board.suite),
            Cell(board.platform),
            Cell(str(len(board.heads)), key=len(board.heads)),
            Cell(board.heads[-1].created[:10], report_path(board.heads[-1].id)),
            Cell(board.heads[-1].version),
            Cell(str(changes[board.path]), key=changes[board.path]),
        ]
        for board in boards
    ]
    header = ("board", "suite", "platform", "reports", "newest report", "edgebench", "changes")
    return listing("Boards", header, rows, right={3, 6})


def _turns(turns: Sequence[Turn], links: Links, more: int, *, up: str) -> Markup:
    rows = [
        [
            Cell(turn.benchmark),
            Cell(metric_title(turn.metric)),
            Cell(_change(turn), key=turn.after - turn.before if turn.absolute else turn.after / turn.before - 1),
            Cell("better" if turn.better else "worse"),
            Cell(turn.created[:10], f"{up}{turn.report}"),
            links.of(turn.commit),
            Cell(turn.board, f"{up}{turn.path}"),
        ]
        for turn in turns
    ]
    header = ("benchmark", "metric", "change", "which is", "first report", "commit", "board")
    notes = [f"and {more} earlier ones, on the boards' pages"] if more > 0 else []
    return listing("Changes", header, rows, right={2}, notes=notes)


def _change(turn: Turn) -> str:
    if turn.absolute:
        return f"{points(turn.after - turn.before)} points"
    return f"{signed(100 * (turn.after / turn.before - 1), 1)} %"


def _side_by_side(suite: str, own: Sequence[tuple[Board, Report]]) -> list[Chapter]:
    """Return the newest reports of a suite's boards beside each other: figures, and quality against cost."""
    names = [board.name for board, _ in own]
    _, tables = several([report for _, report in own], names, View())
    chapters = [
        Chapter(f"{suite}: {table.title}", section_markup(table)) for table in tables if table.tables[0][0].cells
    ]
    rows = [
        row.model_copy(update={"name": f"{board.name}: {row.name}"})
        for board, report in own
        for row in measured(report, "inference")
    ]
    plots = trade_offs(rows) if len(rows) <= _COMPARED else []
    if plots:
        figures = [drawn(plot) for plot in plots]
        chapters.append(
            Chapter(f"{suite}: quality against cost", filled_in("figures.html.j2", figures=figures, kind="plots"))
        )
    return chapters


def board_page(board: Board, trend: Trend, sessions: Sequence[Session], turns: Sequence[Turn], links: Links) -> str:
    """Return a board's page: what changed, figures over releases, every figure now, its reports."""
    chapters = []
    if turns:
        chapters.append(Chapter("Changes", _turns(turns, links, 0, up="../")))
    shown = sorted(
        (one for one in trend.series if one.metric in {"latency_s", "energy_gross_j"} and len(one.values) > 1),
        key=lambda one: not one.changes,
    )
    figures = [drawn(_course(one, sessions, board)) for one in shown[:_DRAWN]]
    if figures:
        chapters.append(Chapter("Over releases", filled_in("figures.html.j2", figures=figures, kind="courses")))
    chapters.append(Chapter("Figures now", _now(trend, len(shown) - len(figures))))
    chapters.append(Chapter("Reports", _reports(board.heads, links)))
    return html(
        Page(
            board.title,
            f"{board.platform} · {len(board.heads)} reports",
            _empty(),
            chapters,
            up=((_START[0], "../index.html"),),
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
    order = {place: number for number, place in enumerate(places)}
    changes = tuple(order[change.place] for change in one.changes if change.place in order)
    course = Course(metric_title(one.metric), tuple(range(len(places))), tuple(extents), changes)
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
    chapters.append(Chapter("This report", listing("Facts", ("fact", "of this report"), told)))
    return html(
        Page(
            title=f"{board.title}, {report.created[:10]}",
            subtitle=" · ".join(first.head),
            answer=filled_in("answer.html.j2", groups=first.groups, notes=first.notes, tone=""),
            chapters=chapters,
            closing=f"Report {report.id}, from a history: passes, layers and resources stand in the file itself.",
            up=((_START[0], "../index.html"), (board.title, f"../{board.path}")),
        )
    )


def search_page(boards: Sequence[Board], names: Sequence[Sequence[str]]) -> str:
    """Return one table of everything that has a page; words typed above it filter the rows.

    `names` has the benchmarks of each board's newest report.
    """
    rows = [[Cell(board.title, board.path), Cell("board"), Cell(board.platform), Cell("")] for board in boards]
    for board, own in zip(boards, names, strict=True):
        rows += [[Cell(name, board.path), Cell("benchmark"), Cell(board.title), Cell("")] for name in own]
    for board in boards:
        rows += [
            [Cell(head.label, report_path(head.id)), Cell("report"), Cell(board.title), Cell(head.created[:10])]
            for head in reversed(board.heads)
        ]
    table = listing("Everything", ("name", "what", "where", "when"), rows)
    return html(
        Page("Search", f"{len(rows)} pages and benchmarks", _empty(), [Chapter("Everything", table)], up=(_START,))
    )


def _empty() -> Markup:
    return filled_in("figures.html.j2", figures=(), kind="plots")
