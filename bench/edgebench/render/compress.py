"""What making the artifacts cost: each phase of kind ``compress`` with time, memory and energy, then what came out."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from edgebench.plan.kinds import MAKING_PHASES
from edgebench.render import cells
from edgebench.render.columns import common_note
from edgebench.render.tables import Column, Section
from edgebench.render.units import NONE, duration, quantity, with_interval
from edgebench.report.metric import SCOPES_BY_WIDTH
from edgebench.report.model import Benchmark, Report
from edgebench.report.origin import LedgerPhase

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
        phases = [phase for phase in MAKING_PHASES if f"{phase}_s" in row.metrics]
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
    notes = ["each phase is a process of its own and takes nothing from the cache"]
    if labels.common:
        notes.insert(0, f"all: {labels.common}")
    return Section("Making the artifacts", (table,), notes=tuple(notes))


def inference_twins(report: Report) -> Mapping[tuple[str, ...], Benchmark]:
    """Return the inference benchmarks by what a ``compress`` benchmark of the same artifact has in common with them."""
    return {key_of(row): row for row in report.benchmarks if row.kind == "inference" and row.status == "ok"}


def key_of(row: Benchmark) -> tuple[str, ...]:
    """Return what names the artifact and its engine, whatever is measured of it."""
    return tuple(str(row.params.get(name)) for name in _TWIN)


def compression_section(report: Report) -> Section | None:
    """Return the phases that made the artifacts, each once, or None."""
    seen: dict[str, Benchmark] = {}
    for benchmark in report.benchmarks:
        if benchmark.artifact is not None and benchmark.artifact.ledger:
            seen.setdefault(benchmark.artifact.digest, benchmark)
    phases = [(row, phase) for row in seen.values() if row.artifact is not None for phase in row.artifact.ledger]
    # A phase that artifacts share is told once; it is from the cache only where none of them was made with it.
    made = {_key(phase) for _, phase in phases if not phase.cached}
    first: dict[tuple[str, float | None, int | None], tuple[Benchmark, LedgerPhase]] = {}
    for row, phase in phases:
        first.setdefault(_key(phase), (row, phase))
    rows = list(first.values())
    if not rows:
        return None
    labels = cells.labels(list(seen.values()))
    columns = [
        Column("artifact", tuple(labels.names[row.name] for row, _ in rows), "left"),
        Column("phase", tuple(phase.phase for _, phase in rows), "left"),
        Column("time", tuple(NONE if p.seconds is None else duration(p.seconds) for _, p in rows)),
        Column("peak memory", tuple(quantity(phase.peak_memory_bytes, "B") for _, phase in rows)),
        Column("energy", tuple(_phase_energy(phase) for _, phase in rows)),
        Column("", tuple(_origin(row, phase, made) for row, phase in rows), "left"),
    ]
    return Section("Compression", (tuple(columns),), notes=common_note(labels))


def _key(phase: LedgerPhase) -> tuple[str, float | None, int | None]:
    return phase.phase, phase.seconds, phase.peak_memory_bytes


def _origin(row: Benchmark, phase: LedgerPhase, made: Collection[tuple[str, float | None, int | None]]) -> str:
    if row.artifact is not None and row.artifact.prepared_on is not None:
        return "from the bundle"
    return "from the cache" if phase.cached and _key(phase) not in made else ""


def _phase_energy(phase: LedgerPhase) -> str:
    if not phase.energy:
        return NONE
    scope = next((scope for scope in SCOPES_BY_WIDTH if scope in phase.energy), next(iter(phase.energy)))
    joules = phase.energy[scope]
    half = 1.96 * (joules.uncertainty_j or 0.0)
    shown, low, high = with_interval(joules.energy_j, (joules.energy_j - half, joules.energy_j + half), "J")
    return f"{shown} {scope}" + (f"\n[{low}, {high}]" if low else "")


def break_even_section(report: Report) -> Section | None:
    """Return after how many inferences compressing has repaid its energy, or None."""
    rows = [(row, row.break_even) for row in report.benchmarks if row.break_even is not None]
    if not rows:
        return None
    named = {row.name for row, _ in rows} | {even.versus for _, even in rows}
    labels = cells.labels([row for row in report.benchmarks if row.name in named])
    columns = [
        Column("benchmark", tuple(labels.names[row.name] for row, _ in rows), "left"),
        Column("inferences that\nrepay compressing", tuple(f"{even.inferences:,.0f}" for _, even in rows)),
        Column("against", tuple(labels.names.get(even.versus, even.versus) for _, even in rows), "left"),
        Column("scope", tuple(even.scope for _, even in rows), "left"),
    ]
    return Section("Break-even", (tuple(columns),), notes=common_note(labels))
