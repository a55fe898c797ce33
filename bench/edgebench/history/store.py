"""Adding to a history and taking from it; several processes may at once, and a kill loses at most its own report."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, TypeAlias

from edgebench.history.entry import Entry
from edgebench.history.file import opened
from edgebench.history.packed import packed

# What tells the series of a benchmark apart: metric, unit, better, scope, probe.
_Labels: TypeAlias = tuple[str, str, str, str, str]
# So many reports are one transaction: a commit waits for the disk.
_TOGETHER = 50


@dataclass(slots=True)
class Added:
    """What became of reports: how many are new, were there already, or took the place of their partial report.

    `refused` has a sentence for every file that was left out.
    """

    new: int = 0
    known: int = 0
    replaced: int = 0
    refused: list[str] = field(default_factory=list)


def add_entries(path: Path, entries: Iterable[Entry | str], *, together: int = _TOGETHER) -> Added:
    """Add reports to the history at `path`, which is made where there is none; a sentence is of what is no report.

    A report whose id is there is known, whatever its file is called; one that differs replaces a partial one and is
    refused beside a complete one. Raises HistoryError; what was committed before stays.
    """
    added = Added()
    with opened(path, write=True) as history:
        for batch in _batches(entries, together):
            history.execute("BEGIN IMMEDIATE")
            writer = _Writer(history)
            for entry in batch:
                _add(writer, entry, added)
            history.execute("COMMIT")
    return added


def prune(path: Path, ids: Sequence[str]) -> int:
    """Take these reports out and give their space back; return how many there were. Raises HistoryError."""
    with opened(path, write=True) as history:
        history.execute("BEGIN IMMEDIATE")
        gone = sum(_remove(history, one) for one in ids)
        history.execute(
            "DELETE FROM series WHERE no NOT IN (SELECT series FROM figure) AND cell NOT IN (SELECT cell FROM outcome)"
        )
        history.execute("DELETE FROM cell WHERE no NOT IN (SELECT cell FROM outcome)")
        history.execute(
            "DELETE FROM text WHERE no NOT IN (SELECT hard FROM report UNION SELECT soft FROM report UNION "
            "SELECT facts FROM report UNION SELECT layout FROM report UNION "
            "SELECT note FROM outcome WHERE note IS NOT NULL)"
        )
        history.execute("COMMIT")
        history.execute("VACUUM")
    return gone


def _batches(entries: Iterable[Entry | str], size: int) -> Iterator[list[Entry | str]]:
    rest = iter(entries)
    while batch := list(islice(rest, size)):
        yield batch


def _add(writer: _Writer, entry: Entry | str, added: Added) -> None:
    if isinstance(entry, str):
        added.refused.append(entry)
        return
    there = writer.found(entry.id)
    if there is None:
        writer.write(entry)
        added.new += 1
    elif there == (entry.digest, entry.status):
        added.known += 1
    elif there[1] == "partial":
        _remove(writer.history, entry.id)
        writer.write(entry)
        added.replaced += 1
    else:
        added.refused.append(
            f"{entry.label} has the id of another report in the history ({entry.id}) and was left out."
        )


def _remove(history: sqlite3.Connection, report: str) -> int:
    row = history.execute("SELECT no FROM report WHERE id = ?", (report,)).fetchone()
    if row is None:
        return 0
    for statement in ("DELETE FROM figure WHERE report = ?", "DELETE FROM outcome WHERE report = ?"):
        history.execute(statement, row)
    return history.execute("DELETE FROM report WHERE no = ?", row).rowcount


class _Writer:
    """Writes reports in one transaction, and remembers the numbers of what many of them share."""

    def __init__(self, history: sqlite3.Connection) -> None:
        self.history = history
        self._cells: dict[tuple[str, str, str], int] = {}
        self._series: dict[int, dict[_Labels, int]] = {}
        self._texts: dict[str, int] = {}

    def found(self, report: str) -> tuple[str, str] | None:
        """Return digest and status of the report with this id, None where there is none."""
        row: tuple[str, str] | None = self.history.execute(
            "SELECT digest, status FROM report WHERE id = ?", (report,)
        ).fetchone()
        return row

    def write(self, entry: Entry) -> None:
        """Write a report that is not there."""
        number = self.history.execute("SELECT coalesce(max(no), 0) + 1 FROM report").fetchone()[0]
        cells, outcomes, figures, runs = [], [], [], []
        for outcome in entry.outcomes:
            cell = self._cell((outcome.name, outcome.kind, outcome.params))
            cells.append(cell)
            outcomes.append((number, cell, outcome.status, self._text(outcome.note) if outcome.note else None))
            for one in outcome.figures:
                series = self._number_in(cell, (one.metric, one.unit, one.better, one.scope, one.probe))
                runs.append((series, one.runs, one.systematic))
                if one.value is not None:
                    figures.append((number, series, one.value))
        layout, content = packed(runs, cells)
        texts = [self._text(text) for text in (entry.hard, entry.soft, entry.facts)]
        head = (entry.id, entry.created, entry.label, entry.digest, entry.status, entry.platform, entry.suite)
        row = (
            number,
            *head,
            entry.version,
            entry.revision,
            *texts,
            entry.remarks,
            self._text(layout.to_text()),
            content,
        )
        self.history.execute(f"INSERT INTO report VALUES ({', '.join('?' * len(row))})", row)  # noqa: S608  # marks only
        self.history.executemany("INSERT INTO outcome VALUES (?, ?, ?, ?)", outcomes)
        self.history.executemany("INSERT INTO figure VALUES (?, ?, ?)", figures)

    def _cell(self, parts: tuple[str, str, str]) -> int:
        """Return the number of a benchmark, and remember those of all its series."""
        if (known := self._cells.get(parts)) is None:
            known = self._cells[parts] = self._number("cell", ("name", "kind", "params"), parts)
            rows = self.history.execute(
                "SELECT metric, unit, better, scope, probe, no FROM series WHERE cell = ?", (known,)
            )
            self._series[known] = {row[:5]: row[5] for row in rows}
        return known

    def _number_in(self, cell: int, labels: _Labels) -> int:
        """Return the number of a series, which is made where there is none."""
        series = self._series[cell]
        if (known := series.get(labels)) is None:
            inserted = self.history.execute(
                "INSERT INTO series (cell, metric, unit, better, scope, probe) VALUES (?, ?, ?, ?, ?, ?)",
                (cell, *labels),
            )
            known = series[labels] = int(inserted.lastrowid or 0)
        return known

    def _text(self, text: str) -> int:
        if (known := self._texts.get(text)) is None:
            known = self._texts[text] = self._number("text", ("text",), (text,))
        return known

    def _number(self, table: str, names: Sequence[str], values: Sequence[str]) -> int:
        """Return the number of a row with these values, which is made where there is none."""
        where = " AND ".join(f"{name} = ?" for name in names)
        row: Any = self.history.execute(f"SELECT no FROM {table} WHERE {where}", values).fetchone()  # noqa: S608  # names of ours
        if row is None:
            marks = ", ".join("?" * len(names))
            row = (
                self.history.execute(f"INSERT INTO {table} ({', '.join(names)}) VALUES ({marks})", values).lastrowid,  # noqa: S608
            )
        return int(row[0])
