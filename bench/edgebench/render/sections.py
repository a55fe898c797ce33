"""What a shown report says, as data: the sections that terminal and HTML both print."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from edgebench.render import cells
from edgebench.render.compress import making_section
from edgebench.render.quality import quality_columns
from edgebench.render.resources import section as resources_section
from edgebench.render.studies.jetson import jetson_section
from edgebench.render.studies.n150 import study_of, study_section
from edgebench.render.studies.pi import pi_section
from edgebench.render.sustained import section as sustained_section
from edgebench.render.tables import Column, Section
from edgebench.render.units import NONE, TIMES, duration, figure, quantity, signed, with_error
from edgebench.report.metric import SCOPES_BY_WIDTH
from edgebench.report.model import Benchmark, Contrast, LedgerPhase, Machine, Report

_CLOSING_ROWS = 40


def head(report: Report) -> list[tuple[str, str]]:
    """Return the report's head as (name, text) lines: what ran, where, in which state, for how long."""
    machine = report.machine
    governor = f", governor {machine.governor}" if machine.governor else ""
    memory = quantity(machine.memory_bytes, "B") + " memory" if machine.memory_bytes else ""
    temperature = machine.temperature_c
    warm = [] if temperature is None else [temperature.before, temperature.after]
    known = [NONE if value is None else f"{value:.0f} °C" for value in warm]
    lines = [
        ("suite", f"{report.suite.name} · {report.status}"),
        ("created", f"{report.created} · edgebench {report.generator.version}"),
        ("platform", _join(report.platform, machine.board, _nature(machine))),
        ("processor", _join(f"{machine.cpu}, {machine.cores} cores{governor}", memory)),
        ("system", _join(machine.os, machine.kernel)),
        ("image", "" if report.image is None else f"{report.image.name} {report.image.digest[:19]}"),
        ("temperature", f"{' before, '.join(known)} after" if any(value is not None for value in warm) else ""),
        ("throttled", "yes" if machine.throttled else ""),
        ("threads", _threads(report)),
        ("data", _data(report)),
        ("energy", ", ".join(f"{probe.name} ({probe.scope})" for probe in report.probes) or "not measured"),
        ("took", _took(report)),
    ]
    return [(name, text) for name, text in lines if text]


def sections(report: Report, *, sparks: bool = True) -> list[Section]:
    """Return every section that has something to say, in order; `sparks` are series as lines of characters."""
    study = study_of(report)
    found = [
        _inference("Inference", _ok(report, "inference")),
        sustained_section(report, sparks=sparks),
        _operators(report),
        making_section(report),
        _compression(report),
        _break_even(report),
        _idle(report),
        _probes(report),
        _contrasts(report),
        None if study is None else study_section(study),
        jetson_section(report),
        pi_section(report),
        resources_section(report, sparks=sparks),
        *remarks(report),
    ]
    return [section for section in found if section is not None]


def remarks(report: Report) -> list[Section]:
    """Return what was not measured, the warnings, and what is missing with its fix."""
    failed = tuple((text, "") for text in cells.all_unmeasured(report))
    warnings = tuple((text, "") for text in cells.all_warnings(report))
    missing = tuple(cells.all_missing(report))
    found = [
        Section("Not measured", bullets=failed, tone="error"),
        Section("Warnings", bullets=warnings, tone="warning"),
        Section("Missing, and what would bring it", bullets=missing, tone="warning"),
    ]
    return [section for section in found if section.bullets]


def essentials(report: Report) -> Section | None:
    """Return the one table of a session's end: latency, change against the baseline, energy, size, accuracy."""
    everything = _ok(report, "inference") or _ok(report, "sustained") or _ok(report, "operator")
    rows = everything[:_CLOSING_ROWS]
    if not rows:
        return making_section(report)
    labels = cells.labels(rows)
    change = {one.head: one for one in reversed(report.contrasts) if one.metric == "latency_s"}
    columns = (
        _names(rows, labels),
        _column("latency", rows, lambda row: cells.metric_cell(row, "latency_s")),
        _column("against\nits baseline", rows, lambda row: cells.contrast_cell(change.get(row.name))),
        _energy("energy_gross_j", rows),
        _column("size", rows, cells.size_cell),
        *quality_columns(rows),
    )
    notes = [f"all: {labels.common}"] if labels.common else []
    if len(everything) > len(rows):
        notes.append(f"and {len(everything) - len(rows)} more: see them with 'edgebench show'")
    return Section("", (columns,), notes=tuple(notes))


