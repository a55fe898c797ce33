"""The command `edgebench export`: a report in a format that other programs read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edgebench.commands.console import write_text
from edgebench.errors import EXIT_OK

if TYPE_CHECKING:
    import argparse

    from edgebench.commands.console import Subparsers
    from edgebench.report.model import Report


def add(commands: Subparsers) -> None:
    """Add the command and its options."""
    export = commands.add_parser("export", help="a report in another format", description="Write a report as another.")
    export.add_argument("report", metavar="REPORT", help="a report file, or - for standard input")
    export.add_argument(
        "--format", required=True, choices=("csv", "resources-csv", "pyperf"), help="csv: one row a metric"
    )
    export.add_argument("-o", "--output", metavar="FILE", type=Path, help="a file instead of standard output")
    export.set_defaults(command=_export)


def _export(arguments: argparse.Namespace) -> int:
    from edgebench.report.io import read_report

    write_text(_exported(read_report(arguments.report), arguments.format), arguments.output)
    return EXIT_OK


def _exported(report: Report, form: str) -> str:
    if form == "csv":
        from edgebench.render.csv import rows

        return rows(report)
    if form == "resources-csv":
        from edgebench.render.resources import rows as points

        return points(report)
    from edgebench.render.pyperf import suite_json

    return suite_json(report)
