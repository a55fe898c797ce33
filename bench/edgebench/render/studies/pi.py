"""The Raspberry Pi study's table beside this machine's, and whether this machine shows each published effect.

Published: *Optimasi Model Deep Learning untuk Raspberry menggunakan Pruning dan Kuantisasi* (2024), Raspberry Pi 4,
two classes, 150 images. The figures are shown for comparison only: no result is computed from them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edgebench.render import cells
from edgebench.render.tables import Column, Section
from edgebench.render.units import NONE, TIMES, figure, quantity, share, signed
from edgebench.report.intervals import wilson
from edgebench.report.model import Benchmark, Contrast, Report

# What the study calls "not optimised" and "optimised", as variants of a .tflite file here. Its pruning share is not
# published; 50 % stands for it.
PLAIN, OPTIMISED = "baseline", "prune50+ptq-static"
_NAMES = {PLAIN: "not optimised", OPTIMISED: "optimised"}
_KILO = 1024


@dataclass(frozen=True, slots=True)
class Published:
    """One row of the table: accuracy as a share, seconds a picture, kB of the file (of 1,024 bytes)."""

    accuracy: float
    latency_s: float
    file_kb: int


PUBLISHED: Mapping[str, Mapping[str, Published]] = {
    "vgg19": {PLAIN: Published(1.0, 4.3748, 94_622), OPTIMISED: Published(1.0, 4.4706, 23_810)},
    "resnet50": {PLAIN: Published(1.0, 3.2024, 292_599), OPTIMISED: Published(1.0, 1.11791, 40_210)},
}


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
        "published: the study's table, a Raspberry Pi 4 with faces with and without a mask; for comparison only",
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
    for model, published in PUBLISHED.items():
        plain, optimised = (_of(report, model, variant) for variant in (PLAIN, OPTIMISED))
        if plain is None or optimised is None:
            continue
        before, after = published[PLAIN], published[OPTIMISED]
        for metric, ratio in (
            ("latency_s", after.latency_s / before.latency_s),
            ("size_bytes", after.file_kb / before.file_kb),
            ("accuracy_top1", after.accuracy - before.accuracy),
        ):
            contrast = _contrast(report.contrasts, metric, plain.name, optimised.name)
            measured = None if contrast is None else contrast.difference if contrast.ratio is None else contrast.ratio
            interval = None if contrast is None else contrast.ci95
            verdict = judge(metric, ratio, measured, interval)
            found.append(Effect(model, metric, ratio, measured, interval, verdict))
    return found


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
        return "cannot tell: too few runs for an interval"
    low, high = interval
    if metric == "accuracy_top1":
        lower = "lower, unlike published" if high < 0 else "cannot tell: too few images"
        return "kept, as published" if low >= -0.01 else lower
    if low <= 1 <= high:
        return "cannot tell: the interval holds no change"
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
            _accuracy(row),
            cells.metric_cell(row, "loss"),
            cells.metric_cell(row, "latency_s"),
            _kilobytes(row),
            cells.metric_cell(row, "load_s"),
            NONE if plain is None or plain is row else _speed_up(report, plain, row),
            NONE if plain is None or plain is row else _size_ratio(plain, row),
        ]
        for column, value in zip(columns.values(), values, strict=True):
            column.append(value)
        variant = str(row.params["variant"])
        known = PUBLISHED.get(str(row.params["model"]), {}).get(variant)
        if known is None or row.params.get("backend") != "litert":
            continue
        names.append(f"  published, {_NAMES[variant]}")
        first = PUBLISHED[str(row.params["model"])][PLAIN]
        changed = known is not first
        told = [
            share(known.accuracy),
            NONE,
            quantity(known.latency_s, "s"),
            f"{known.file_kb:,}",
            NONE,
            f"{figure(first.latency_s / known.latency_s)} {TIMES}" if changed else NONE,
            f"{known.file_kb / first.file_kb:.2%}" if changed else NONE,
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
    models = list(dict.fromkeys(_model(row) for row in fitting))
    return sorted(fitting, key=lambda row: models.index(_model(row)))


def _of(report: Report, model: str, variant: str, like: Benchmark | None = None) -> Benchmark | None:
    """Return the .tflite file of a model's variant, interleaved with the row `like` where that is given."""
    for row in report.benchmarks:
        same = (row.params.get("model"), row.params.get("variant"), row.params.get("backend"))
        near = row.group == like.group if like is not None else row.params.get("width", 1.0) == 1.0
        if row.status == "ok" and row.kind == "inference" and same == (model, variant, "litert") and near:
            return row
    return None


def _model(row: Benchmark) -> str:
    width = row.params.get("width", 1.0)
    return f"{row.params['model']}" if width == 1.0 else f"{row.params['model']}-{width:g}"


def _name(row: Benchmark) -> str:
    return f"{_model(row)} {row.params['variant']} {'torch' if row.params['backend'] == 'torch' else '.tflite'}"


def _accuracy(row: Benchmark) -> str:
    metric = row.metrics.get("accuracy_top1")
    if metric is None or not metric.images:
        return cells.metric_cell(row, "accuracy_top1")
    right = cells.headline(metric)
    low, high = wilson(round(right * metric.images), metric.images)
    return f"{share(right)} [{100 * low:.1f}, {100 * high:.1f}]"


def _kilobytes(row: Benchmark) -> str:
    metric = row.metrics.get("size_bytes")
    return NONE if metric is None else f"{cells.headline(metric) / _KILO:,.0f}"


def _speed_up(report: Report, plain: Benchmark, row: Benchmark) -> str:
    contrast = _contrast(report.contrasts, "latency_s", plain.name, row.name)
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


def _contrast(contrasts: Sequence[Contrast], metric: str, base: str, head: str) -> Contrast | None:
    return next((c for c in contrasts if (c.metric, c.base, c.head) == (metric, base, head)), None)