def _data(report: Report) -> str:
    """Name the data behind the accuracy; a language model's are texts, whatever the field is called."""
    if report.data is None:
        return ""
    params = (row.params for row in report.benchmarks)
    texts = any(each.get("task") == "language" and each.get("data") == report.data.name for each in params)
    return f"{report.data.name}, {report.data.test_images} test {'texts' if texts else 'images'}"


def _threads(report: Report) -> str:
    counts = {str(row.params["threads"]) for row in report.benchmarks if "threads" in row.params}
    return ", ".join(sorted(counts, key=lambda count: (len(count), count)))


def _took(report: Report) -> str:
    session = report.session
    if session is None:
        return ""
    parts = [
        (session.prepare_seconds, "preparing"),
        (session.measure_seconds, "measuring"),
        (session.worker_start_seconds, "starting workers"),
    ]
    told = ", ".join(f"{duration(seconds)} {what}" for seconds, what in parts if seconds is not None)
    resumed = ", resumed" if session.resumed else ""
    discarded = f", disturbed runs repeated: {session.runs_discarded}" if session.runs_discarded else ""
    return f"{duration(session.seconds)}{f' ({told})' if told else ''}{resumed}{discarded}"


def _inference(title: str, benchmarks: Sequence[Benchmark]) -> Section | None:
    if not benchmarks:
        return None
    labels = cells.labels(benchmarks, without=("precision",))
    columns = [
        _names(benchmarks, labels),
        _column("precision", benchmarks, lambda row: str(row.params.get("precision", "")), justify="left"),
        _column("latency\nmedian", benchmarks, lambda row: cells.metric_cell(row, "latency_s")),
        _column("p95", benchmarks, cells.tail_cell),
        _energy("energy_gross_j", benchmarks),
        _energy("energy_net_j", benchmarks),
        _column("size", benchmarks, cells.size_cell),
        *quality_columns(benchmarks),
        _column("peak\nmemory", benchmarks, lambda row: cells.metric_cell(row, "peak_memory_bytes")),
        _column("INT8\nlayers", benchmarks, cells.layers_cell),
    ]
    notes = [
        *_common(labels),
        "± of a latency: half the 95 % interval over runs; of an energy: one sigma of its measurement",
    ]
    return Section(title, (tuple(columns),), notes=tuple(notes))


def _operators(report: Report) -> Section | None:
    rows = _ok(report, "operator")
    if not rows:
        return None
    labels = cells.labels(rows, without=("backend", "precision"))
    full_precision = {_cell_key(row): row for row in rows if row.params.get("precision") == "fp32"}
    contrasts = {(c.base, c.head): c for c in report.contrasts if c.metric == "latency_s"}

    def speed_up(row: Benchmark) -> str:
        base = full_precision.get(_cell_key(row))
        times = [one.metrics.get("latency_s") for one in (row, base) if one is not None]
        if row.params.get("precision") != "int8" or len(times) < 2 or times[0] is None or times[1] is None:
            return NONE
        contrast = contrasts.get((base.name if base else "", row.name))
        if contrast is not None and contrast.ratio:
            ends = "" if contrast.ci95 is None else f" [{_inverse(contrast.ci95[1])}, {_inverse(contrast.ci95[0])}]"
            return f"{_inverse(contrast.ratio)} {TIMES}{ends}"
        return f"{_inverse(times[0].median / times[1].median)} {TIMES}" if times[1].median else NONE

    columns = [
        _names(rows, labels, "operator"),
        _column("backend", rows, lambda row: str(row.params.get("backend", "")), justify="left"),
        _column("precision", rows, lambda row: str(row.params.get("precision", "")), justify="left"),
        _column("time\nmedian", rows, lambda row: cells.metric_cell(row, "latency_s")),
        _column("operations", rows, lambda row: _rate(row, "operations_per_s", "OP/s")),
        _column("memory", rows, lambda row: _rate(row, "bytes_per_s", "B/s")),
        _column("INT8 : FP32\nspeed-up", rows, speed_up),
    ]
    return Section("Operators", (tuple(columns),), notes=_common(labels))


