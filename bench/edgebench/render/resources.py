"""Resources as a section for people, and as CSV for programs."""

from __future__ import annotations

import csv
import io

from edgebench.render.sparkline import sparkline
from edgebench.render.tables import Column, Section
from edgebench.render.timeline import label, said, scale_of
from edgebench.render.units import duration, figure
from edgebench.report.course import ResourceSeries
from edgebench.report.model import Report
from edgebench.report.text import spreadsheet_cell

_SPARK = 24
_GROUPS = {
    "cpu_percent": "processor",
    "workload_cpu_percent": "processor",
    "steal_percent": "processor",
    "memory_bytes": "memory",
    "workload_memory_bytes": "memory",
    "gpu_percent": "graphics",
    "gpu_memory_bytes": "graphics memory",
    "gpu_temperature_c": "temperature",
    "temperature_c": "temperature",
    "cpu_frequency_hz": "frequency",
    "gpu_frequency_hz": "frequency",
    "power_w": "power",
    "throttle_count": "throttling",
    "throttled": "throttling",
}
HEADER = ("series", "scope", "unit", "t_s", "value", "min", "max", "benchmark", "kind", "phase")


def section(report: Report, *, sparks: bool = True) -> Section | None:
    """Return a row a series: its course over the session (`sparks`), least, mean and highest; None without any."""
    resources = report.resources
    if resources is None:
        return None
    rows = [series for series in resources.series if series.t_s]
    columns = [Column("resource", tuple(_name(series) for series in rows), "left")]
    if sparks:
        columns.append(Column("over the session", tuple(sparkline(series, _SPARK) for series in rows), "left"))
    columns += [
        Column("least", tuple(said(min(series.min or series.value), series.unit) for series in rows)),
        Column("mean", tuple(said(_mean(series), series.unit) for series in rows)),
        Column("highest", tuple(said(max(series.max or series.value), series.unit) for series in rows)),
    ]
    rate, span = figure(resources.rate_hz, 2), duration(scale_of(resources))
    notes = [f"{rate} samples a second over {span}; of processor time, 100 % is one processor"]
    by_reason: dict[str, list[str]] = {}
    for name, missing in resources.missing.items():
        if not (name.startswith("power_w") and report.probes_missing):  # told of the probes themselves
            by_reason.setdefault(missing.reason, []).append(_GROUPS.get(name.partition(".")[0], name))
    notes += [f"no {', '.join(dict.fromkeys(names))}: {reason}" for reason, names in by_reason.items()]
    return Section("Use of resources", (tuple(columns),) if rows else (), notes=tuple(notes))


def rows(report: Report) -> str:
    """Return every point of every series as CSV, with the run or artifact it falls into; empty without resources."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEADER)
    if (resources := report.resources) is None:
        return text.getvalue()
    for series in resources.series:
        for index, at in enumerate(series.t_s):
            # The narrowest span wins: a phase lies within the making of its artifact.
            inside = [span for span in resources.spans if span.begin_s <= at <= span.end_s]
            span = min(inside, key=lambda one: one.end_s - one.begin_s, default=None)
            value = series.value[index]
            low, high = (value if many is None else many[index] for many in (series.min, series.max))
            where = ("", "", "") if span is None else (span.name, span.kind, span.phase)
            writer.writerow(
                map(spreadsheet_cell, (series.name, series.scope, series.unit, at, value, low, high, *where))
            )
    return text.getvalue()


def _name(series: ResourceSeries) -> str:
    group = _GROUPS.get(series.name, series.name)
    return f"{group}, {label(series)}"


def _mean(series: ResourceSeries) -> float:
    return sum(series.value) / len(series.value)
