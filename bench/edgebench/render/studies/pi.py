"""The Raspberry Pi study's table beside this machine's, and whether this machine shows each published effect.

The published figures stand in edgebench_suites/studies/pi.toml, for comparison only: no result comes from them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgebench.render import cells
from edgebench.render.studies.common import contrast_of, model_name, models_of
from edgebench.render.tables import Column, Section
from edgebench.render.units import NONE, TIMES, figure, quantity, share, signed
from edgebench.report.model import Benchmark, Report
from edgebench_suites.published import study

# What the study calls "not optimised" and "optimised", as variants of a .tflite file here.
PLAIN, OPTIMISED = "baseline", "prune50+ptq-static"
_KILO = 1024


@dataclass(frozen=True, slots=True)
class Effect:
    """One published effect against this machine's: ratios of optimised to not optimised, accuracy in points."""

    model: str
    metric: str
    published: float
    measured: float | None
    interval: tuple[float, float] | None
    verdict: str


def pi_section(report: Report) -> Section | None:
    """Return the study's part of a report, or None where the report has none."""
    rows = _rows(report)
    if report.suite.study != "pi" or not rows:
        return None
    effects = effects_of(report)
    notes = [
        f"published: the study's table, {study('pi').hardware}; for comparison only",
        "optimised here: half of the weights zeroed, head fine-tuned, full-integer INT8; kB are 1,024 bytes",
        "8 of 32 bits leave 25 % of a file: the published 13.74 % of ResNet50 is more than quantising the same network",
        "size of a torch row: its serialised weights; speed-up and size ratio: against the FP32 .tflite of the model",
    ]
    if report.data is not None and not report.data.name.startswith("images"):
        notes.append(f"accuracy here is on {report.data.name}, another task than the study's")
    tables = [_table(report, rows)]
    if effects:
        tables.append(_verdicts(effects))
    return Section("The study", tuple(tables), notes=tuple(notes))


def effects_of(report: Report) -> list[Effect]:
    """Return the published effects of the models that this report holds in both forms."""
    found = []
    for model in dict.fromkeys(row.model for row in study("pi").rows):
        plain, optimised = (_of(report, model, variant) for variant in (PLAIN, OPTIMISED))
        if plain is None or optimised is None:
            continue
        for metric in ("latency_s", "size_bytes", "accuracy_top1"):
            ratio = published_effect(model, metric)
            contrast = contrast_of(report.contrasts, metric, plain.name, optimised.name)
            measured = None if contrast is None else contrast.difference if contrast.ratio is None else contrast.ratio
            interval = None if contrast is None else contrast.ci95
            verdict = judge(metric, ratio, measured, interval)
            found.append(Effect(model, metric, ratio, measured, interval, verdict))
    return found


def published_effect(model: str, metric: str) -> float:
    """Return optimised over not optimised as published; of accuracy, their difference as a share."""
    plain, optimised = (_figure(model, variant, metric) for variant in (PLAIN, OPTIMISED))
    return optimised - plain if metric == "accuracy_top1" else optimised / plain


def _figure(model: str, variant: str, metric: str) -> float:
    row = study("pi").row(model, variant)
    if row is None:
        raise KeyError(f"{model} {variant}")
    return row.figures[metric].value


def judge(metric: str, published: float, measured: float | None, interval: tuple[float, float] | None) -> str:
    """Say whether a measured effect goes the published way.

    Another machine and task cannot give the same figure, so the direction is judged, where the interval is sure of
    it. A size is exact; it is as published within a tenth. An unchanged accuracy may have lost up to a point.
    """
    if measured is None:
        return "not measured"
    if metric == "size_bytes":
        return "as published" if abs(measured / published - 1) <= 0.1 else "another ratio"
    if interval is None:
        return "cannot be told: too few runs for an interval"
    low, high = interval
    if metric == "accuracy_top1":
        lower = "lower, unlike published" if high < 0 else "cannot be told: too few images"
        return "kept, as published" if low >= -0.01 else lower
    if low <= 1 <= high:
        return "cannot be told: the interval holds no change"
    same = (high < 1) == (published < 1)
    return f"{'faster' if high < 1 else 'slower'}, {'as' if same else 'unlike'} published"


