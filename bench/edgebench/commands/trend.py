"""The command `edgebench trend`: where figures changed over a folder of reports, or a history."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edgebench.commands.console import captured, write_text
from edgebench.commands.judging import earlier, left_out
from edgebench.errors import EXIT_OK, UsageError

if TYPE_CHECKING:
    import argparse

    from edgebench.commands.console import Subparsers


def add(commands: Subparsers) -> None:
    """Add the command and its options."""
    trend = commands.add_parser(
        "trend", help="how releases went over time", description="Show where figures changed, report by report."
    )
    trend.add_argument("reports", metavar="DIR|FILE", type=Path, help="a folder of reports, or a history")
    trend.add_argument("--metric", metavar="NAME", action="append", default=[], help="may be repeated")
    trend.add_argument("--only", metavar="GLOB", help="only the benchmarks whose name matches")
    trend.add_argument("--format", choices=("table", "json"), default="table")
    trend.add_argument("-o", "--output", metavar="FILE", type=Path, help="a file instead of standard output")
    trend.add_argument("--html", metavar="FILE", type=Path, help="write one self-contained HTML page as well")
    trend.set_defaults(command=_trend)


def _trend(arguments: argparse.Namespace) -> int:
    """Show where figures changed; advisory, so it succeeds whatever it finds."""
    from dataclasses import replace
    from fnmatch import fnmatchcase
    from functools import partial

    from edgebench.compare.budgets import BudgetFile, policy_of
    from edgebench.compare.trend import trend_of
    from edgebench.render.verdicts.trend import trend_json, trend_table

    policy = policy_of(BudgetFile(), metrics=arguments.metric)
    only = arguments.only
    wanted = None if only is None else partial(fnmatchcase, pat=only)
    sessions, refused = earlier(arguments.reports, policy.metrics, wanted, runs=False)
    if not sessions:
        raise UsageError(f"{arguments.reports}: holds no report{f': {refused[0]}' if refused else ''}")
    result = trend_of(sessions, policy.metrics, only)
    if not result.series:
        raise UsageError("nothing to show: no report has such a benchmark with such a metric; see --only and --metric")
    result = replace(result, notes=left_out(refused))
    if arguments.html is not None:
        from edgebench.render.verdicts.pages import trend_page

        write_text(trend_page(result), arguments.html)
    text = trend_json(result) if arguments.format == "json" else captured(trend_table(result))
    write_text(text, arguments.output)
    return EXIT_OK
