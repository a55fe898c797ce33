"""The file of a history: SQLite, opened with suspicion, every failure one sentence.

One file: a rollback journal, which is gone when nobody writes, and no write-ahead log beside it. Two writers wait for
each other; what a kill leaves half done, the next who opens it takes back.
"""

from __future__ import annotations

import os
import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import cache
from importlib.resources import files
from pathlib import Path

import platformdirs

from edgebench.errors import HistoryError, UsageError
from edgebench.report.text import clean

# "EdgB", by which `file` and others tell what it is; then the number of the tables' version.
APPLICATION, VERSION = 0x45646742, 1
_MAGIC = b"SQLite format 3\0"
# Smaller pages than SQLite's own waste less behind a report's runs (docs/history.md).
_PAGE_BYTES = 1024
# How long a writer waits for others, in seconds.
_PATIENCE_S = 60.0


def default_file() -> Path:
    """Return the history that is meant where none is named: ``EDGEBENCH_HISTORY``, else one in the user's data."""
    if given := os.environ.get("EDGEBENCH_HISTORY"):
        return Path(given)
    return Path(platformdirs.user_data_dir("edgebench")) / "history.db"


def is_history(path: Path) -> bool:
    """Tell whether a file begins as a history does; a folder does not, nor a report."""
    try:
        with path.open("rb") as file:
            return file.read(len(_MAGIC)) == _MAGIC
    except OSError:
        return False


@contextmanager
def opened(path: Path, *, write: bool = False) -> Iterator[sqlite3.Connection]:
    """Open a history; with `write` it is made where there is none. Raises HistoryError, also for what happens inside.

    Whoever reads sees one state of the file, the one of its first question.
    """
    if not write and not path.is_file():
        raise HistoryError(f"{_shown(path)}: there is no such history: make one with 'edgebench history add'")
    if path.is_file() and path.stat().st_size and not is_history(path):
        raise HistoryError(f"{_shown(path)} is no history of edgebench: name another file")
    with _told(path), closing(_connected(path, write=write)) as found:
        _check(found, path, write=write)
        yield found


def _connected(path: Path, *, write: bool) -> sqlite3.Connection:
    if write:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"{_shown(path.parent)} cannot be made ({error.strerror}): name another file") from None
    address = f"{path.absolute().as_uri()}?mode={'rwc' if write else 'rw'}"
    found = sqlite3.connect(address, uri=True, timeout=_PATIENCE_S, isolation_level=None)
    # What a stranger put beside the tables must not run before `_check` has seen it, nor a damaged page be followed.
    for pragma in ("trusted_schema = 0", "cell_size_check = 1", "mmap_size = 0", "cache_size = -65536"):
        found.execute(f"PRAGMA {pragma}")
    if write:
        found.execute(f"PRAGMA page_size = {_PAGE_BYTES}")
    else:
        found.execute("PRAGMA query_only = 1")
    return found


def _check(found: sqlite3.Connection, path: Path, *, write: bool) -> None:
    """Make the tables of a new file, and refuse one that is not ours or not of this version."""
    if write and not _objects(found):
        found.execute("BEGIN IMMEDIATE")
        if not _objects(found):  # two that both find no file: the second one finds the tables of the first
            for statement in _statements():
                found.execute(statement)
            found.execute(f"PRAGMA application_id = {APPLICATION}")
            found.execute(f"PRAGMA user_version = {VERSION}")
        found.execute("COMMIT")
    application, version = (
        int(found.execute(f"PRAGMA {name}").fetchone()[0]) for name in ("application_id", "user_version")
    )
    if application != APPLICATION:
        raise HistoryError(
            f"{_shown(path)} is a database of another program, no history of edgebench: name another file"
        )
    if version > VERSION:
        raise HistoryError(
            f"{_shown(path)} was written by a newer edgebench (history {version}): update edgebench to read it"
        )
    if _ours() != _objects(found):
        raise _damaged(path, "its tables are not those of a history")
    found.execute("PRAGMA trusted_schema = 1")  # the views are our own


def _objects(found: sqlite3.Connection) -> set[tuple[str, str]]:
    """Return the tables and views with what made them; indexes that somebody added for their own questions may stay."""
    rows = found.execute(
        "SELECT name, sql FROM sqlite_master WHERE type <> 'index' AND name NOT LIKE 'sqlite_%'"
    ).fetchall()
    return {(str(name), str(sql)) for name, sql in rows}


def _statements() -> list[str]:
    text = files(__package__).joinpath("schema.sql").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.startswith("--")]
    return [statement.strip() for statement in "\n".join(lines).split(";") if statement.strip()]


@cache
def _ours() -> frozenset[tuple[str, str]]:
    with closing(sqlite3.connect(":memory:")) as empty:
        for statement in _statements():
            empty.execute(statement)
        return frozenset(_objects(empty))


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Make one sentence of what SQLite says, and of what a damaged file makes of our own reading."""
    try:
        yield
    except sqlite3.OperationalError as error:
        raise _of_operation(path, error) from None
    except (sqlite3.Error, ValueError, TypeError, LookupError, zlib.error, OverflowError, RecursionError) as error:
        raise _damaged(path, str(error)) from None


def _of_operation(path: Path, error: sqlite3.OperationalError) -> HistoryError:
    name = getattr(error, "sqlite_errorname", "")
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return HistoryError(
            f"{_shown(path)} is in use by another program for more than {_PATIENCE_S:g} s: try again later"
        )
    if name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM")):
        return HistoryError(f"{_shown(path)} cannot be written ({error}): name a file in a folder of yours")
    if name.startswith(("SQLITE_FULL", "SQLITE_IOERR")):
        return HistoryError(f"{_shown(path)} could not be written ({error}), it is as it was before: free some space")
    return _damaged(path, str(error))


def _damaged(path: Path, why: str) -> HistoryError:
    return HistoryError(
        f"{_shown(path)} is damaged ({clean(why, 120)}): make a new one from the reports with 'edgebench history add'"
    )


def _shown(path: Path) -> str:
    return clean(str(path), 200)
