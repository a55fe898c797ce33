"""A history as one table, a row a report, benchmark and metric: for pandas, for Parquet, for a question in SQL."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgebench.errors import HistoryError, UsageError
from edgebench.history.file import default_file, opened
from edgebench.machine.advice import extra
from edgebench.report.text import clean

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

_EVERYTHING = "SELECT * FROM figures ORDER BY created, label, report, benchmark, metric, scope, probe"


@dataclass(frozen=True, slots=True)
class Rows:
    """The answer to a question: the names of its columns, and its rows."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]


def query(path: Path, question: str) -> Rows:
    """Return what a question in SQL finds in the history; it can change nothing. Raises HistoryError, UsageError."""
    with opened(path) as history:
        try:
            found = history.execute(question)
            rows = tuple(found.fetchall())
        except (sqlite3.Error, sqlite3.Warning) as error:
            raise UsageError(
                f"SQLite does not take this question ({clean(str(error), 200)}): "
                "the views 'figures' and 'outcomes' have what is there"
            ) from None
        if found.description is None:
            raise UsageError("that is no question: it begins with SELECT, and nothing is changed by it")
        return Rows(tuple(column[0] for column in found.description), rows)


def everything(path: Path) -> Rows:
    """Return every figure of the history, oldest report first. Raises HistoryError."""
    with opened(path) as history:
        found = history.execute(_EVERYTHING)
        return Rows(tuple(column[0] for column in found.description), tuple(found))


def frame(path: Path | str | None = None) -> pd.DataFrame:
    """Return every figure of a history as a pandas table, oldest report first; None: the one that is meant by default.

    A row a report, benchmark and metric; `value` in its `unit` (s, J, W, B, 1/s, %, 1), `created` a time in UTC. What a
    report does not have is no row. Raises HistoryError, also where pandas is not installed.
    """
    try:
        import pandas as pd
    except ImportError:
        raise HistoryError(f"pandas is not installed: {extra('history')}") from None
    found = everything(default_file() if path is None else Path(path))
    table = pd.DataFrame(_by_column(found))
    return table.astype({"value": "float64"}).assign(
        created=pd.to_datetime(table["created"], utc=True, format="ISO8601")
    )


def write_parquet(path: Path, target: Path) -> int:
    """Write every figure of a history as one Parquet file; return how many rows. Raises HistoryError, UsageError."""
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError:
        raise HistoryError(f"pyarrow is not installed: {extra('history')}") from None
    found = everything(path)
    table = pa.table(_by_column(found), schema=_schema(pa, found.columns))
    try:
        parquet.write_table(table, target, compression="zstd")
    except OSError as error:
        raise UsageError(f"{target}: cannot be written ({error.strerror or error}): name another file") from None
    return len(found.rows)


def _schema(arrow: Any, columns: Sequence[str]) -> pa.Schema:
    kinds = {"value": arrow.float64(), "batch": arrow.int64(), "threads": arrow.int64()}
    schema: pa.Schema = arrow.schema([(name, kinds.get(name, arrow.string())) for name in columns])
    return schema


def _by_column(found: Rows) -> dict[str, list[Any]]:
    """Return the columns; what should be a number and is none, or a text and none, came with a stranger's report."""
    columns: dict[str, list[Any]] = {}
    for place, name in enumerate(found.columns):
        values = [row[place] for row in found.rows]
        if name in {"batch", "threads"}:
            columns[name] = [value if isinstance(value, int) else None for value in values]
        elif name == "value":
            columns[name] = values
        else:
            columns[name] = [value if value is None else str(value) for value in values]
    return columns
