"""The pages of all boards: the start, and what is found by words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from edgebench.render.charts.svg import drawn
from edgebench.render.charts.tradeoff import trade_offs
from edgebench.render.columns import measured
from edgebench.render.page.document import Chapter, Page, html
from edgebench.render.page.listing import Cell, listing
from edgebench.render.page.section import section_markup
from edgebench.render.several import several
from edgebench.render.site.parts import START, Links, change_text, no_answer
from edgebench.render.site.shelf import Board, Event, Turn, events_of, report_path
from edgebench.render.templates import filled_in
from edgebench.render.verdicts.text import metric_title
from edgebench.render.view import View
from edgebench.report.model import Report

if TYPE_CHECKING:
    from markupsafe import Markup

# So many changed reports stand on the start page; so many benchmarks of all boards are compared in one drawing.
_EVENTS, _COMPARED = 40, 300


def start_page(boards: Sequence[Board], newest: Sequence[Report], turns: Sequence[Turn], links: Links) -> str:
    """Return the start: every board, what changed lately, and boards side by side, suite by suite.

    `newest` has the newest report of each board, in the order of `boards`.
    """
    total = sum(len(board.heads) for board in boards)
    chapters = [Chapter("Boards", _boards(boards, turns))]
    if turns:
        chapters.append(Chapter("Newest changes", _events(events_of(turns), links)))
    for suite in sorted({board.suite for board in boards}):
        own = [(board, report) for board, report in zip(boards, newest, strict=True) if board.suite == suite]
        chapters += _side_by_side(suite, own)
    dates = [head.created[:10] for board in boards for head in (board.heads[0], board.heads[-1])]
    span = f"{total} reports of {len(boards)} boards and suites, {min(dates)} to {max(dates)}" if dates else "no report"
    return html(
        Page(
            "Boards and releases",
            span,
            no_answer(),
            chapters,
            up=(("Search boards, benchmarks, reports", "search.html"),),
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


def _events(events: Sequence[Event], links: Links) -> Markup:
    """Return a line a board and report: one commit makes dozens of figures faster, or slower."""
    rows = []
    for event in events[:_EVENTS]:
        first = event.turns[0]
        counts = Counter(turn.better for turn in event.turns)
        rows.append(
            [
                Cell(first.board, first.path),
                Cell(first.created[:10], first.report),
                links.of(first.commit),
                Cell(str(counts[False]), key=counts[False]),
                Cell(str(counts[True]), key=counts[True]),
                Cell(f"{change_text(first)} {metric_title(first.metric)} of {first.benchmark}"),
            ]
        )
    header = ("board", "first report", "commit", "worse", "better", "the largest of them")
    more = len(events) - _EVENTS
    notes = [f"and {more} earlier ones, on the boards' pages"] if more > 0 else []
    return listing("Changes", header, rows, right={3, 4}, notes=notes)


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
        Page("Search", f"{len(rows)} pages and benchmarks", no_answer(), [Chapter("Everything", table)], up=(START,))
    )
