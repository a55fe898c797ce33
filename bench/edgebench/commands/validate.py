"""The command `edgebench validate`: whether a report keeps to its schema."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgebench.commands.console import stdout
from edgebench.errors import EXIT_OK

if TYPE_CHECKING:
    import argparse

    from edgebench.commands.console import Subparsers


def add(commands: Subparsers) -> None:
    """Add the command and its options."""
    validate = commands.add_parser("validate", help="check a report", description="Check a report against its schema.")
    validate.add_argument("report", metavar="REPORT", help="a report file, or - for standard input")
    validate.set_defaults(command=_validate)


def _validate(arguments: argparse.Namespace) -> int:
    from edgebench.report.io import read_report

    report = read_report(arguments.report)
    state = f"{report.status}, {len(report.benchmarks)} benchmarks"
    stdout().print(f"{arguments.report}: a valid {report.schema_} report ({state})", markup=False, highlight=False)
    return EXIT_OK
