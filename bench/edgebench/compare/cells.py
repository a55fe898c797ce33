"""From a report to the numbers that are compared: one number a run, because the run is the unit of replication."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import TYPE_CHECKING, Any

from edgebench.compare.policy import PERCENTILES, gauge_of
from edgebench.report.intervals import run_medians
from edgebench.report.wrong import answers_wrongly

if TYPE_CHECKING:
    from edgebench.report.model import Benchmark, Report
    from edgebench.report.quantity import Metric, Notice

# Parameters of a cell that must be equal to compare it; the counts of runs and passes may differ.
HARD_PARAMS = (
    "model_digest", "model", "variant", "operator", "backend", "precision", "batch", "threads", "isa", "image_size",
    "width", "inputs",
)  # fmt: skip
# Warnings of a report that say its figures are less sure than their runs look, and what people call them.
CAUTIONS: Mapping[str, str] = {
    "noisy": "noisy runs",
    "disturbed": "disturbed runs",
    "other-load": "other load",
    "throttled": "throttled",
    "virtualised": "a virtual machine",
    "emulated": "an emulated processor",
}
# Windows are as many as were valid; every other metric has the same number of values in every run.
_WINDOWED = ("energy_", "power_")
# What repeats to the last digit was not measured; bytes may repeat, as memory comes in pages.
_NEVER_EQUAL = ("s", "J", "W", "1/s")
_NO_RUNS = "the report holds no runs of it"
# What single precision holds; no time, energy or size of this world is beyond.
_LEAST, _MOST = 1e-30, 1e30


@dataclass(frozen=True, slots=True)
class Sample:
    """One metric of one cell of one session: `runs` has one number a run, `value` stands for them.

    `runs` are in single precision, which is finer than a clock's tick in a pass, so that a history of ten thousand
    reports holds the same numbers in half the space (docs/history.md); `value` is as the report has it.

    `fault` says why it cannot be compared; then the numbers mean nothing.
    """

    unit: str
    better: str
    runs: tuple[float, ...] = ()
    value: float = 0.0
    scope: str | None = None
    probe: str | None = None
    fault: str | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel between processes as arguments: a thousand reports are six hundred thousand samples."""
        return Sample, (self.unit, self.better, self.runs, self.value, self.scope, self.probe, self.fault)


@dataclass(frozen=True, slots=True)
class Cell:
    """One benchmark of one session. `why` is the reason of a cell that is not ``ok``.

    `wrong`: its own report says that it answers otherwise than its model, or nothing.
    """

    name: str
    status: str
    why: str | None
    hard: Mapping[str, Any]
    samples: Mapping[str, Sample]
    missing: Mapping[str, str]
    evaluated_on: str | None = None
    cautions: tuple[str, ...] = ()
    wrong: bool = False

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel between processes as arguments, as samples do."""
        parts = (self.name, self.status, self.why, self.hard, self.samples, self.missing, self.evaluated_on)
        return Cell, (*parts, self.cautions, self.wrong)


@dataclass(frozen=True, slots=True)
class Session:
    """One report as far as comparing needs it. `hard` and `soft` are its fingerprint.

    `cautions` are the codes of its own warnings about the whole session that make its figures less sure; `commit` is
    the user's, with ``-dirty`` behind it where files had been changed; `unit` tells equal boards apart.
    """

    label: str
    id: str
    created: str
    partial: bool
    cautions: tuple[str, ...]
    hard: Mapping[str, Any]
    soft: Mapping[str, Any]
    cells: Mapping[str, Cell]
    commit: str | None = None
    unit: str | None = None


def session_of(report: Report, label: str, metrics: Sequence[str]) -> Session:
    """Return what comparing needs of a report, with these metrics; `label` is what people call it."""
    hard, soft = systems_of(report)
    data = None if report.data is None else report.data.digest
    texts: dict[str, str] = {}
    cells = {benchmark.name: _cell(benchmark, data, metrics, texts) for benchmark in report.benchmarks}
    return Session(
        label=label,
        id=report.id,
        created=report.created,
        partial=report.status == "partial",
        cautions=cautions_in(report.warnings, *(("throttled",) if report.machine.throttled else ())),
        hard=hard,
        soft=soft,
        cells=cells,
        commit=report.commit,
        unit=report.machine.unit,
    )


def systems_of(report: Report) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what must be equal to compare a report, and what is listed beside a verdict."""
    hard = {"platform": report.platform, "suite": report.suite.name, **report.fingerprint.hard}
    soft: dict[str, Any] = {"edgebench": report.generator.version, **report.fingerprint.soft}
    if report.image is not None:
        soft["image"] = f"{report.image.name}@{report.image.digest}"
    return hard, soft


