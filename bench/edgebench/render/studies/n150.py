"""The N150 study's Table 2 beside this machine's, and whether this machine shows each published effect.

Published: *Meningkatkan Efisiensi Energi Perangkat Edge melalui Optimasi Pruning dan Kuantisasi Model* (2026),
Table 2. The figures are shown for comparison only: no result is computed from them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from edgebench.render import cells
from edgebench.render.tables import Column, Section
from edgebench.render.units import NONE, quantity, share, signed
from edgebench.report.intervals import wilson
from edgebench.report.model import Benchmark, Contrast, Report

Verdict = Literal["shown", "not shown", "cannot tell", "not measured"]
# An effect published as none counts as shown when the interval leaves no room for more than this, in per cent or
# points: the margin below which the project's gate ignores a change as well.
NEGLIGIBLE = 1.0


@dataclass(frozen=True, slots=True)
class Published:
    """One figure of the table and half a unit of its last digit, both in the metric's unit."""

    value: float
    rounding: float


# The study writes MB: the state dict of its baseline has 9,186,443 bytes, which are 8.76 of 2^20.
_MIB = 2**20

# Variant of this project: (name in the study, its row of Table 2).
CONFIGURATIONS: Mapping[str, tuple[str, Mapping[str, Published]]] = {
    variant: (
        name,
        {
            "latency_s": Published(latency_s, 5e-5),
            "energy_gross_j": Published(energy_j, 5e-4),
            "accuracy_top1": Published(accuracy, 5e-5),
            "size_bytes": Published(size_mib * _MIB, 0.005 * _MIB),
        },
    )
    for variant, name, accuracy, latency_s, energy_j, size_mib in (
        ("baseline", "Baseline", 0.8562, 0.0458, 0.465, 8.76),
        ("prune40", "Prune40", 0.8666, 0.0376, 0.462, 8.76),
        ("ptq-dynamic", "QuantINT8", 0.8563, 0.0428, 0.465, 8.73),
        ("prune40+ptq-dynamic", "Prune+Quant", 0.8647, 0.0375, 0.491, 8.73),
    )
}


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
        _effect(report, rows, variant, metric)
        for metric in ("latency_s", "energy_gross_j", "accuracy_top1", "size_bytes")
        for variant in CONFIGURATIONS
        if variant != "baseline"
    )
    data = report.data
    other = data is not None and "cifar" not in data.name.lower()
    note = f"accuracy here is on {data.name}, the study's on CIFAR-10: another task" if data and other else ""
    return Study(rows, effects, note)


def published_effect(variant: str, metric: str) -> tuple[float, tuple[float, float]]:
    """Return an effect computed from the published table, and the band that the table's rounding leaves it."""
    base, head = CONFIGURATIONS["baseline"][1][metric], CONFIGURATIONS[variant][1][metric]
    if metric == "accuracy_top1":
        slack = base.rounding + head.rounding
        return _points(head.value - base.value), (
            _points(head.value - base.value - slack),
            _points(head.value - base.value + slack),
        )
    return _percent(head.value / base.value), (
        _percent((head.value - head.rounding) / (base.value + base.rounding)),
        _percent((head.value + head.rounding) / (base.value - base.rounding)),
    )


def judge(
    band: tuple[float, float], measured: float, interval: tuple[float, float] | None, *, exact: bool
) -> tuple[Verdict, str]:
    """Say whether a measured effect shows a published one, and why.

    Shown: the interval meets the band and excludes no effect (or, where the band holds no effect, leaves no room for
    more than NEGLIGIBLE). Not shown: the interval excludes the band. Else it cannot be told.
    """
    if interval is None:
        if not exact:
            return "cannot tell", "one pair of runs, or runs that do not differ, give no interval"
        inside = band[0] <= measured <= band[1]
        return ("shown", "exact") if inside else ("not shown", f"exactly {signed(measured, 2)}")
    low, high = interval
    told = f"[{signed(low, 2)}, {signed(high, 2)}]"
    if high < band[0] or low > band[1]:
        return "not shown", f"interval {told} excludes it"
    if band[0] <= 0 <= band[1]:
        narrow = max(-low, high) <= NEGLIGIBLE
        return ("shown", f"interval {told}") if narrow else ("cannot tell", f"interval {told} too wide")
    if low <= 0 <= high:
        return "cannot tell", f"interval {told} too wide: it holds no effect as well"
    return "shown", f"interval {told}"


