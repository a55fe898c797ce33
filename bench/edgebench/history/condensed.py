"""Reports from a history: whole but for what it does not keep, which is said in a warning of theirs."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean, median
from typing import Any

from edgebench.compare.policy import PERCENTILES
from edgebench.history.file import opened
from edgebench.history.packed import unpacked
from edgebench.history.texts import Texts, table_of
from edgebench.report.intervals import interval
from edgebench.report.model import SCHEMA, Report

_CONDENSED = {
    "code": "condensed",
    "text": "From a history, one number a run: passes, layers, artifacts and resources stand in the report itself",
}


@dataclass(frozen=True, slots=True)
class Head:
    """What lists show of a report; `hard` and `facts` are its own tables, `board` names its board or processor.

    Where a history has several equal boards, `board` names the unit as well. `digest` is that of its file.
    """

    number: int
    id: str
    created: str
    label: str
    digest: str
    status: str
    platform: str
    suite: str
    version: str
    revision: str | None
    hard: Mapping[str, Any]
    facts: Mapping[str, Any]
    board: str


def heads(path: Path) -> list[Head]:
    """Return the reports of a history, oldest first. Raises HistoryError."""
    with opened(path) as history:
        return _heads(history, Texts(history))


def reports(path: Path, wanted: Callable[[Head], bool] | None = None) -> Iterator[Report]:
    """Yield the reports of a history, oldest first; `wanted` picks them, None: all. Raises HistoryError.

    A metric has one number a run, its figure and interval, and its percentiles. What cannot be compared has its figure
    alone.
    """
    with opened(path) as history:
        history.execute("BEGIN")
        cells = {row[0]: row[1:] for row in history.execute("SELECT no, name, kind, params FROM cell")}
        series = {row[0]: row[1:] for row in history.execute("SELECT * FROM series")}
        texts = Texts(history)
        for head in _heads(history, texts):
            if wanted is None or wanted(head):
                yield _report(history, texts, head, cells, series)


def _heads(history: sqlite3.Connection, texts: Texts) -> list[Head]:
    rows = history.execute(
        "SELECT no, id, created, label, digest, status, platform, suite, version, revision, hard, facts FROM report"
    ).fetchall()
    found = []
    for number, *told, revision, hard, facts in rows:
        report, created, label, digest, status, platform, suite, version = map(str, told)
        commit = None if revision is None else str(revision)
        machine = texts.table(facts)["machine"]
        board = str(machine.get("board") or machine["cpu"])
        tables = (texts.table(hard), texts.table(facts))
        found.append(
            Head(number, report, created, label, digest, status, platform, suite, version, commit, *tables, board)
        )
    return sorted(_told_apart(found), key=lambda head: (head.created.rstrip("Z").removesuffix("+00:00"), head.label))


def _told_apart(found: Sequence[Head]) -> Iterator[Head]:
    """Yield the reports, the units of equal boards in their names."""
    known: dict[tuple[str, str], set[str]] = {}
    units = [head.facts["machine"].get("unit") for head in found]
    for head, unit in zip(found, units, strict=True):
        if unit is not None:
            known.setdefault((head.board, head.platform), set()).add(unit)
    for head, unit in zip(found, units, strict=True):
        several = len(known.get((head.board, head.platform), ())) > 1
        yield replace(head, board=f"{head.board} ({unit or 'unit not told'})") if several else head


def _report(
    history: sqlite3.Connection,
    texts: Texts,
    head: Head,
    cells: Mapping[int, Sequence[Any]],
    series: Mapping[int, Sequence[Any]],
) -> Report:
    remarks, place, content, soft = history.execute(
        "SELECT remarks, layout, runs, soft FROM report WHERE no = ?", (head.number,)
    ).fetchone()
    told, layout = table_of(remarks), texts.layout(place)
    numbers = unpacked(content, layout)
    values = dict(history.execute("SELECT series, value FROM figure WHERE report = ?", (head.number,)))
    ended = history.execute("SELECT cell, status, note FROM outcome WHERE report = ?", (head.number,))
    outcomes = {cell: (status, texts.note(note)) for cell, status, note in ended.fetchall()}
    metrics: dict[int, dict[str, Any]] = {}
    tails: dict[tuple[int, str], dict[str, float]] = {}
    for number in sorted({*values, *layout.places}):
        cell, name, unit, better, scope, probe = series[number]
        begin, count = layout.places.get(number, (0, 0))
        runs = numbers[begin : begin + count].tolist()
        error = float(numbers[begin + count]) if number in layout.systematic else None
        base, _, suffix = name.partition(".")
        if number not in values and suffix in PERCENTILES:
            tails.setdefault((cell, base), {})[suffix] = float(median(runs))
            continue
        labels = {"unit": unit, "better": better, "scope": scope or None, "probe": probe or None, "systematic": error}
        metrics.setdefault(cell, {})[name] = labels | _numbers(values[number], runs, error or 0.0)
    for (cell, base), found in tails.items():
        if base in metrics.get(cell, {}):
            found.pop("p50", None)
            metrics[cell][base] |= found
    return Report.model_validate(
        {
            "schema": SCHEMA,
            "id": head.id,
            "created": head.created,
            "status": head.status,
            "generator": {"version": head.version},
            "commit": head.revision,
            "suite": head.facts["suite"],
            "platform": head.platform,
            "image": head.facts["image"],
            "fingerprint": {
                "hard": {key: value for key, value in head.hard.items() if key not in {"platform", "suite"}},
                "soft": {key: value for key, value in texts.table(soft).items() if key not in {"edgebench", "image"}},
            },
            "machine": {**head.facts["machine"], **told["machine"]},
            "software": head.facts["software"],
            "probes": head.facts["probes"],
            "idle": told["idle"],
            "data": head.facts["data"],
            "benchmarks": [_benchmark(cells[cell], *outcomes[cell], metrics.get(cell, {})) for cell in layout.cells],
            "warnings": [*_notices(told["warnings"]), _CONDENSED],
        }
    )


def _benchmark(cell: Sequence[Any], status: str, note: Mapping[str, Any], metrics: Mapping[str, Any]) -> dict[str, Any]:
    name, kind, params = cell
    missing = {metric: {"reason": reason, "fix": fix} for metric, (reason, fix) in note.get("missing", {}).items()}
    return {
        "name": name,
        "kind": kind,
        "params": table_of(params),
        "status": status,
        "reason": note.get("why"),
        "metrics": metrics,
        "missing": missing,
        "warnings": _notices(note.get("warnings", ())),
    }


def _numbers(value: float, runs: Sequence[float], systematic: float) -> dict[str, Any]:
    if not runs:
        return {"value": value, "median": value, "count": 1, "mean": value, "min": value, "max": value}
    return {
        "median": value,
        "runs": [[one] for one in runs],
        "count": len(runs),
        "mean": fmean(runs),
        "min": min(runs),
        "max": max(runs),
        "ci95": interval(runs, systematic),
    }


def _notices(pairs: Sequence[Sequence[str]]) -> list[dict[str, str]]:
    return [{"code": code, "text": text} for code, text in pairs]
