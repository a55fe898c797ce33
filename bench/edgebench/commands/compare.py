"""The command `edgebench compare`: the verdict over stored reports."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edgebench.commands.console import EPILOG_VERDICT, write_text
from edgebench.commands.judging import add_verdict_options, earlier, left_out, policy_asked, rendered, write_page
from edgebench.errors import UsageError

if TYPE_CHECKING:
    import argparse

    from edgebench.commands.console import Subparsers


def add(commands: Subparsers) -> None:
    """Add the command and its options."""
    compare = commands.add_parser(
        "compare",
        help="verdict over stored reports",
        description="Judge HEAD against BASE. MORE and --history are earlier reports of the base's level.",
        epilog=EPILOG_VERDICT,
    )
    compare.add_argument("base", metavar="BASE", help="the report to compare with, or - for standard input")
    compare.add_argument("head", metavar="HEAD", help="the report to judge")
    compare.add_argument("more", metavar="MORE", nargs="*", help="earlier reports, as --history")
    compare.add_argument("--history", metavar="DIR|FILE", type=Path, help="a folder of earlier reports, or a history")
    add_verdict_options(compare)
    compare.set_defaults(command=_compare)


def _compare(arguments: argparse.Namespace) -> int:
    """Judge stored reports; the exit code is the verdict's."""
    from dataclasses import replace

    from edgebench.compare.cells import session_of
    from edgebench.compare.sessions import label_of, read_session
    from edgebench.compare.stored import compare_stored
    from edgebench.render.verdicts.answers import answers_of
    from edgebench.report.io import read_report

    policy, allowed = policy_asked(arguments)
    if [arguments.base, arguments.head, *arguments.more].count("-") > 1:
        raise UsageError("standard input can be one report only: name files for the others")
    reports = [read_report(path) for path in (arguments.base, arguments.head)]
    base, head = (
        session_of(report, label_of(path), policy.metrics)
        for report, path in zip(reports, (arguments.base, arguments.head), strict=True)
    )
    more = [read_session(path, policy.metrics) for path in arguments.more]
    history, refused = (
        ((), ())
        if arguments.history is None
        else earlier(arguments.history, policy.metrics, lambda name: name in base.cells)
    )
    comparison = compare_stored(base, head, [*more, *history], policy, allowed)
    notes = (*comparison.notes, *left_out(refused))
    comparison = replace(comparison, notes=notes, answers=answers_of(*reports))
    write_page(comparison, arguments.html)
    write_text(rendered(comparison, arguments.format, everything=arguments.all), arguments.output)
    return comparison.exit_code
