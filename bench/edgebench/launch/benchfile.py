"""`boards.toml`: the boards on a shelf, which meter belongs to which, and groups. Errors name file and line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from edgebench.errors import UsageError
from edgebench.launch.profile import platforms
from edgebench.launch.rights import parse
from edgebench.plan.toml import line_of, read_toml

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=60)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class BoardEntry(_Strict):
    """A board: where its engine is, what it is, and the meters whose probe clips hang on it."""

    address: str = Field(pattern=r"^(ssh|unix|tcp)://[^\s]+$", max_length=300)
    platform: str = Field(max_length=40)
    meters: list[Annotated[str, Field(max_length=300)]] = Field(default=[], max_length=8)
    image: str | None = Field(default=None, pattern=r"^[a-z0-9][a-zA-Z0-9._/:@-]{0,200}$")


class BenchFile(_Strict):
    """All boards by name, and groups of their names."""

    board: dict[Name, BoardEntry] = Field(min_length=1, max_length=1000)
    group: dict[Name, list[Name]] = Field(default={}, max_length=1000)


def read_bench(path: Path) -> BenchFile:
    """Read and check the file. Raises UsageError: one sentence with file and line."""
    bench, text = read_toml(path, BenchFile, "bench")
    for loc, what in (*_of_boards(bench), *_of_groups(bench)):
        raise UsageError(f"{path}:{line_of(text, loc)}: {' '.join(loc[:2])}: {what}")
    return bench


def _of_boards(bench: BenchFile) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield what is wrong with boards, and where."""
    known = platforms()
    addresses: dict[str, str] = {}
    meters: dict[str, str] = {}
    for name, board in bench.board.items():
        here = ("board", name)
        if board.platform not in known:
            yield (*here, "platform"), f"there is no platform {board.platform!r}: choose one of {', '.join(known)}"
        if (other := addresses.setdefault(board.address, name)) != name:
            yield (*here, "address"), f"{other} has this address too: correct one of them"
        for meter in board.meters:
            try:
                parse(meter)
            except UsageError as error:
                yield (*here, "meters"), str(error).removeprefix("--probe ")
            if (other := meters.setdefault(meter, name)) != name:
                yield (*here, "meters"), f"the meter {meter} belongs to {other}: a meter hangs on one board"


def _of_groups(bench: BenchFile) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield what is wrong with groups, and where."""
    for name, members in bench.group.items():
        if name in bench.board:
            yield ("group", name), "a board bears that name: choose another"
        for member in members:
            if member not in bench.board:
                yield ("group", name), f"there is no board {member!r}: add [board.{member}], or correct it"


def chosen(bench: BenchFile, names: Sequence[str], path: Path) -> dict[str, BoardEntry]:
    """Return the boards that names of boards and groups stand for, in the file's order; without names all.

    Raises UsageError for a name that is neither.
    """
    wanted: set[str] = set()
    for name in names:
        if name in bench.group:
            wanted |= set(bench.group[name])
        elif name in bench.board:
            wanted.add(name)
        else:
            there = ", ".join([*bench.board, *bench.group])
            raise UsageError(f"{path}: there is no board or group {name!r}: it has {there}")
    return {name: board for name, board in bench.board.items() if not names or name in wanted}


def of_platform(
    bench: BenchFile, names: Sequence[str], platform: str, path: Path
) -> tuple[dict[str, BoardEntry], list[str]]:
    """Return the boards to measure, and those that groups hold and that are of another platform.

    Raises UsageError for a board of another platform that is named itself, and where none is left.
    """
    found = chosen(bench, names, path)
    for name in names:
        if name in bench.board and bench.board[name].platform != platform:
            other = bench.board[name].platform
            raise UsageError(f"--board {name}: it is a {other}: run it with `edgebench run {other}`")
    fitting = {name: board for name, board in found.items() if board.platform == platform}
    if not fitting:
        raise UsageError(f"{path}: none of {', '.join(names)} is a {platform}: name another platform or group")
    return fitting, [name for name in found if name not in fitting]