def _table(report: Report, rows: Sequence[Benchmark]) -> tuple[Column, ...]:
    names: list[str] = []
    columns: dict[str, list[str]] = {
        key: [] for key in ("accuracy", "loss", "latency", "file\nkB", "load", "speed-up", "size\nratio")
    }
    for row in rows:
        names.append(_name(row))
        plain = _of(report, str(row.params["model"]), PLAIN, row)
        values = [
            cells.metric_cell(row, "accuracy_top1"),
            cells.metric_cell(row, "loss"),
            cells.metric_cell(row, "latency_s"),
            _kilobytes(row),
            cells.metric_cell(row, "load_s"),
            NONE if plain is None or plain is row else _speed_up(report, plain, row),
            NONE if plain is None or plain is row else _size_ratio(plain, row),
        ]
        for column, value in zip(columns.values(), values, strict=True):
            column.append(value)
        known = study("pi").row(str(row.params["model"]), str(row.params["variant"]))
        if known is None or row.params.get("backend") != "litert":
            continue
        names.append(f"  published, {known.name}")
        changed = known.variant != PLAIN
        told = [
            share(known.figures["accuracy_top1"].value),
            NONE,
            quantity(known.figures["latency_s"].value, "s"),
            f"{known.figures['size_bytes'].value / _KILO:,.0f}",
            NONE,
            f"{figure(1 / published_effect(known.model, 'latency_s'))} {TIMES}" if changed else NONE,
            f"{published_effect(known.model, 'size_bytes'):.2%}" if changed else NONE,
        ]
        for column, value in zip(columns.values(), told, strict=True):
            column.append(value)
    return (
        Column("configuration", tuple(names), "left"),
        *(Column(header, tuple(column)) for header, column in columns.items()),
    )


def _verdicts(effects: Sequence[Effect]) -> tuple[Column, ...]:
    def amount(effect: Effect, value: float | None) -> str:
        if value is None:
            return NONE
        if effect.metric == "accuracy_top1":
            return f"{signed(100 * value, 2)} points"
        return f"{figure(1 / value)} {TIMES} faster" if effect.metric == "latency_s" else f"{value:.2%}"

    def interval(effect: Effect) -> str:
        if effect.interval is None:
            return NONE
        low, high = effect.interval
        if effect.metric == "accuracy_top1":
            return f"[{signed(100 * low, 2)}, {signed(100 * high, 2)}]"
        return f"[{figure(1 / high)}, {figure(1 / low)}] {TIMES}" if effect.metric == "latency_s" else NONE

    return (
        Column("effect of optimising", tuple(f"{e.model}, {cells.title(e.metric)}" for e in effects), "left"),
        Column("published", tuple(amount(effect, effect.published) for effect in effects)),
        Column("here", tuple(amount(effect, effect.measured) for effect in effects)),
        Column("95 % interval", tuple(interval(effect) for effect in effects)),
        Column("verdict", tuple(effect.verdict for effect in effects), "left", wrap=True),
    )


def _rows(report: Report) -> list[Benchmark]:
    fitting = [
        row
        for row in report.benchmarks
        if row.kind == "inference" and row.status == "ok" and row.params.get("backend") in {"torch", "litert"}
    ]
    models = models_of(fitting)
    return sorted(fitting, key=lambda row: models.index(model_name(row)))


def _of(report: Report, model: str, variant: str, like: Benchmark | None = None) -> Benchmark | None:
    """Return the .tflite file of a model's variant, interleaved with the row `like` where that is given."""
    for row in report.benchmarks:
        same = (row.params.get("model"), row.params.get("variant"), row.params.get("backend"))
        near = row.group == like.group if like is not None else row.params.get("width", 1.0) == 1.0
        if row.status == "ok" and row.kind == "inference" and same == (model, variant, "litert") and near:
            return row
    return None


def _name(row: Benchmark) -> str:
    return f"{model_name(row)} {row.params['variant']} {'torch' if row.params['backend'] == 'torch' else '.tflite'}"


def _kilobytes(row: Benchmark) -> str:
    metric = row.metrics.get("size_bytes")
    return NONE if metric is None else f"{cells.headline(metric) / _KILO:,.0f}"


def _speed_up(report: Report, plain: Benchmark, row: Benchmark) -> str:
    contrast = contrast_of(report.contrasts, "latency_s", plain.name, row.name)
    if contrast is not None and contrast.ratio:
        return f"{figure(1 / contrast.ratio)} {TIMES}"
    times = [one.metrics.get("latency_s") for one in (plain, row)]
    if times[0] is None or times[1] is None or not times[1].median:
        return NONE
    return f"{figure(times[0].median / times[1].median)} {TIMES}"


def _size_ratio(plain: Benchmark, row: Benchmark) -> str:
    sizes = [one.metrics.get("size_bytes") for one in (plain, row)]
    if sizes[0] is None or sizes[1] is None or not sizes[0].mean:
        return NONE
    return f"{sizes[1].mean / sizes[0].mean:.2%}"