def cell_of(
    name: str,
    kind: str,
    status: str,
    why: str | None,
    params: Mapping[str, Any],
    samples: Mapping[str, Sample],
    missing: Mapping[str, str],
    cautions: tuple[str, ...],
    data: str | None,
) -> Cell:
    """Return one benchmark as a cell; `data` is the digest of the session's data set, a task of its own has its own."""
    hard: dict[str, Any] = {"kind": kind}
    for key in HARD_PARAMS:
        if (value := params.get(key)) is not None:
            hard[key] = value if isinstance(value, str) else str(value)
    trained = params.get("weights")
    data = str(params.get("data_digest") or data or "") or None
    evaluated_on = None if data is None else f"{data}, {trained or 'its own weights'}"
    return Cell(name, status, why, hard, samples, missing, evaluated_on, cautions)


def _cell(benchmark: Benchmark, data: str | None, metrics: Sequence[str], texts: dict[str, str]) -> Cell:
    """Return one benchmark as a cell; equal texts of a report become one object, so that a thousand reports fit."""

    def shared(text: str) -> str:
        return texts.setdefault(text, text)

    samples = {}
    for name in metrics:
        if (sample := sample_in(benchmark.metrics, name)) is not None:
            samples[name] = sample
    missing = {name: shared(benchmark.missing[name].reason) for name in metrics if name in benchmark.missing}
    params = {key: shared(value) if isinstance(value, str) else value for key, value in benchmark.params.items()}
    cautions = cautions_in(benchmark.warnings)
    why = benchmark.reason
    cell = cell_of(benchmark.name, benchmark.kind, benchmark.status, why, params, samples, missing, cautions, data)
    return replace(cell, wrong=answers_wrongly(benchmark))


def cautions_in(notices: Sequence[Notice], *more: str) -> tuple[str, ...]:
    """Return the codes of warnings that make figures less sure, each once."""
    return cautions_of_codes((*(notice.code for notice in notices), *more))


def cautions_of_codes(codes: Iterable[str]) -> tuple[str, ...]:
    """Return those codes that make figures less sure, each once."""
    return tuple(dict.fromkeys(code for code in codes if code in CAUTIONS))


def sample_in(metrics: Mapping[str, Metric], name: str) -> Sample | None:
    """Return a metric as what is compared, or None where the benchmark has none; KeyError for one that is never."""
    metric = metrics.get(name)
    base, _, suffix = name.partition(".")
    if metric is None and suffix in PERCENTILES:
        metric = metrics.get(base)
        if metric is None or metric.passes is None:
            return None
        quantiles: tuple[float, ...] = getattr(metric.passes, suffix)
        told = _unfit(quantiles, metric.unit) if quantiles else _NO_RUNS
        singles = () if told else tuple(array("f", quantiles))
        return Sample(metric.unit, metric.better, singles, median(singles) if singles else 0.0, fault=told)
    if metric is None:
        return None
    if gauge_of(name).exact:
        value = metric.median if metric.value is None else metric.value
        return Sample(metric.unit, metric.better, (), value)
    return sample_of(name, metric.unit, metric.better, metric.runs or (), metric.scope, metric.probe)


def sample_of(
    name: str,
    unit: str,
    better: str,
    runs: Sequence[Sequence[float]],
    scope: str | None = None,
    probe: str | None = None,
) -> Sample:
    """Reduce every run to one number, the median of its values; the median over runs stands for all (`middle`)."""
    windowed = name.startswith(_WINDOWED)
    lengths = sorted({len(run) for run in runs})

    def fault(text: str) -> Sample:
        return Sample(unit, better, scope=scope, probe=probe, fault=text)

    if not lengths:
        return fault(_NO_RUNS)
    if lengths[0] == 0:
        return fault("a run holds no value")
    if len(lengths) > 1 and not windowed:
        return fault(f"its runs are of unequal length, {lengths[0]} to {lengths[-1]} values")
    numbers = run_medians(runs)
    if told := _unfit(numbers, unit):
        return fault(told)
    return Sample(unit, better, tuple(array("f", numbers)), median(numbers), scope, probe)


def _unfit(numbers: Sequence[float], unit: str) -> str | None:
    """Say why numbers cannot be compared, None where they can."""
    least, most = min(numbers), max(numbers)
    if least == most == 0:
        return None
    if least <= 0:
        return "a run's value is zero or negative, so that a ratio means nothing"
    if len(numbers) > 1 and least == most and unit in _NEVER_EQUAL:
        return f"all {len(numbers)} runs gave exactly the same value, which no measurement does"
    if least < _LEAST or most > _MOST:
        return "a run's value is too small or too large to be one"
    return None