def study_section(study: Study) -> Section:
    """Return Table 2 with this machine's values and intervals, and the verdict on each published effect."""
    effects = study.effects
    verdicts = (
        Column(
            "effect",
            tuple(f"{e.configuration}, {_TITLES.get(e.metric, cells.title(e.metric))}" for e in effects),
            "left",
        ),
        Column("published", tuple(_amount(effect.published, effect.metric) for effect in effects)),
        Column("here", tuple(_amount(effect.measured, effect.metric) for effect in effects)),
        Column("verdict", tuple(f"{e.verdict}: {e.why}" if e.why else e.verdict for e in effects), "left", wrap=True),
    )
    notes = (
        "published: the study's Table 2, an N150 with other data; shown for comparison only",
        "± of a latency: half the 95 % interval over runs; of an energy: one sigma; [] of an accuracy: 95 % (Wilson)",
    )
    return Section(
        "The study", (_table_2(study), verdicts), notes=notes + ((study.data_note,) if study.data_note else ())
    )


def _table_2(study: Study) -> tuple[Column, ...]:
    names: list[str] = []
    columns: dict[str, list[str]] = {metric: [] for metric in CONFIGURATIONS["baseline"][1]}
    for variant, (name, published) in CONFIGURATIONS.items():
        row = study.rows.get(variant)
        names += [name, "  published"]
        for metric, column in columns.items():
            column.append(NONE if row is None else _measured(row, metric))
            column.append(_published(published[metric], metric))
    return (
        Column("configuration", tuple(names), "left"),
        *(Column(cells.title(metric), tuple(column)) for metric, column in columns.items()),
    )


def _measured(row: Benchmark, metric: str) -> str:
    if metric == "size_bytes":
        return cells.size_cell(row)
    figure = row.metrics.get(metric)
    if metric == "accuracy_top1" and figure is not None and figure.ci95 is None and figure.images:
        right = cells.headline(figure)
        if 0 <= right <= 1:
            low, high = wilson(round(right * figure.images), figure.images)
            return f"{share(right)} [{100 * low:.1f}, {100 * high:.1f}]"
    return cells.metric_cell(row, metric)


def _published(figure: Published, metric: str) -> str:
    if metric == "accuracy_top1":
        return share(figure.value)
    return quantity(figure.value, {"latency_s": "s", "energy_gross_j": "J", "size_bytes": "B"}[metric])


def _rows(report: Report) -> dict[str, Benchmark]:
    """The study ran MobileNetV2 with torch eager, one image a pass; take the group that holds its baseline."""
    fitting = [
        row
        for row in report.benchmarks
        if row.kind == "inference"
        and row.status == "ok"
        and row.params.get("model") == "mobilenet_v2"
        and row.params.get("backend") == "torch"
        and row.params.get("batch", 1) == 1
        and row.params.get("width", 1.0) == 1.0
        and row.params.get("variant") in CONFIGURATIONS
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
    name = CONFIGURATIONS[variant][0]
    head = rows.get(variant)
    contrast = None if head is None else _contrast(report.contrasts, metric, rows["baseline"].name, head.name)
    if contrast is None:
        return Effect(name, metric, published, band, None, None, "not measured", _reason(rows, head, metric))
    scale = _points if contrast.ratio is None else _percent
    measured = scale((contrast.difference or 0.0) if contrast.ratio is None else contrast.ratio)
    interval = None if contrast.ci95 is None else (scale(contrast.ci95[0]), scale(contrast.ci95[1]))
    verdict, why = judge(band, measured, interval, exact=contrast.method == "exact")
    return Effect(name, metric, published, band, measured, interval, verdict, why)


def _contrast(contrasts: Sequence[Contrast], metric: str, base: str, head: str) -> Contrast | None:
    return next((c for c in contrasts if (c.metric, c.base, c.head) == (metric, base, head)), None)


def _reason(rows: Mapping[str, Benchmark], head: Benchmark | None, metric: str) -> str:
    for row in (head, rows["baseline"]):
        if row is not None and (missing := row.missing.get(metric)) is not None:
            return missing.reason
    return "" if head is not None else "the variant is not in this report"


def _amount(value: float | None, metric: str) -> str:
    if value is None:
        return NONE
    return f"{signed(value, 2)} points" if metric == "accuracy_top1" else f"{signed(value, 1)} %"


def _percent(ratio: float) -> float:
    return 100 * (ratio - 1)


def _points(difference: float) -> float:
    # The table has two decimals of a per cent: what lies below is the rounding of binary fractions.
    return round(100 * difference, 9)
