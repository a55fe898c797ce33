"""What `compare`, `trend` and `ab` share: the options of a verdict, what they mean, and how a verdict is shown."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edgebench.commands.console import captured, load, write_text
from edgebench.errors import UsageError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

    from rich.console import RenderableType

    from edgebench.compare.cells import Session
    from edgebench.compare.policy import Policy
    from edgebench.compare.verdict import Comparison

# Each a function that takes a comparison and returns text or what rich draws, imported when it is asked for.
FORMATS = {
    "table": "edgebench.render.verdicts.table:verdict_table",
    "json": "edgebench.render.verdicts.json:verdict_json",
    "markdown": "edgebench.render.verdicts.markdown:markdown",
    "junit": "edgebench.render.verdicts.junit:junit",
}
# Of files that are no reports, so many are named.
_NAMED = 5


def add_verdict_options(parser: argparse.ArgumentParser) -> None:
    """Add what `compare` and `ab` have in common."""
    group = parser.add_argument_group("verdict")
    group.add_argument("--format", choices=FORMATS, default="table")
    group.add_argument("--all", action="store_true", help="table: a row for what passed, too")
    group.add_argument("-o", "--output", metavar="FILE", type=Path, help="a file instead of standard output")
    group.add_argument("--html", metavar="FILE", type=Path, help="write one self-contained HTML page as well")
    group.add_argument(
        "--budget",
        metavar="[METRIC=]5%",
        action="append",
        default=[],
        help="largest change for the worse that passes (default 5%%)",
    )
    group.add_argument("--margin", metavar="1%", help="a change up to this is no regression (default 1%%)")
    group.add_argument("--metric", metavar="NAME", action="append", default=[], help="compare only this, repeatable")
    group.add_argument("--config", metavar="FILE", type=Path, help="budgets (default: edgebench.toml, where it is)")
    group.add_argument(
        "--allow",
        metavar="WHAT",
        action="append",
        default=[],
        choices=("inconclusive", "removed"),
        help="exit 0 for it",
    )


def policy_asked(arguments: argparse.Namespace) -> tuple[Policy, tuple[str, ...]]:
    """Return what is judged and how, and what is allowed, by the options and `edgebench.toml`."""
    from edgebench.compare.budgets import allowed_of, find_budgets, policy_of

    file = find_budgets(arguments.config)
    policy = policy_of(file, metrics=arguments.metric, budgets=arguments.budget, margin=arguments.margin)
    return policy, allowed_of(file, arguments.allow)


def rendered(comparison: Comparison, form: str, *, everything: bool = False) -> str:
    """Return a verdict in one of the formats of ``--format``; `everything` unfolds what passed in the table."""
    more = {"everything": True} if everything and form == "table" else {}
    shown: RenderableType = load(FORMATS[form])(comparison, **more)
    return shown if isinstance(shown, str) else captured(shown)


def write_page(comparison: Comparison, target: Path | None) -> None:
    """Write a verdict as an HTML page, where one was asked for."""
    if target is not None:
        from edgebench.render.verdicts.pages import verdict_page

        write_text(verdict_page(comparison), target)


def earlier(
    path: Path, metrics: Sequence[str], wanted: Callable[[str], bool] | None = None, *, runs: bool = True
) -> tuple[Sequence[Session], Sequence[str]]:
    """Return the sessions of a folder of reports or of a history, oldest first, and sentences on what was left out.

    Of a history only the benchmarks that are `wanted` are read, and without `runs` their figures alone.
    """
    from edgebench.compare.sessions import read_folder
    from edgebench.history.file import is_history
    from edgebench.history.read import read_history

    if is_history(path):
        return read_history(path, metrics, wanted, runs=runs), ()
    if path.is_file():
        raise UsageError(f"{path}: is neither a folder of reports nor a history: name one of them")
    found = read_folder(path, metrics)
    return found.sessions, found.refused


def left_out(refused: Sequence[str]) -> tuple[str, ...]:
    """Return the first sentences about files that are no reports, and how many more there are."""
    more = (f"{len(refused) - _NAMED} more files were left out.",) if len(refused) > _NAMED else ()
    return (*refused[:_NAMED], *more)
