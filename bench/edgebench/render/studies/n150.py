"""The N150 study's Table 2 beside this machine's, and whether this machine shows each published effect.

The published figures stand in edgebench_suites/studies/n150.toml, for comparison only: no result comes from them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from edgebench.render import cells
from edgebench.render.studies.common import contrast_of, judge, to_percent
from edgebench.render.tables import Column, Section
from edgebench.render.units import NONE, quantity, share, signed
from edgebench.report.model import Benchmark, Report
from edgebench_suites.published import Figure, Row, study

Verdict = Literal["seen here", "not seen here", "cannot be told", "not measured"]
MODEL = "mobilenet_v2"
PUBLISHED: Mapping[str, Row] = {row.variant: row for row in study("n150").rows}
METRICS = ("latency_s", "energy_gross_j", "accuracy_top1", "size_bytes")
_TITLES = {"energy_gross_j": "energy"}


@dataclass(frozen=True, slots=True)
class Effect:
    """One published effect against this machine's; all figures in per cent (accuracy: percentage points).

    `band` is what the published table's rounding leaves open. `measured` and `interval` are this machine's.
    """

    configuration: str
    metric: str
    published: float
    band: tuple[float, float]
    measured: float | None
    interval: tuple[float, float] | None
    verdict: Verdict
    why: str


@dataclass(frozen=True, slots=True)
class Study:
    """The study on this machine: the benchmarks that stand for its configurations, by variant, and the effects."""

    rows: Mapping[str, Benchmark]
    effects: tuple[Effect, ...]
    data_note: str


def study_of(report: Report) -> Study | None:
    """Return the N150 study's part of a report, or None where the report has none."""
    if report.suite.study != "n150" and not report.suite.name.startswith("n150"):
        return None
    rows = _rows(report)
    if "baseline" not in rows:
        return None
    effects = tuple(
        _effect(report, rows, variant, metric) for metric in METRICS for variant in PUBLISHED if variant != "baseline"
    )
    data = report.data
    other = data is not None and "cifar" not in data.name.lower()
    note = f"accuracy here is on {data.name}, the study's on CIFAR-10: another task" if data and other else ""
    return Study(rows, effects, note)


def published_effect(variant: str, metric: str) -> tuple[float, tuple[float, float]]:
    """Return an effect computed from the published table, and the band that the table's rounding leaves it."""
    base, head = (PUBLISHED[name].figures[metric] for name in ("baseline", variant))
    if metric == "accuracy_top1":
        slack = base.rounding + head.rounding
        return _points(head.value - base.value), (
            _points(head.value - base.value - slack),
            _points(head.value - base.value + slack),
        )
    return to_percent(head.value / base.value), (
        to_percent((head.value - head.rounding) / (base.value + base.rounding)),
        to_percent((head.value + head.rounding) / (base.value - base.rounding)),
    )


def study_section(found: Study) -> Section:
    """Return Table 2 with this machine's values and intervals, and the verdict on each published effect."""
    effects = found.effects
    verdicts = (
        Column(
            "effect",
            tuple(f"{e.configuration}, {_TITLES.get(e.metric, cells.title(e.metric))}" for e in effects),
            "left",
        ),
        Column("published", tuple(_amount(effect.published, effect.metric) for effect in effects)),
        Column("here", tuple(map(_here, effects))),
        Column("verdict", tuple(f"{e.verdict}: {e.why}" if e.why else e.verdict for e in effects), "left", wrap=True),
    )
    notes = (
        f"published: the study's Table 2, {study('n150').hardware}; shown for comparison only",
        "sizes in the study's MB of 2^20 bytes; [95 % interval], of an accuracy Wilson's",
    )
    return Section(
        "The study", (_table_2(found), verdicts), notes=notes + ((found.data_note,) if found.data_note else ())
    )


