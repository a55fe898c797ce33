"""The command `edgebench show`: the answer of a report and its tables, several side by side, or one HTML page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edgebench.commands.console import stdout, write_text
from edgebench.errors import EXIT_OK, UsageError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from edgebench.commands.console import Subparsers
    from edgebench.report.model import Report


def add(commands: Subparsers) -> None:
    """Add the command and its options."""
    show = commands.add_parser(
        "show",
        help="the answer of a report, and its tables",
        description="Show which variant is fastest, most frugal, smallest and most accurate, how sure that is, and the "
        "table behind it. Of several reports: boards or releases side by side.",
    )
    show.add_argument("report", metavar="REPORT", nargs="+", help="report files, - for standard input, or a history")
    show.add_argument("--all", action="store_true", help="every detail: all tables, warnings, reasons")
    show.add_argument("--metric", metavar="NAME", default="", help="rank by this, and set it against the baseline")
    show.add_argument("--sort", metavar="NAME", default="", help="order the rows by this instead")
    show.add_argument("--columns", metavar="NAME,…", default="", help="show these columns: metrics, gain, p95, runs, …")
    show.add_argument("--only", metavar="GLOB", default="", help="only the benchmarks whose name matches")
    show.add_argument("--html", metavar="FILE", type=Path, help="write one self-contained HTML page instead")
    show.set_defaults(command=_show)


def _show(arguments: argparse.Namespace) -> int:
    from edgebench.compare.lean import uncollected

    with uncollected():
        return _shown(arguments)


def _shown(arguments: argparse.Namespace) -> int:
    if arguments.report.count("-") > 1:
        raise UsageError("standard input can be one report only: name files for the others")
    found = [one for name in arguments.report for one in _reports(name)]
    reports, names = [report for _, report in found], [name for name, _ in found]
    from edgebench.render.view import View

    columns = tuple(name for name in arguments.columns.split(",") if name.strip())
    view = View(arguments.metric, arguments.sort, columns, arguments.only, arguments.all)
    if arguments.html is not None:
        from edgebench.render.html import page, page_of_several

        text = page(reports[0], view) if len(reports) == 1 else page_of_several(reports, names, view)
        write_text(text, arguments.html)
        return EXIT_OK
    from edgebench.render.terminal import show, show_several

    shown = show(reports[0], view) if len(reports) == 1 else show_several(reports, names, view)
    stdout().print(shown)
    return EXIT_OK


def _reports(name: str) -> Iterator[tuple[str, Report]]:
    """Yield the report of that name; of a history the newest of every board and suite."""
    from edgebench.history.file import is_history
    from edgebench.report.io import read_report

    if name == "-" or not is_history(Path(name)):
        yield name, read_report(name)
        return
    from edgebench.history.condensed import heads, reports

    newest = {(head.board, head.platform, head.suite): head for head in heads(Path(name))}
    labels = {head.id: head.label for head in newest.values()}
    if not labels:
        raise UsageError(f"{name}: the history holds no report: add some with 'edgebench history add'")
    for report in reports(Path(name), lambda head: head.id in labels):
        yield labels[report.id], report