def _cell_key(row: Benchmark) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((key, str(value)) for key, value in row.params.items() if key != "precision"))


def _inverse(ratio: float) -> str:
    return figure(1 / ratio if ratio else None)


def _rate(row: Benchmark, name: str, unit: str) -> str:
    metric = row.metrics.get(name)
    return NONE if metric is None else quantity(cells.headline(metric), unit)


def _compression(report: Report) -> Section | None:
    seen: dict[str, Benchmark] = {}
    for benchmark in report.benchmarks:
        if benchmark.artifact is not None and benchmark.artifact.ledger:
            seen.setdefault(benchmark.artifact.digest, benchmark)
    rows: list[tuple[Benchmark, LedgerPhase]] = []
    told: set[tuple[str, float | None, int | None]] = set()
    for row in seen.values():
        for phase in row.artifact.ledger if row.artifact is not None else ():
            key = (phase.phase, phase.seconds, phase.peak_memory_bytes)
            if not (phase.cached and key in told):  # a phase that artifacts share is told once
                rows.append((row, phase))
            told.add(key)
    if not rows:
        return None
    labels = cells.labels(list(seen.values()))
    columns = [
        Column("artifact", tuple(labels.names[row.name] for row, _ in rows), "left"),
        Column("phase", tuple(phase.phase for _, phase in rows), "left"),
        Column("time", tuple(NONE if p.seconds is None else duration(p.seconds) for _, p in rows)),
        Column("peak memory", tuple(quantity(phase.peak_memory_bytes, "B") for _, phase in rows)),
        Column("energy", tuple(_phase_energy(phase) for _, phase in rows)),
        Column("", tuple(_origin(row, phase) for row, phase in rows), "left"),
    ]
    return Section("Compression", (tuple(columns),), notes=_common(labels))


def _origin(row: Benchmark, phase: LedgerPhase) -> str:
    if row.artifact is not None and row.artifact.prepared_on is not None:
        return "from the bundle"
    return "from the cache" if phase.cached else ""


def _phase_energy(phase: LedgerPhase) -> str:
    if not phase.energy:
        return NONE
    scope = next((scope for scope in SCOPES_BY_WIDTH if scope in phase.energy), next(iter(phase.energy)))
    joules = phase.energy[scope]
    return f"{with_error(joules.energy_j, joules.uncertainty_j, 'J')} {scope}"


def _break_even(report: Report) -> Section | None:
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
    return Section("Break-even", (tuple(columns),), notes=_common(labels))


def _idle(report: Report) -> Section | None:
    if not report.idle:
        return None
    columns = [
        Column("probe", tuple(f"{idle.probe} ({idle.scope})" for idle in report.idle), "left"),
        Column("when", tuple(idle.when for idle in report.idle), "left"),
        Column("power", tuple(with_error(idle.power_w, idle.stdev_w, "W") for idle in report.idle)),
        Column("over", tuple(duration(idle.seconds) for idle in report.idle)),
    ]
    return Section("Idle power", (tuple(columns),))


