"""Bars side by side with their names: what one pass of each benchmark takes, and how its runs scatter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from edgebench.render import cells
from edgebench.render.charts.extent import extent
from edgebench.render.charts.scale import LOG_FROM, Scale, scale
from edgebench.render.charts.words import on_axis
from edgebench.render.units import figure
from edgebench.report.model import Benchmark

MAX_ROWS = 60
# Deviations beyond this (per cent) stand at the edge: one hiccup must not squeeze all others into a line.
MAX_REACH = 30.0
# Values of one run that are drawn.
_VALUES = 40


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar: where it ends and where its interval ends (per cent of the axis), its words, a CSS class."""

    at: float
    ends: tuple[float, float] | None
    text: str
    title: str
    kind: str = "bar"


@dataclass(frozen=True, slots=True)
class Row:
    """One benchmark: its bars and, as two SVG paths, its values as dots (of every other run one of the two)."""

    label: str
    bars: tuple[Bar, ...]
    dots: tuple[str, str] = ("", "")


@dataclass(frozen=True, slots=True)
class Bars:
    """A chart of horizontal bars; `reach` is the deviation in per cent at the edges of the strip of values."""

    title: str
    scale: Scale
    rows: tuple[Row, ...]
    reach: str | None = None
    notes: tuple[str, ...] = ()


def latency_bars(benchmarks: Sequence[Benchmark]) -> Bars | None:
    """Return the medians as bars, and beside each the values of its runs as deviations from the median."""
    shown = [row for row in benchmarks if "latency_s" in row.metrics]
    if not shown:
        return None
    spread = {row.name: _deviations(row) for row in shown[:MAX_ROWS]}
    furthest = max((abs(value) for runs in spread.values() for run in runs for value in run), default=0.0)
    reach = min(furthest or 1.0, MAX_REACH)
    dots = {name: (_dots(runs[::2], 0, reach), _dots(runs[1::2], 1, reach)) for name, runs in spread.items()}
    note = "right: each value's deviation from the median, run by run"
    return _bars("Latency of a pass", shown, ("latency_s",), dots, reach=figure(reach, 2), note=note)


def energy_bars(benchmarks: Sequence[Benchmark]) -> Bars | None:
    """Return gross and net energy an inference; None without energy."""
    shown = [row for row in benchmarks if "energy_gross_j" in row.metrics]
    if not shown:
        return None
    scope = cells.scope_of(shown, "energy_gross_j")
    title = f"Energy an inference{f' ({scope})' if scope else ''}"
    both = any("energy_net_j" in row.metrics for row in shown)
    note = "dark: gross, light: net, without idle power" if both else ""
    return _bars(title, shown, ("energy_gross_j", "energy_net_j"), {}, note=note)


def _bars(
    title: str,
    shown: Sequence[Benchmark],
    names: Sequence[str],
    dots: dict[str, tuple[str, str]],
    *,
    reach: str | None = None,
    note: str = "",
) -> Bars:
    rows = shown[:MAX_ROWS]
    labels = cells.labels(rows)
    extents = {
        (row.name, name): extent(name, row.metrics[name]) for row in rows for name in names if name in row.metrics
    }
    values = [one.value for one in extents.values()]
    logarithmic = min(values) > 0 and max(values) / min(values) >= LOG_FROM
    ends = [end for one in extents.values() for end in (one.low, one.high) if end > 0 or not logarithmic]
    axis = scale(ends, on_axis(names[0]), zero=True, log=logarithmic, pad=0.04)
    kinds = dict(zip(names, ("bar", "bar2"), strict=False))
    found = []
    for row in rows:
        bars = []
        for name in names:
            if (one := extents.get((row.name, name))) is not None:
                text = cells.metric_cell(row, name)
                reaches = (axis.at(one.low), axis.at(one.high)) if one.drawn else None
                said = f"{row.name}: {cells.title(name)} {text}"
                bars.append(Bar(axis.at(one.value), reaches, text, said, kinds[name]))
        found.append(Row(labels.names[row.name], tuple(bars), dots.get(row.name, ("", ""))))
    notes = [note] if note else []
    notes += [f"all: {labels.common}"] if labels.common else []
    notes += ["log scale: equal steps are equal ratios"] if axis.log else []
    notes += [f"{len(shown) - len(rows)} more benchmarks stand in the tables only"] if len(shown) > len(rows) else []
    return Bars(title, axis, tuple(found), reach, tuple(notes))


def _deviations(row: Benchmark) -> list[list[float]]:
    """Return each run's values as deviations from the benchmark's median, in per cent."""
    metric = row.metrics["latency_s"]
    runs = [run for run in metric.runs or () if run]
    middle = median([value for run in runs for value in run]) if runs else 0.0
    if middle <= 0:
        return []
    return [[100 * (value / middle - 1) for value in run[:: max(1, len(run) // _VALUES)]] for run in runs]


def _dots(runs: Sequence[Sequence[float]], first: int, reach: float) -> str:
    """Return strokes of no length, which round ends make dots, in a field of 100 by 22."""
    places = []
    for number, run in enumerate(runs):
        y = 11 + ((2 * number + first) % 5 - 2) * 3
        places += [f"M{50 * (1 + max(-1.0, min(1.0, value / reach))):.1f} {y}h0" for value in run]
    return "".join(places)
