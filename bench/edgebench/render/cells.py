"""From a benchmark to the words of a table: short labels, figures with their errors, reasons for what is missing."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from edgebench.render.titles import TITLES
from edgebench.render.units import NONE, TIMES, TO, figure, percent, points, quantity, share, signed, with_interval
from edgebench.report.catalogue import METRICS
from edgebench.report.intervals import MIN_RUNS, Spread, middle, spread_of, wilson
from edgebench.report.model import Benchmark, Contrast, Report
from edgebench.report.quantity import Metric, Missing, Notice

_AXES = (
    "model",
    "operator",
    "variant",
    "backend",
    "precision",
    "isa",
    "batch",
    "threads",
    "image_size",
    "width",
    "prompt_tokens",
    "generate",
)
_WORDS = {
    "batch": "batch {}",
    "image_size": "{} px",
    "width": "width {}",
    "isa": "ISA ceiling {}",
    "prompt_tokens": "prompt {}",
    "generate": "answer {}",
}
# Metrics whose unit says less than people want to read.
_UNITS = {
    "operations_per_s": "OP/s",
    "operational_intensity": "OP/B",
    "prefill_tokens_per_s": "tokens/s",
    "decode_tokens_per_s": "tokens/s",
}
# Shares that are not judged, beside those that are.
_SHARES = frozenset({"roofline_fraction", "pixel_accuracy", "agreement_map50"})
# What is odd about a metric's runs, beside its figure; the whole sentence is a warning of the report.
_ODD = {"outlying": "outlying runs", "bimodal": "two levels"}


@dataclass(frozen=True, slots=True)
class Labels:
    """Short row names by benchmark name, and what all rows have in common."""

    names: Mapping[str, str]
    common: str


def title(metric: str) -> str:
    """Return a metric's name for people; a scope suffix stays visible."""
    name, _, scope = metric.partition(".")
    shown = TITLES.get(name, name.replace("_", " "))
    return f"{shown} ({scope})" if scope else shown


def labels(benchmarks: Sequence[Benchmark], without: Iterable[str] = ()) -> Labels:
    """Name each benchmark by the parameters that differ between them; by its full name where that is not enough."""
    left_out = set(without)
    values = {axis: [_axis(axis, benchmark) for benchmark in benchmarks] for axis in _AXES}
    varying = [axis for axis in _AXES if axis not in left_out and len(set(values[axis])) > 1]
    if not varying:
        varying = [axis for axis in ("model", "operator") if any(values[axis])]
    shown = [" ".join(part for axis in varying if (part := values[axis][row])) for row in range(len(benchmarks))]
    told_of = [axis for axis in _AXES if axis not in varying and axis not in left_out]
    same = [values[axis][0] for axis in told_of if len(set(values[axis])) == 1]
    told = [(shown[row], *(values[axis][row] for axis in left_out if axis in values)) for row in range(len(benchmarks))]
    enough = len(set(told)) == len(told) and all(shown)
    names = {benchmark.name: shown[row] if enough else benchmark.name for row, benchmark in enumerate(benchmarks)}
    return Labels(names, " · ".join(part for part in same if part) if enough else "")


def _axis(axis: str, benchmark: Benchmark) -> str:
    value = benchmark.params.get(axis)
    if value is None or (axis, value) in {("width", 1.0), ("isa", "none")}:
        return ""
    if axis == "model" and benchmark.params.get("operator") is not None:
        return ""
    if axis == "threads":
        return f"{value} thread" + ("" if value == 1 else "s")
    return _WORDS.get(axis, "{}").format(value)


def spread(metric: Metric) -> Spread | None:
    """Return how a metric's runs differ, with the systematic part of its measurement; None of a single value."""
    if not metric.runs or not all(metric.runs):
        return None
    return spread_of(metric.runs, metric.systematic or 0.0)


def metric_cell(benchmark: Benchmark, name: str) -> str:
    """Return a metric with its 95 % interval beneath it, and what is odd about its runs; a dash where there is none."""
    metric = benchmark.metrics.get(name)
    return (
        NONE
        if metric is None
        else figure_cell(metric, as_share=is_share(name), unit=_UNITS.get(name.partition(".")[0]))
    )


