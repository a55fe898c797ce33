"""The command `edgebench show`: the answer of a report and its tables, several side by side, or one HTML page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edgebench.commands.console import stdout, write_text
from edgebench.errors import EXIT_OK, UsageError

if TYPE_CHECKING:
    import argparse

    from edgebench.commands.console import Subparsers


def add(commands: Subparsers) -> None:
    """Add the command and its options."""
    show = commands.add_parser(
        "show",
        help="the answer of a report, and its tables",
        description="Show which variant is fastest, most frugal, smallest and most accurate, how sure that is, and the "
        "table behind it. Of several reports: boards or releases side by side.",
    )
    show.add_argument("report", metavar="REPORT", nargs="+", help="report files, or - for standard input")
    show.add_argument("--all", action="store_true", help="every detail: all tables, warnings, reasons")
    show.add_argument("--metric", metavar="NAME", default="", help="rank by this, and set it against the baseline")
    show.add_argument("--sort", metavar="NAME", default="", help="order the rows by this instead")
    show.add_argument("--columns", metavar="NAME,…", default="", help="show these columns: metrics, gain, p95, runs, …")
    show.add_argument("--only", metavar="GLOB", default="", help="only the benchmarks whose name matches")
    show.add_argument("--html", metavar="FILE", type=Path, help="write one self-contained HTML page instead")
    show.set_defaults(command=_show)


def _show(arguments: argparse.Namespace) -> int:
    from edgebench.report.io import read_report

    if arguments.report.count("-") > 1:
        raise UsageError("standard input can be one report only: name files for the others")
    reports = [read_report(name) for name in arguments.report]
    from edgebench.render.view import View

    columns = tuple(name for name in arguments.columns.split(",") if name.strip())
    view = View(arguments.metric, arguments.sort, columns, arguments.only, arguments.all)
    if arguments.html is not None:
        from edgebench.render.html import page, page_of_several

        text = page(reports[0], view) if len(reports) == 1 else page_of_several(reports, arguments.report, view)
        write_text(text, arguments.html)
        return EXIT_OK
    from edgebench.render.terminal import show, show_several

    shown = show(reports[0], view) if len(reports) == 1 else show_several(reports, arguments.report, view)
    stdout().print(shown)
    return EXIT_OK
