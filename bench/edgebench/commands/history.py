"""The command `edgebench history`: many reports in one file, and what can be asked of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edgebench.commands.console import plain, stderr, stdout, write_text
from edgebench.commands.judging import left_out
from edgebench.commands.options import count
from edgebench.errors import EXIT_OK, EXIT_USAGE, UsageError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from edgebench.commands.console import Subparsers
    from edgebench.history.condensed import Head
    from edgebench.history.entry import Entry

# What `history list` shows of an id is enough to take a report out, and nothing shorter is.
_LEAST_OF_ID = 8


def add(commands: Subparsers) -> None:
    """Add the command, its own commands and their options."""
    history = commands.add_parser(
        "history",
        help="many reports in one file",
        description="Keep what comparing needs of many reports in one file, which compare, trend, show and site read. "
        "The reports stay the source: the file can be made again from them.",
    )
    parts = history.add_subparsers(metavar="COMMAND", required=True)
    adding = parts.add_parser("add", help="add reports", description="Add reports; those that are there stay once.")
    adding.add_argument("reports", metavar="REPORT|DIR", nargs="+", type=Path, help="reports, and folders of them")
    _file(adding, "the history to add to")
    adding.set_defaults(command=_add)
    listing = parts.add_parser("list", help="which reports it holds", description="List the reports, oldest first.")
    _file(listing)
    _choice(listing)
    listing.set_defaults(command=_list)
    asking = parts.add_parser(
        "query",
        help="ask it in SQL",
        description="Answer a question in SQL. The view 'figures' has a row a report, benchmark and metric, 'outcomes' "
        "how each benchmark ended. Nothing is changed.",
    )
    asking.add_argument("sql", metavar="SQL", help="SELECT …")
    _file(asking)
    asking.add_argument("--format", choices=("table", "csv", "json"), default="table")
    asking.add_argument("-o", "--output", metavar="FILE", type=Path, help="a file instead of standard output")
    asking.set_defaults(command=_query)
    exporting = parts.add_parser(
        "export", help="all figures as one table", description="Write every figure as a table."
    )
    _file(exporting)
    exporting.add_argument(
        "-o", "--output", metavar="FILE", type=Path, help="FILE.parquet (needs edgebench[history]) or FILE.csv"
    )
    exporting.set_defaults(command=_export)
    pruning = parts.add_parser(
        "prune", help="take reports out", description="Take the reports out that match all that is named."
    )
    _file(pruning)
    _choice(pruning)
    pruning.add_argument(
        "--report", metavar="ID", action="append", default=[], help="this report, or how its id begins; may be repeated"
    )
    pruning.add_argument("--keep", metavar="N", type=count, help="leave the newest N of each board and suite")
    pruning.add_argument("--dry-run", action="store_true", help="say what would go, take nothing out")
    pruning.set_defaults(command=_prune)


def _file(parser: argparse.ArgumentParser, what: str = "the history") -> None:
    parser.add_argument(
        "--to" if what.endswith("to") else "--from",
        dest="file",
        metavar="FILE",
        type=Path,
        help=f"{what} (EDGEBENCH_HISTORY; default: history.db in the user's data folder)",
    )


def _choice(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--platform", metavar="NAME", help="only reports of this platform")
    parser.add_argument("--suite", metavar="NAME", help="only reports of this suite")
    parser.add_argument("--before", metavar="DATE", help="only reports before this day, YYYY-MM-DD")


def _named(arguments: argparse.Namespace) -> Path:
    from edgebench.history.file import default_file

    path: Path = arguments.file or default_file()
    return path


def _add(arguments: argparse.Namespace) -> int:
    """Add reports; a file that was named and is no report makes it exit with 2, after all others were added."""
    from edgebench.history.store import add_entries

    path = _named(arguments)
    added = add_entries(path, _entries(arguments.reports))
    parts = [f"{added.new} added"]
    parts += [
        f"{number} {what}" for number, what in ((added.replaced, "replaced"), (added.known, "already there")) if number
    ]
    parts += [f"{len(added.refused)} left out"] if added.refused else []
    plain(stderr(), f"{path}: {', '.join(parts)}")
    for sentence in left_out(added.refused):
        plain(stderr(), sentence)
    named = any(not given.is_dir() for given in arguments.reports)
    return EXIT_USAGE if added.refused and named else EXIT_OK


def _entries(given: Sequence[Path]) -> Iterator[Entry | str]:
    from edgebench.compare.lean import read_all, reports_in
    from edgebench.history.entry import read_entry

    files = [file for path in given for file in (reports_in(path) if path.is_dir() else [path])]
    yield from read_all(files, read_entry)


def _list(arguments: argparse.Namespace) -> int:
    from edgebench.render.listing import listed

    found = _chosen(arguments)
    titles = ("created", "report", "board", "suite", "edgebench", "status", "file")
    rows = [
        (
            head.created[:16].replace("T", " "),
            head.id[:_LEAST_OF_ID],
            head.board,
            head.suite,
            head.version,
            "" if head.status == "complete" else head.status,
            head.label,
        )
        for head in found
    ]
    console = stdout()
    console.print(listed(titles, rows, console.width, beneath={"file"}))
    plain(stderr(), f"{len(found)} report{'s'[: len(found) != 1]}")
    return EXIT_OK


def _chosen(arguments: argparse.Namespace) -> list[Head]:
    """Return the reports that the options name."""
    from datetime import date

    from edgebench.history.condensed import heads

    if arguments.before is not None:
        try:
            date.fromisoformat(arguments.before)
        except ValueError:
            raise UsageError(f"--before {arguments.before}: is no day: write it as 2026-01-31") from None
    return [
        head
        for head in heads(_named(arguments))
        if arguments.platform in {None, head.platform}
        and arguments.suite in {None, head.suite}
        and (arguments.before is None or head.created[:10] < arguments.before)
    ]


def _query(arguments: argparse.Namespace) -> int:
    from edgebench.history.frames import query
    from edgebench.render.answers import FORMATS

    write_text(FORMATS[arguments.format](query(_named(arguments), arguments.sql)), arguments.output)
    return EXIT_OK


def _export(arguments: argparse.Namespace) -> int:
    from edgebench.history.frames import everything, write_parquet
    from edgebench.render.answers import FORMATS

    target: Path | None = arguments.output
    if target is not None and target.suffix == ".parquet":
        plain(stderr(), f"{target}: {write_parquet(_named(arguments), target)} figures")
    elif target is None or target.suffix == ".csv":
        write_text(FORMATS["csv"](everything(_named(arguments))), target)
    else:
        raise UsageError(f"-o {target}: its format is not known: name a file that ends with .parquet or .csv")
    return EXIT_OK


def _prune(arguments: argparse.Namespace) -> int:
    from edgebench.history.store import prune

    if not any((arguments.platform, arguments.suite, arguments.before, arguments.report, arguments.keep)):
        raise UsageError("nothing says what shall go: name --before, --keep, --report, --platform or --suite")
    found = _chosen(arguments)
    named = {head.id for given in arguments.report for head in _of_id(found, given)}
    going = [head for head in found if not arguments.report or head.id in named]
    if arguments.keep is not None:
        going = _beyond(going, arguments.keep)
    if not arguments.dry_run:
        prune(_named(arguments), [head.id for head in going])
    for head in going:
        plain(
            stderr(),
            f"{'would go' if arguments.dry_run else 'gone'}: {head.created[:16]} {head.board} {head.id} {head.label}",
        )
    plain(stderr(), f"{len(going)} report{'s'[: len(going) != 1]}")
    return EXIT_OK


def _of_id(found: Sequence[Head], given: str) -> list[Head]:
    """Return the report whose id begins so, or none. Raises UsageError where several do."""
    if len(given) < _LEAST_OF_ID:
        raise UsageError(f"--report {given}: give {_LEAST_OF_ID} characters of the id at least, as `history list` does")
    fitting = [head for head in found if head.id.lower().startswith(given.lower())]
    if len(fitting) > 1:
        raise UsageError(f"--report {given}: {len(fitting)} reports begin with that: give more of the id")
    return fitting


def _beyond(found: Sequence[Head], keep: int) -> list[Head]:
    """Return those that are not among the newest of their board and suite."""
    seen: dict[tuple[str, str, str], int] = {}
    going = []
    for head in reversed(found):
        key = (head.board, head.platform, head.suite)
        seen[key] = seen.get(key, 0) + 1
        if seen[key] > keep:
            going.append(head)
    return going[::-1]
