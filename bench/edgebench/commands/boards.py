"""The command `edgebench boards`: the boards of a bench file, and what each is doing."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from edgebench.commands.console import plain, stderr, stdout
from edgebench.errors import EXIT_FAILED, EXIT_OK
from edgebench.render.units import NONE

if TYPE_CHECKING:
    import argparse

    from edgebench.commands.console import Subparsers
    from edgebench.launch.survey import Survey

_TITLES = ("board", "platform", "up", "idle", "°C", "image", "fits", "meters")


def add(commands: Subparsers) -> None:
    """Add the command and its options."""
    boards = commands.add_parser(
        "boards",
        help="the boards of a bench file: who is up, idle, fit",
        description="Look at the boards of a bench file: who is up, idle and fit, how hot, with which image.",
        epilog="exit codes: 0 all are up and fit, 1 some are not, 2 usage or invalid input",
    )
    boards.add_argument("names", metavar="BOARD|GROUP", nargs="*", help="only these (default: all)")
    add_boards_file(boards)
    boards.add_argument("--json", action="store_true", help="as JSON on standard output")
    boards.set_defaults(command=_run)


def add_boards_file(parser: argparse._ActionsContainer) -> None:
    """Add the option that names the bench file."""
    parser.add_argument(
        "--boards",
        metavar="FILE",
        type=Path,
        default=Path(os.environ.get("EDGEBENCH_BOARDS", "boards.toml")),
        help="the bench file (EDGEBENCH_BOARDS; default: boards.toml)",
    )


def _run(arguments: argparse.Namespace) -> int:
    """Look at the boards that were asked for."""
    import msgspec

    from edgebench.launch.benchfile import chosen, read_bench
    from edgebench.launch.survey import survey
    from edgebench.render.listing import listed

    bench = read_bench(arguments.boards)
    found = survey(chosen(bench, arguments.names, arguments.boards))
    if arguments.json:
        stdout().file.write(msgspec.json.format(msgspec.json.encode(found)).decode() + "\n")
    else:
        rows = list(map(_row, found))
        console = stdout()
        beneath = {"image", "fits", "meters"}
        console.print(listed(_TITLES, rows, console.width, right={"°C"}, beneath=beneath))
        for board in found:
            if board.down is not None:
                plain(stderr(), f"{board.name}: {board.down}")
    well = all(board.down is None and not board.fits.startswith("no") for board in found)
    return EXIT_OK if well else EXIT_FAILED


def _row(board: Survey) -> tuple[str, ...]:
    image = board.image + (f" {board.version}" if board.version else "")
    return (
        board.name,
        board.platform,
        "yes" if board.down is None else "no",
        _idle(board),
        NONE if board.hottest_c is None else f"{board.hottest_c:.0f}",
        image,
        board.fits or NONE,
        " ".join(board.meters) or NONE,
    )


def _idle(board: Survey) -> str:
    if board.measuring is not None:
        return f"measures {board.measuring}"
    if board.idle is None:
        return NONE
    return "yes" if board.idle else f"no, load {board.load:.1f}"
