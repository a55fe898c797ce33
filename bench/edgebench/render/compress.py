"""What making the artifacts cost: each phase of kind ``compress`` with time, memory and energy, then what came out."""

from __future__ import annotations

from collections.abc import Mapping

from edgebench.render import cells
from edgebench.render.tables import Column, Section
from edgebench.render.units import NONE
from edgebench.report.model import Benchmark, Report

_PHASES = ("export", "build")
_TWIN = ("model", "variant", "backend", "precision", "batch", "threads", "width", "isa")


def making_section(report: Report) -> Section | None:
    """Return the table "phase, seconds, peak memory, joules, size, accuracy, latency", or None without such rows."""
    rows = [row for row in report.benchmarks if row.kind == "compress" and row.status == "ok"]
    if not rows:
        return None
    labels = cells.labels(rows)
    twins = inference_twins(report)
    names: list[str] = []
    columns: dict[str, list[str]] = {
        key: [] for key in ("phase", "time", "peak memory", "energy", "size", "accuracy", "latency")
    }
    for row in rows:
        phases = [phase for phase in _PHASES if f"{phase}_s" in row.metrics]
        for phase in phases:
            last = phase == phases[-1]
            twin = twins.get(key_of(row))
            names.append(labels.names[row.name] if phase == phases[0] else "")
            told = {
                "phase": phase,
                "time": cells.metric_cell(row, f"{phase}_s"),
                "peak memory": cells.metric_cell(row, f"{phase}_peak_memory_bytes"),
                "energy": cells.metric_cell(row, f"{phase}_energy_j"),
                "size": cells.size_cell(row) if last else "",
                "accuracy": cells.metric_cell(row, "accuracy_top1") if last else "",
                "latency": "" if not last else NONE if twin is None else cells.metric_cell(twin, "latency_s"),
            }
            for key, column in columns.items():
                column.append(told[key])
    table = (
        Column("artifact", tuple(names), "left"),
        Column("phase", tuple(columns.pop("phase")), "left"),
        *(Column(key, tuple(column)) for key, column in columns.items()),
    )
    notes = ["each phase is a process of its own and takes nothing from the cache; ±: half the 95 % interval over runs"]
    if labels.common:
        notes.insert(0, f"all: {labels.common}")
    return Section("Making the artifacts", (table,), notes=tuple(notes))


def inference_twins(report: Report) -> Mapping[tuple[str, ...], Benchmark]:
    """Return the inference benchmarks by what a ``compress`` benchmark of the same artifact has in common with them."""
    return {key_of(row): row for row in report.benchmarks if row.kind == "inference" and row.status == "ok"}


def key_of(row: Benchmark) -> tuple[str, ...]:
    """Return what names the artifact and its engine, whatever is measured of it."""
    return tuple(str(row.params.get(name)) for name in _TWIN)
