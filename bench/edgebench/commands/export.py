"""The command `edgebench export`: a report in a format that other programs read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edgebench.commands.console import load, write_text
from edgebench.errors import EXIT_OK, UsageError

if TYPE_CHECKING:
    import argparse

    from edgebench.commands.console import Subparsers

# Each a function that takes a report and returns text, imported when it is asked for.
FORMATS = {
    "csv": "edgebench.render.csv:rows",
    "resources-csv": "edgebench.render.resources:rows",
    "pyperf": "edgebench.render.pyperf:suite_json",
    "bencher": "edgebench.render.bencher:metrics_json",
    "github-action-benchmark": "edgebench.render.action:smaller_json",
    "github-action-benchmark-bigger": "edgebench.render.action:bigger_json",
    "openmetrics": "edgebench.render.openmetrics:metrics_text",
}


def add(commands: Subparsers) -> None:
    """Add the command and its options."""
    export = commands.add_parser("export", help="a report in another format", description="Write a report as another.")
    export.add_argument("report", metavar="REPORT", nargs="+", help="report files (csv: several), or - for stdin")
    export.add_argument("--format", required=True, choices=FORMATS, help="csv: one row a metric")
    export.add_argument("-o", "--output", metavar="FILE", type=Path, help="a file instead of standard output")
    export.set_defaults(command=_export)


def _export(arguments: argparse.Namespace) -> int:
    from edgebench.report.io import read_report

    if len(arguments.report) > 1 and arguments.format != "csv":
        raise UsageError(f"--format {arguments.format} takes one report: name one, or use csv")
    exported: str = load(FORMATS[arguments.format])(*map(read_report, arguments.report))
    write_text(exported, arguments.output)
    return EXIT_OK
