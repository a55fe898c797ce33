"""The geometry of the HTML report's charts: figures in, positions out; the template draws them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from edgebench.render import cells
from edgebench.render.units import quantity
from edgebench.report.model import Benchmark

ROW_HEIGHT = 22
LABEL_WIDTH, BAR_WIDTH, STRIP_WIDTH = 340, 330, 220
MAX_ROWS = 60
# Deviations beyond this (per cent) stand at the edge: one hiccup must not squeeze all others into a line.
MAX_REACH = 30.0


@dataclass(frozen=True, slots=True)
class Mark:
    """One bar: its place, length and words; `low` and `high` are the ends of its error bar."""

    y: float
    width: float
    text: str
    low: float | None
    high: float | None
    title: str


@dataclass(frozen=True, slots=True)
class Row:
    """One benchmark of a chart: its bars and, in a latency chart, a dot for each value (x, run)."""

    label: str
    y: float
    bars: tuple[Mark, ...]
    dots: tuple[tuple[float, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart of horizontal bars; `reach` is the deviation in per cent at the edge of the strip of values."""

    title: str
    rows: tuple[Row, ...]
    height: float
    reach: float | None = None
    left_out: int = 0


def latency_chart(benchmarks: Sequence[Benchmark]) -> Chart | None:
    """Return the medians as bars from zero, and beside each the values of its runs as deviations from the median."""
    shown = [row for row in benchmarks if "latency_s" in row.metrics]
    if not shown:
        return None
    rows_in = shown[:MAX_ROWS]
    labels = cells.labels(rows_in)
    top = _top([(row.metrics["latency_s"].ci95 or (0, 0))[1] for row in rows_in] + _values(rows_in, "latency_s"))
    spread = {row.name: _deviations(row) for row in rows_in}
    reach = min(max((abs(value) for dots in spread.values() for value, _ in dots), default=0.0) or 1.0, MAX_REACH)
    rows = []
    for index, row in enumerate(rows_in):
        y = index * ROW_HEIGHT
        dots = tuple(
            (_round(STRIP_WIDTH / 2 * (1 + max(-1.0, min(1.0, value / reach)))), run) for value, run in spread[row.name]
        )
        rows.append(Row(labels.names[row.name], y, (_mark(row, "latency_s", top, 4),), dots))
    return Chart(
        "Latency: median with its 95 % interval, and the values of each run as deviations from it",
        tuple(rows),
        len(rows) * ROW_HEIGHT,
        reach,
        len(shown) - len(rows),
    )


def energy_chart(benchmarks: Sequence[Benchmark]) -> Chart | None:
    """Return gross and net energy an inference as bars from zero with an error of one sigma; None without energy."""
    shown = [row for row in benchmarks if "energy_gross_j" in row.metrics]
    if not shown:
        return None
    rows_in = shown[:MAX_ROWS]
    labels = cells.labels(rows_in)
    top = _top(_values(rows_in, "energy_gross_j")) * 1.05
    rows = []
    for index, row in enumerate(rows_in):
        y = index * ROW_HEIGHT * 1.4
        names = [name for name in ("energy_gross_j", "energy_net_j") if name in row.metrics]
        bars = tuple(_mark(row, name, top, 2 + 13 * place) for place, name in enumerate(names))
        rows.append(Row(labels.names[row.name], y, bars))
    scope = cells.scope_of(rows_in, "energy_gross_j")
    return Chart(
        f"Energy an inference{f' ({scope})' if scope else ''}: gross above net, with one sigma",
        tuple(rows),
        len(rows) * ROW_HEIGHT * 1.4,
        None,
        len(shown) - len(rows),
    )


def _mark(row: Benchmark, name: str, top: float, y: float) -> Mark:
    metric = row.metrics[name]
    value = cells.headline(metric)
    error = cells.half_width(metric) if metric.unit == "s" else cells.sigma(metric)
    ends = (None, None) if error is None else (_place(value - error, top), _place(value + error, top))
    title = f"{row.name}: {cells.title(name)} {cells.metric_cell(row, name)}"
    return Mark(y, _place(value, top), quantity(value, metric.unit), ends[0], ends[1], title)


def _deviations(row: Benchmark) -> list[tuple[float, int]]:
    """Return each value's deviation from the median in per cent, with the number of its run."""
    metric = row.metrics["latency_s"]
    runs = metric.runs or ()
    middle = median([value for run in runs for value in run]) if any(runs) else 0.0
    if middle <= 0:
        return []
    return [(100 * (value / middle - 1), number) for number, run in enumerate(runs) for value in run[:200]]


def _values(rows: Sequence[Benchmark], name: str) -> list[float]:
    return [cells.headline(row.metrics[name]) for row in rows]


def _top(values: Sequence[float]) -> float:
    return max(values, default=0.0) or 1.0


def _place(value: float, top: float) -> float:
    return _round(min(BAR_WIDTH, max(0.0, BAR_WIDTH * value / top)))


def _round(value: float) -> float:
    return round(value, 1)
