"""From a history to sessions: the same that the folder of its reports gives."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgebench.compare.cells import Cell, Sample, Session, cautions_of_codes, cell_of
from edgebench.compare.history import by_time
from edgebench.compare.policy import PERCENTILES, gauge_of
from edgebench.history.file import opened
from edgebench.history.packed import Layout, unpacked

# Beyond this share of all series, reading all of a table is faster than looking up rows.
_MANY = 0.25


@dataclass(frozen=True, slots=True)
class _Series:
    metric: str
    unit: str
    better: str
    scope: str | None
    probe: str | None


@dataclass(slots=True)
class _Known:
    """What sessions share: benchmarks by number (name, kind, parameters), their wanted series, texts already read."""

    metrics: Sequence[str]
    cells: dict[int, tuple[str, str, dict[str, Any]]] = field(default_factory=dict)
    series: dict[int, dict[int, _Series]] = field(default_factory=dict)
    layouts: dict[int, Layout] = field(default_factory=dict)
    tables: dict[int, Any] = field(default_factory=dict)


def read_history(
    path: Path, metrics: Sequence[str], wanted: Callable[[str], bool] | None = None, *, runs: bool = True
) -> tuple[Session, ...]:
    """Return the sessions of a history, oldest first, with these metrics; `wanted` picks benchmarks by
    name, None: all.

    Without `runs` their samples have the figure alone, where it is there without them: enough for a trend, and faster.
    Raises HistoryError.
    """
    with opened(path) as history:
        history.execute("BEGIN")
        known = _known(history, metrics, wanted)
        rows = history.execute(
            "SELECT no, label, id, created, status, hard, soft, facts, remarks, layout FROM report ORDER BY no"
        ).fetchall()
        _texts(history, known, rows)
        values, outcomes = _values(history, known), _outcomes(history, known)
        tails = any(name.partition(".")[2] in PERCENTILES for name in metrics)
        pieces = _pieces(history) if (runs or tails) and known.series else iter(())
        sessions = []
        for row in rows:
            layout = known.layouts[row[9]]
            numbers = unpacked(next(pieces), layout) if (runs or tails) and known.series else None
            sessions.append(_session(row, known, values.get(row[0], {}), outcomes.get(row[0], {}), numbers))
    return tuple(sorted(sessions, key=by_time))


def _known(history: sqlite3.Connection, metrics: Sequence[str], wanted: Callable[[str], bool] | None) -> _Known:
    known = _Known(metrics)
    for number, name, kind, params in history.execute("SELECT no, name, kind, params FROM cell"):
        if wanted is None or wanted(name):
            known.cells[number] = (name, kind, json.loads(params))
    asked = set(metrics)
    for number, cell, metric, unit, better, scope, probe in history.execute("SELECT * FROM series"):
        if cell in known.cells and metric in asked:
            labels = (None, None) if gauge_of(metric).exact else (scope or None, probe or None)
            known.series.setdefault(cell, {})[number] = _Series(metric, unit, better, *labels)
    return known


def _texts(history: sqlite3.Connection, known: _Known, rows: Sequence[Any]) -> None:
    """Read the tables that sessions share, each once."""
    for number in {number for row in rows for number in row[5:8]}:
        known.tables[number] = json.loads(_text(history, number))
    for number in {row[9] for row in rows}:
        known.layouts[number] = Layout.of_text(_text(history, number))


def _text(history: sqlite3.Connection, number: int) -> str:
    text: str = history.execute("SELECT text FROM text WHERE no = ?", (number,)).fetchone()[0]
    return text


def _values(history: sqlite3.Connection, known: _Known) -> Mapping[int, Mapping[int, float]]:
    """Return the figures of the wanted series, report by report."""
    wanted = [number for series in known.series.values() for number in series]
    _wanted(history, wanted)
    total = history.execute("SELECT count(*) FROM series").fetchone()[0]
    rows = history.execute(
        "SELECT report, series, value FROM figure WHERE series IN (SELECT no FROM wanted)"
        if len(wanted) > _MANY * total
        else "SELECT figure.report, figure.series, figure.value FROM report CROSS JOIN wanted CROSS JOIN figure "
        "ON figure.report = report.no AND figure.series = wanted.no"
    )
    found: dict[int, dict[int, float]] = {}
    for report, series, value in rows:
        found.setdefault(report, {})[series] = value
    return found


def _outcomes(history: sqlite3.Connection, known: _Known) -> Mapping[int, Mapping[int, tuple[str, Any]]]:
    """Return status and note of the wanted benchmarks, report by report."""
    _wanted(history, known.cells)
    rows = history.execute(
        "SELECT outcome.report, outcome.cell, outcome.status, outcome.note FROM report CROSS JOIN wanted "
        "CROSS JOIN outcome ON outcome.report = report.no AND outcome.cell = wanted.no"
    )
    found: dict[int, dict[int, tuple[str, Any]]] = {}
    notes: dict[int | None, Any] = {None: {}}
    for report, cell, status, note in rows.fetchall():
        if note not in notes:
            notes[note] = json.loads(_text(history, note))
        found.setdefault(report, {})[cell] = (status, notes[note])
    return found


def _wanted(history: sqlite3.Connection, numbers: Collection[int]) -> None:
    history.execute("PRAGMA query_only = 0")  # the table below is in memory, beside the file
    history.execute("CREATE TEMP TABLE IF NOT EXISTS wanted (no INTEGER PRIMARY KEY)")
    history.execute("DELETE FROM wanted")
    history.executemany("INSERT INTO wanted VALUES (?)", ((number,) for number in numbers))
    history.execute("PRAGMA query_only = 1")


def _pieces(history: sqlite3.Connection) -> Iterator[bytes]:
    for (content,) in history.execute("SELECT runs FROM report ORDER BY no"):
        yield content


def _session(
    row: Any,
    known: _Known,
    values: Mapping[int, float],
    outcomes: Mapping[int, tuple[str, Any]],
    numbers: NDArray[np.float32] | None,
) -> Session:
    _, label, report, created, status, *texts, told, layout = row
    hard, soft, facts = (known.tables[number] for number in texts)
    remarks, data = json.loads(told), facts["data"]
    places = known.layouts[layout].places
    digest = None if data is None else data["digest"]
    cells: dict[str, Cell] = {}
    for number in known.layouts[layout].cells:
        if number not in outcomes:
            continue
        name, kind, params = known.cells[number]
        ended, note = outcomes[number]
        samples = _samples(known, number, note, values, places, numbers)
        told = note.get("missing", {})
        missing = {metric: told[metric][0] for metric in known.metrics if metric in told}
        cautions = cautions_of_codes(code for code, _ in note.get("warnings", ()))
        cells[name] = cell_of(name, kind, ended, note.get("why"), params, samples, missing, cautions, digest)
    codes = [code for code, _ in remarks["warnings"]]
    cautions = cautions_of_codes([*codes, *(("throttled",) if remarks["machine"].get("throttled") else ())])
    return Session(label, report, created, status == "partial", cautions, hard, soft, cells)


def _samples(
    known: _Known,
    cell: int,
    note: Mapping[str, Any],
    values: Mapping[int, float],
    places: Mapping[int, tuple[int, int]],
    numbers: NDArray[np.float32] | None,
) -> dict[str, Sample]:
    """Return the samples of a benchmark in the order in which the metrics were asked for."""
    found: dict[str, Sample] = {}
    faults = note.get("faults", {})
    for number, one in known.series.get(cell, {}).items():
        place = places.get(number)
        if one.metric in faults or (number not in values and place is None):
            continue
        runs: tuple[float, ...] = ()
        if numbers is not None and place is not None:
            runs = tuple(numbers[place[0] : place[0] + place[1]].tolist())
        value = values[number] if number in values else float(median(runs))
        found[one.metric] = Sample(one.unit, one.better, runs, value, one.scope, one.probe)
    for metric, (fault, unit, better, scope, probe) in faults.items():
        found[metric] = Sample(unit, better, scope=scope or None, probe=probe or None, fault=fault)
    return {metric: found[metric] for metric in known.metrics if metric in found}
