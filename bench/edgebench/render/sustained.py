"""Sustained load for people: cold against hot as a table, and the course of each run as a drawing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from edgebench.render import cells
from edgebench.render.sparkline import sparkline
from edgebench.render.tables import Column, Section
from edgebench.render.timeline import Band, Timeline, place, said, stack
from edgebench.render.units import NONE, duration, percent, quantity
from edgebench.report.course import Change, ResourceSeries, Sustained
from edgebench.report.metric import SCOPES_BY_WIDTH
from edgebench.report.model import Benchmark, Report

_SPARK = 30


def section(report: Report, *, sparks: bool = True) -> Section | None:
    """Return a row a sustained run, with the course of its throughput (`sparks`); None without any."""
    rows = [(row, run) for row in _measured(report) for run in row.sustained or ()]
    if not rows:
        return None
    labels = cells.labels([row for row, _ in rows], without=("precision",))
    columns = [
        Column("benchmark", tuple(labels.names[row.name] for row, _ in rows), "left"),
        Column("precision", tuple(str(row.params.get("precision", "")) for row, _ in rows), "left"),
        Column("load", tuple(duration(run.seconds) for _, run in rows)),
        Column("throughput\ncold", tuple(_metric(row, "throughput_per_s.cold") for row, _ in rows)),
        Column("throughput\nhot", tuple(_metric(row, "throughput_per_s.hot") for row, _ in rows)),
        Column("throughput\nhot : cold", tuple(_change(run.hot_over_cold.get("throughput_per_s")) for _, run in rows)),
        Column("energy\ncold", tuple(_metric(row, "energy_gross_j.cold") for row, _ in rows)),
        Column("energy\nhot", tuple(_metric(row, "energy_gross_j.hot") for row, _ in rows)),
        Column("energy\nhot : cold", tuple(_energy(run) for _, run in rows)),
        Column("temperature", tuple(_ends(run, "temperature_c") for _, run in rows)),
        Column("throttling", tuple(_throttling(run) for _, run in rows), "left"),
    ]
    if sparks:
        columns.append(Column("throughput over time", tuple(_spark(run) for _, run in rows), "left"))
    notes = [f"{labels.names[row.name]}: {run.verdict_text}" for row, run in rows]
    cold, hot = rows[0][1].cold, rows[0][1].hot
    notes.append(
        f"cold is the first {duration(cold[1] - cold[0])}, hot the last {duration(hot[1] - hot[0])}; "
        "[95 % interval] of a ratio from the windows of both"
    )
    notes += [f"all: {labels.common}"] if labels.common else []
    return Section("Sustained load", (tuple(columns),), notes=tuple(notes))


def timelines(report: Report) -> Iterator[Timeline]:
    """Yield the drawing of each run: throughput, power, temperature and frequency, cold and hot shaded, the onset."""
    rows = _measured(report)
    names = cells.labels(rows).names
    for row in rows:
        for number, run in enumerate(row.sustained or (), start=1):
            title = f"Sustained load: {names[row.name]}" + (f", run {number}" if len(row.sustained or ()) > 1 else "")
            bands = [_band("cold", run.cold, run.seconds), _band("hot", run.hot, run.seconds)]
            marks = [] if run.onset_s is None else [(run.onset_s, f"onset at {run.onset_s:.0f} s")]
            yield stack(title, run.series, run.seconds, bands, marks=marks, note=run.verdict_text)


def _measured(report: Report) -> list[Benchmark]:
    return [row for row in report.benchmarks if row.kind == "sustained" and row.status == "ok" and row.sustained]


def _band(name: str, ends: tuple[float, float], end_s: float) -> Band:
    x = place(ends[0], end_s)
    title = f"{name}: {duration(ends[1] - ends[0])}"
    return Band(x, place(ends[1], end_s) - x, "run" if name == "cold" else "prepare", name, title, 0)


def _metric(row: Benchmark, name: str) -> str:
    metric = row.metrics.get(name)
    return NONE if metric is None else cells.metric_cell(row, name)


def _change(change: Change | None) -> str:
    if change is None:
        return NONE
    ends = "" if change.ci95 is None else f"\n[{', '.join(percent(end)[:-2] for end in change.ci95)}]"
    return percent(change.ratio) + ends


def _energy(run: Sustained) -> str:
    """Return the change of the widest scope that was measured."""
    keys = (f"energy_gross_j.{scope}" for scope in SCOPES_BY_WIDTH)
    return _change(next((run.hot_over_cold[key] for key in keys if key in run.hot_over_cold), None))


def _spark(run: Sustained) -> str:
    found = [series for series in run.series if series.name == "throughput_per_s"]
    return sparkline(found[0], _SPARK) if found else NONE


def _ends(run: Sustained, name: str) -> str:
    found: Sequence[ResourceSeries] = [series for series in run.series if series.name == name and series.t_s]
    if not found:
        return NONE
    return f"{said(found[0].value[0], found[0].unit)} → {said(found[0].value[-1], found[0].unit)}"


def _throttling(run: Sustained) -> str:
    words = {"none": "none seen", "throttled": "throttled", "slowed": "slowed", "disturbed": "cannot tell"}
    onset = "" if run.onset_s is None else f" from {quantity(run.onset_s, 's')}"
    return words[run.verdict] + onset