def unit_of(name: str, given: str | None = None) -> str:
    """Return the unit in which people read a metric; `given`, or 1, of one that is not in the catalogue."""
    base = name.partition(".")[0]
    return _UNITS.get(base) or given or (METRICS[base].unit if base in METRICS else "1")


def figure_cell(metric: Metric, *, as_share: bool = False, unit: str | None = None) -> str:
    """Return a figure, then its interval in brackets, or its range and how many runs in parentheses, then remarks.

    Line breaks stand where a narrow table may break.
    """
    value, unit = headline(metric), unit or metric.unit
    found = spread(metric)
    if found is None:
        return share_cell(value, metric.images) if as_share else quantity(value, unit)
    ends = found.ci95 or found.range
    if as_share:
        value, ends, unit = 100 * value, (100 * ends[0], 100 * ends[1]), "%"
    shown, low, high = with_interval(value, ends, unit)
    runs = f"{found.runs} run{'s' if found.runs != 1 else ''}"
    kinds = {remark.kind for remark in found.remarks}
    runs += ", drifting" if "trending" in kinds else ""
    odd = [words for kind, words in _ODD.items() if kind in kinds]
    if found.ci95 is not None:
        within = f"[{low}, {high}]" if low else ""
    else:
        within = f"({low}{TO}{high}, {runs})" if low else f"({runs})" * (found.runs < MIN_RUNS)
    return "\n".join(part for part in (shown, within, *odd) if part)


def share_cell(value: float, images: int | None) -> str:
    """Return a share in per cent, with Wilson's 95 % interval over the images where their number is known."""
    if (ends := share_interval(value, images)) is None:
        return share(value)
    return f"{share(value)}\n[{100 * ends[0]:.1f}, {100 * ends[1]:.1f}]"


def share_interval(value: float, images: int | None) -> tuple[float, float] | None:
    """Return Wilson's 95 % interval of a share of so many images, the share within it; None where nobody knows."""
    if not images or not 0 <= value <= 1:
        return None
    low, high = wilson(round(value * images), images)
    return min(low, value), max(high, value)


def is_share(name: str) -> bool:
    """Tell whether a metric is a share, 0 to 1, that people read in per cent."""
    base = name.partition(".")[0]
    info = METRICS.get(base)
    return base in _SHARES or (info is not None and info.gauge is not None and info.gauge.absolute)


def headline(metric: Metric) -> float:
    """Return the one figure that stands for a metric: its value, or the median over runs of the runs' medians."""
    if metric.value is not None:
        return metric.value
    return middle(metric.runs) if metric.runs and all(metric.runs) else metric.median


def tail_cell(benchmark: Benchmark, name: str = "latency_s") -> str:
    """Return the 95th percentile of single passes."""
    metric = benchmark.metrics.get(name)
    return NONE if metric is None else quantity(metric.p95, metric.unit)


def size_cell(benchmark: Benchmark) -> str:
    """Return the size on disk, from the metric or the artifact."""
    if (metric := benchmark.metrics.get("size_bytes")) is not None:
        return quantity(headline(metric), "B")
    return NONE if benchmark.artifact is None else quantity(benchmark.artifact.size_bytes, "B")


def layers_cell(benchmark: Benchmark) -> str:
    """Return how many executed layers ran in INT8, the evidence for a speed-up or its absence."""
    layers = benchmark.layers
    return NONE if layers is None or layers.int8 is None else f"{layers.int8} of {layers.total}"


def scope_of(benchmarks: Iterable[Benchmark], name: str) -> str:
    """Return the scope that all benchmarks' metric has, or ''; with its probe where another one has that scope too."""
    scopes = set()
    for benchmark in benchmarks:
        if (metric := benchmark.metrics.get(name)) is not None:
            label = f"{metric.scope}:{metric.probe}"
            several = f"{name}.{label}" in benchmark.metrics or f"{name}.{label}" in benchmark.missing
            scopes.add(label if several else metric.scope)
    return next(iter(scopes)) or "" if len(scopes) == 1 else ""


