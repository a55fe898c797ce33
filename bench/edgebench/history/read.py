"""From a history to sessions: the same that the folder of its reports gives."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from edgebench.compare.cells import Cell, Sample, Session, cautions_of_codes, cell_of
from edgebench.compare.lean import uncollected
from edgebench.compare.policy import PERCENTILES, gauge_of
from edgebench.compare.sessions import by_time
from edgebench.history.file import opened
from edgebench.history.packed import Layout, unpacked
from edgebench.history.texts import Texts, table_of
from edgebench.report.wrong import CODES

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

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
    """What sessions share: benchmarks by number (name, kind, parameters), their wanted series, and texts."""

    metrics: Sequence[str]
    texts: Texts
    cells: dict[int, tuple[str, str, dict[str, Any]]] = field(default_factory=dict)
    series: dict[int, dict[int, _Series]] = field(default_factory=dict)
    ranges: dict[int, range] = field(default_factory=dict)
    chosen: dict[int, tuple[int, ...]] = field(default_factory=dict)
    bare: dict[tuple[int, str | None], Cell] = field(default_factory=dict)

    def cells_of(self, layout: Layout) -> tuple[int, ...]:
        """Return the wanted benchmarks of a report in its order."""
        key = id(layout)  # kept by `texts` as long as this is
        if key not in self.chosen:
            self.chosen[key] = tuple(number for number in layout.cells if number in self.cells)
        return self.chosen[key]

    def cell(self, number: int, data: str | None) -> Cell:
        """Return a benchmark without anything that was measured; `data` is the digest of the session's data set."""
        key = (number, data)
        if key not in self.bare:
            name, kind, params = self.cells[number]
            self.bare[key] = cell_of(name, kind, "", None, params, {}, {}, (), data)
        return self.bare[key]

    def numbers(self, content: bytes, layout: Layout) -> tuple[int, NDArray[np.float32]]:
        """Return the stretch of a report's runs that the wanted series lie in, and where it begins."""
        key = id(layout)
        if key not in self.ranges:
            found = [layout.places[number] for own in self.series.values() for number in own if number in layout.places]
            ends = [begin + count for begin, count in found]
            self.ranges[key] = range(min((begin for begin, _ in found), default=0), max(ends, default=0))
        return self.ranges[key].start, unpacked(content, layout, self.ranges[key])


def read_history(
    path: Path, metrics: Sequence[str], wanted: Callable[[str], bool] | None = None, *, runs: bool = True
) -> tuple[Session, ...]:
    """Return the sessions of a history, oldest first, with these metrics; `wanted` picks benchmarks by their name.

    Without `runs` their samples have the figure alone, where it is there without them: enough for a trend, and faster.
    Raises HistoryError.
    """
    with uncollected(), opened(path) as history:
        history.execute("BEGIN")
        known = _known(history, metrics, wanted)
        rows = history.execute(
            "SELECT no, label, id, created, status, hard, soft, facts, remarks, layout, revision "
            "FROM report ORDER BY no"
        ).fetchall()
        values, outcomes = _values(history, known), _outcomes(history, known)
        tails = any(name.partition(".")[2] in PERCENTILES for name in metrics)
        pieces = _pieces(history) if (runs or tails) and known.series else iter(())
        sessions = []
        for row in rows:
            layout = known.texts.layout(row[9])
            numbers = known.numbers(next(pieces), layout) if (runs or tails) and known.series else None
            sessions.append(_session(row, known, values.get(row[0], {}), outcomes.get(row[0], {}), numbers))
    return tuple(sorted(sessions, key=by_time))


def _known(history: sqlite3.Connection, metrics: Sequence[str], wanted: Callable[[str], bool] | None) -> _Known:
    known = _Known(metrics, Texts(history))
    for number, name, kind, params in history.execute("SELECT no, name, kind, params FROM cell"):
        if wanted is None or wanted(name):
            known.cells[number] = (str(name), str(kind), table_of(params))
    asked = set(metrics)
    for number, cell, metric, unit, better, scope, probe in history.execute("SELECT * FROM series"):
        if cell in known.cells and metric in asked:
            labels = (None, None) if gauge_of(metric).exact else (scope or None, probe or None)
            known.series.setdefault(cell, {})[number] = _Series(metric, str(unit), str(better), *labels)
    return known


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
        if not math.isfinite(value):
            raise ValueError("a figure is no number")
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
    for report, cell, status, note in rows.fetchall():
        found.setdefault(report, {})[cell] = (str(status), known.texts.note(note))
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
    numbers: tuple[int, NDArray[np.float32]] | None,
) -> Session:
    label, report, created, status = map(str, row[1:5])
    hard, soft, facts = map(known.texts.table, row[5:8])
    remarks, layout, data = table_of(row[8]), known.texts.layout(row[9]), facts["data"]
    places = layout.places
    digest = None if data is None else data["digest"]
    cells: dict[str, Cell] = {}
    for number in known.cells_of(layout):
        if number not in outcomes:
            continue
        bare = known.cell(number, digest)
        ended, note = outcomes[number]
        samples = _samples(known, number, note, values, places, numbers)
        told = note.get("missing", {})
        missing = {metric: told[metric][0] for metric in known.metrics if metric in told}
        warned = [code for code, _ in note.get("warnings", ())]
        cells[bare.name] = Cell(
            bare.name,
            ended,
            note.get("why"),
            bare.hard,
            samples,
            missing,
            bare.evaluated_on,
            cautions_of_codes(warned),
            not CODES.isdisjoint(warned),
        )
    codes = [code for code, _ in remarks["warnings"]]
    cautions = cautions_of_codes([*codes, *(("throttled",) if remarks["machine"].get("throttled") else ())])
    commit = None if row[10] is None else str(row[10])
    unit = facts["machine"].get("unit")
    return Session(label, report, created, status == "partial", cautions, hard, soft, cells, commit, unit)


def _samples(
    known: _Known,
    cell: int,
    note: Mapping[str, Any],
    values: Mapping[int, float],
    places: Mapping[int, tuple[int, int]],
    numbers: tuple[int, NDArray[np.float32]] | None,
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
            begin = place[0] - numbers[0]
            runs = tuple(numbers[1][begin : begin + place[1]].tolist())
        value = values[number] if number in values else float(median(runs))
        found[one.metric] = Sample(one.unit, one.better, runs, value, one.scope, one.probe)
    for metric, (fault, unit, better, scope, probe) in faults.items():
        found[metric] = Sample(unit, better, scope=scope or None, probe=probe or None, fault=fault)
    return {metric: found[metric] for metric in known.metrics if metric in found}
