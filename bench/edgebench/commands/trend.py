"""The command `edgebench trend`: where figures changed over a folder of reports."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edgebench.commands.console import captured, write_text
from edgebench.commands.judging import left_out
from edgebench.errors import EXIT_OK, UsageError

if TYPE_CHECKING:
    import argparse

    from edgebench.commands.console import Subparsers


def add(commands: Subparsers) -> None:
    """Add the command and its options."""
    trend = commands.add_parser(
        "trend", help="how releases went over time", description="Show where figures changed, report by report."
    )
    trend.add_argument("folder", metavar="DIR", type=Path, help="a folder of reports")
    trend.add_argument("--metric", metavar="NAME", action="append", default=[], help="may be repeated")
    trend.add_argument("--only", metavar="GLOB", help="only the benchmarks whose name matches")
    trend.add_argument("--format", choices=("table", "json"), default="table")
    trend.add_argument("-o", "--output", metavar="FILE", type=Path, help="a file instead of standard output")
    trend.add_argument("--html", metavar="FILE", type=Path, help="write one self-contained HTML page as well")
    trend.set_defaults(command=_trend)


def _trend(arguments: argparse.Namespace) -> int:
    """Show where figures changed; advisory, so it succeeds whatever it finds."""
    from dataclasses import replace

    from edgebench.compare.budgets import BudgetFile, policy_of
    from edgebench.compare.history import read_folder
    from edgebench.compare.trend import trend_of
    from edgebench.render.verdicts.trend import trend_json, trend_table

    policy = policy_of(BudgetFile(), metrics=arguments.metric)
    found = read_folder(arguments.folder, policy.metrics)
    if not found.sessions:
        raise UsageError(f"{arguments.folder}: holds no report: {found.refused[0]}")
    result = trend_of(found.sessions, policy.metrics, arguments.only)
    if not result.series:
        raise UsageError("nothing to show: no report has such a benchmark with such a metric; see --only and --metric")
    result = replace(result, notes=left_out(found.refused))
    if arguments.html is not None:
        from edgebench.render.verdicts.pages import trend_page

        write_text(trend_page(result), arguments.html)
    text = trend_json(result) if arguments.format == "json" else captured(trend_table(result))
    write_text(text, arguments.output)
    return EXIT_OK