def contrast_cell(contrast: Contrast | None) -> str:
    """Return a contrast as a change with its interval, ``+5.6 % [+4.9, +6.3]``, or in points for accuracy.

    Without an interval it is the bare ratio with the range of its pairs, and how many there are.
    """
    if contrast is None:
        return NONE
    pairs = f"{contrast.pairs} run{'s' if contrast.pairs != 1 else ''}"
    if contrast.ratio is None:
        as_points = contrast.metric.startswith("accuracy")
        shown, *ends = [
            points(value) if as_points else signed(value, 4)
            for value in (contrast.difference or 0.0, *(contrast.ci95 or ()))
        ]
        shown += " points" if as_points else ""
    elif contrast.ci95 is None and contrast.method != "exact":
        if contrast.range is None or contrast.pairs < 2:
            return f"{figure(contrast.ratio)}{TIMES}\n({pairs})"
        low, high = map(figure, contrast.range)
        return f"{figure(contrast.ratio)}{TIMES}\n({low}{TO}{high}, {pairs})"
    else:
        digits = 0 if contrast.ratio > 10 else 1
        if contrast.ci95 is not None and contrast.ci95[1] - contrast.ci95[0] < 0.001:
            digits = 2
        shown = percent(contrast.ratio, digits)
        ends = [signed(100 * (end - 1), digits) for end in contrast.ci95 or ()]
    return f"{shown}\n[{ends[0]}, {ends[1]}]" if ends else shown


def all_unmeasured(report: Report, told: Collection[str] = ()) -> list[str]:
    """Return why benchmarks have no figures, each reason once that is not `told`, with the benchmarks it holds for."""
    found: dict[str, list[str]] = {}
    for benchmark in report.benchmarks:
        if benchmark.status != "ok" and benchmark.reason not in told:
            found.setdefault(f"{benchmark.status}: {benchmark.reason}", []).append(benchmark.name)
    return [reason + _where(names, len(report.benchmarks)) for reason, names in found.items()]


def all_warnings(report: Report, told: Collection[str] = ()) -> list[str]:
    """Return every warning once that is not `told`, the session's first, with the benchmarks it belongs to."""
    found: dict[tuple[str, str], list[str]] = {_key(notice): [] for notice in report.warnings}
    for benchmark in report.benchmarks:
        for notice in benchmark.warnings:
            found.setdefault(_key(notice), []).append(benchmark.name)
    return [text + _where(names, len(report.benchmarks)) for (_, text), names in found.items() if text not in told]


def all_missing(report: Report, told: Collection[str] = ()) -> list[tuple[str, str]]:
    """Return what is missing, each reason once that is not `told`: (what and why, the fix or '')."""
    found: dict[tuple[str, str], dict[str, list[str]]] = {}
    for probe in report.probes_missing:
        if not any(probe.reason in reason for reason in told):
            found.setdefault((f"{probe.name}: {probe.reason}", probe.fix or ""), {})
    for benchmark in report.benchmarks:
        for metric, missing in _missing_of(benchmark):
            if missing.reason in told:
                continue
            by_metric = found.setdefault((missing.reason, missing.fix or ""), {})
            by_metric.setdefault(title(metric), []).append(benchmark.name)
    lines = []
    for (reason, fix), by_metric in found.items():
        if not by_metric:
            lines.append((reason, fix))
            continue
        names = list(dict.fromkeys(name for group in by_metric.values() for name in group))
        lines.append((f"{', '.join(by_metric)}: {reason}{_where(names, len(report.benchmarks))}", fix))
    return lines


def _missing_of(benchmark: Benchmark) -> Iterable[tuple[str, Missing]]:
    yield from benchmark.missing.items()
    if benchmark.artifact is not None:
        for phase in benchmark.artifact.ledger:
            for what, missing in (phase.missing or {}).items():
                yield f"{what} of compressing", missing


def _key(notice: Notice) -> tuple[str, str]:
    return notice.code, notice.text


def _where(names: Sequence[str], total: int) -> str:
    if not names:
        return ""
    if len(names) == total and total > 1:
        return f" (all {total} benchmarks)"
    more = f" and {len(names) - 2} more" if len(names) > 2 else ""
    return f" ({', '.join(names[:2])}{more})"