def _table_2(found: Study) -> tuple[Column, ...]:
    names: list[str] = []
    columns: dict[str, list[str]] = {metric: [] for metric in METRICS}
    for variant, published in PUBLISHED.items():
        row = found.rows.get(variant)
        names += [published.name, "  published"]
        for metric, column in columns.items():
            column.append(NONE if row is None else _measured(row, metric))
            column.append(_published(published.figures[metric], metric))
    return (
        Column("configuration", tuple(names), "left"),
        *(Column(cells.title(metric), tuple(column)) for metric, column in columns.items()),
    )


def _measured(row: Benchmark, metric: str) -> str:
    if metric == "size_bytes":
        size = row.metrics.get(metric)
        return NONE if size is None else _megabytes(cells.headline(size))
    return cells.metric_cell(row, metric)


def _published(figure: Figure, metric: str) -> str:
    if metric == "accuracy_top1":
        return share(figure.value)
    if metric == "size_bytes":
        return _megabytes(figure.value)
    return quantity(figure.value, {"latency_s": "s", "energy_gross_j": "J"}[metric])


def _megabytes(size_bytes: float) -> str:
    """Return a size in the study's own unit: it writes MB and means 2^20 bytes."""
    return f"{size_bytes / 2**20:.2f} MB"


def _rows(report: Report) -> dict[str, Benchmark]:
    """The study ran MobileNetV2 with torch eager, one image a pass; take the group that holds its baseline."""
    fitting = [
        row
        for row in report.benchmarks
        if row.kind == "inference"
        and row.status == "ok"
        and row.params.get("model") == MODEL
        and row.params.get("backend") == "torch"
        and row.params.get("batch", 1) == 1
        and row.params.get("width", 1.0) == 1.0
        and row.params.get("variant") in PUBLISHED
    ]
    baselines = [row for row in fitting if row.params["variant"] == "baseline"]
    if not baselines:
        return {}
    baseline = min(baselines, key=lambda row: row.params.get("isa", "none") != "none")  # without an ISA ceiling first
    found: dict[str, Benchmark] = {"baseline": baseline}
    for row in fitting:
        if row.group == baseline.group:
            found.setdefault(str(row.params["variant"]), row)
    return found


def _effect(report: Report, rows: Mapping[str, Benchmark], variant: str, metric: str) -> Effect:
    published, band = published_effect(variant, metric)
    name = PUBLISHED[variant].name
    head = rows.get(variant)
    contrast = None if head is None else contrast_of(report.contrasts, metric, rows["baseline"].name, head.name)
    if contrast is None:
        return Effect(name, metric, published, band, None, None, "not measured", _reason(rows, head, metric))
    scale = _points if contrast.ratio is None else to_percent
    measured = scale((contrast.difference or 0.0) if contrast.ratio is None else contrast.ratio)
    interval = None if contrast.ci95 is None else (scale(contrast.ci95[0]), scale(contrast.ci95[1]))
    verdict, why = judge(band, measured, interval, exact=contrast.method == "exact")
    return Effect(name, metric, published, band, measured, interval, verdict, why)


def _reason(rows: Mapping[str, Benchmark], head: Benchmark | None, metric: str) -> str:
    for row in (head, rows["baseline"]):
        if row is not None and (missing := row.missing.get(metric)) is not None:
            return missing.reason
    return "" if head is not None else "the variant is not in this report"


def _here(effect: Effect) -> str:
    """Return what was measured and between what it lies."""
    shown = _amount(effect.measured, effect.metric)
    if effect.interval is None:
        return shown
    digits = 2 if effect.metric == "accuracy_top1" else 1
    return f"{shown}\n[{signed(effect.interval[0], digits)}, {signed(effect.interval[1], digits)}]"


def _amount(value: float | None, metric: str) -> str:
    if value is None:
        return NONE
    return f"{signed(value, 2)} points" if metric == "accuracy_top1" else f"{signed(value, 1)} %"


def _points(difference: float) -> float:
    # The table has two decimals of a per cent: what lies below is the rounding of binary fractions.
    return round(100 * difference, 9)