def _probes(report: Report) -> Section | None:
    """What measuring energy itself costs and how two sources agree: where there is something to tell."""
    if not report.probes:
        return None
    rows = report.probes
    columns = [
        Column("probe", tuple(f"{probe.name} ({probe.scope})" for probe in rows), "left"),
        Column(
            "steps of", tuple(quantity(probe.resolution, "J" if probe.kind == "counter" else "W") for probe in rows)
        ),
        Column("new every", tuple(quantity(probe.refresh_s, "s") for probe in rows)),
        Column("a read costs", tuple(quantity(probe.overhead, "s") for probe in rows)),
        Column("sampler's share\nof a processor", tuple(percent_of(probe.sampler_share) for probe in rows)),
    ]
    notes = []
    if (metering := report.metering) is not None:
        ends = "" if metering.ci95 is None else f" [{', '.join(signed(100 * (end - 1), 2) for end in metering.ci95)}]"
        notes.append(
            f"a pass inside energy windows against outside: {signed(100 * (metering.latency_ratio - 1), 2)} %{ends}"
        )
    for closure in report.closures:
        low, high = closure.ci95
        notes.append(
            f"{closure.part} over {closure.whole}: {closure.ratio:.3f} [{low:.3f}, {high:.3f}], "
            f"systematic {closure.systematic:.1%}, {closure.windows} windows"
        )
    return Section("Probes", (tuple(columns),), notes=tuple(notes))


def percent_of(value: float | None) -> str:
    """Return a share as per cent, a dash for none."""
    return NONE if value is None else f"{100 * value:.2f} %"


def _contrasts(report: Report) -> Section | None:
    operators = {row.name for row in report.benchmarks if row.kind == "operator"}
    told = [contrast for contrast in report.contrasts if contrast.head not in operators]  # theirs stand in their table
    pairs = list(dict.fromkeys((contrast.base, contrast.head) for contrast in told))
    if not pairs:
        return None
    found: dict[tuple[str, str, str], Contrast] = {(c.base, c.head, c.metric): c for c in told}
    metrics = list(dict.fromkeys(contrast.metric for contrast in told))
    bases = list(dict.fromkeys(base for base, _ in pairs))
    involved = {name for pair in pairs for name in pair}
    labels = cells.labels([row for row in report.benchmarks if row.name in involved])
    tables: list[tuple[Column, ...]] = []
    for base in bases:
        heads = [head for first, head in pairs if first == base]
        named = tuple(labels.names.get(head, head) for head in heads)
        columns = [Column(f"against\n{labels.names.get(base, base)}", named, "left")]
        columns += [
            Column(cells.title(m), tuple(cells.contrast_cell(found.get((base, head, m))) for head in heads))
            for m in metrics
        ]
        tables.append(tuple(columns))
    methods = ", ".join(dict.fromkeys(contrast.method for contrast in told))
    return Section(
        "Differences inside this report", tuple(tables), notes=(f"[95 % interval]; {methods}", *_common(labels))
    )


def _common(labels: cells.Labels) -> tuple[str, ...]:
    return (f"all: {labels.common}",) if labels.common else ()


def _names(rows: Sequence[Benchmark], labels: cells.Labels, header: str = "benchmark") -> Column:
    return Column(header, tuple(labels.names[row.name] for row in rows), "left")


def _column(
    header: str, rows: Sequence[Benchmark], cell: Callable[[Benchmark], str], *, justify: str = "right"
) -> Column:
    return Column(header, tuple(cell(row) for row in rows), "left" if justify == "left" else "right")


def _energy(name: str, rows: Sequence[Benchmark]) -> Column:
    scope = cells.scope_of(rows, name)

    def cell(row: Benchmark) -> str:
        shown = cells.metric_cell(row, name)
        metric = row.metrics.get(name)
        return shown if scope or metric is None or metric.scope is None else f"{shown} {metric.scope}"

    return _column(cells.title(name) + (f"\n({scope})" if scope else ""), rows, cell)


def _ok(report: Report, kind: str) -> list[Benchmark]:
    return [row for row in report.benchmarks if row.kind == kind and row.status == "ok"]


def _nature(machine: Machine) -> str:
    """What this machine is when it is no real one."""
    if machine.emulated:
        return f"emulated ({machine.emulated})"
    return "virtual machine" if machine.virtualised else ""


def _join(*parts: str | None) -> str:
    return " · ".join(part for part in parts if part)
