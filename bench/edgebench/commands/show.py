"""The command `edgebench show`: a report as tables, or as one HTML page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edgebench.commands.console import stdout, write_text
from edgebench.errors import EXIT_OK

if TYPE_CHECKING:
    import argparse

    from edgebench.commands.console import Subparsers


def add(commands: Subparsers) -> None:
    """Add the command and its options."""
    show = commands.add_parser("show", help="tables of a report", description="Show a report as tables.")
    show.add_argument("report", metavar="REPORT", help="a report file, or - for standard input")
    show.add_argument("--html", metavar="FILE", type=Path, help="write one self-contained HTML page instead")
    show.set_defaults(command=_show)


def _show(arguments: argparse.Namespace) -> int:
    from edgebench.report.io import read_report

    report = read_report(arguments.report)
    if arguments.html is not None:
        from edgebench.render.html import page

        write_text(page(report), arguments.html)
        return EXIT_OK
    from edgebench.render.terminal import show

    stdout().print(show(report))
    return EXIT_OK
