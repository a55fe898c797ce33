"""Resources over time as drawing data: panels that share one axis, spans above them. Plain values, no drawing."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from edgebench.render import cells
from edgebench.render.axes import apart, clock_words, moments, round_ticks
from edgebench.render.units import figure, quantity
from edgebench.report.course import Resources, ResourceSeries, ResourceSpan
from edgebench.report.model import Report

LEFT, WIDTH, RIGHT = 64, 900, 150
PANEL_HEIGHT, GAP, LANE = 92, 36, 20
# A line breaks where samples lie further apart than this many usual steps: what was not sampled is not drawn.
_BREAK = 3.5
_LETTER = 6.6

# Series that share a panel, in the order they are drawn; titles, and the words for each line.
PANELS: Sequence[tuple[str, tuple[str, ...]]] = (
    ("Throughput", ("throughput_per_s",)),
    ("Generating", ("decode_tokens_per_s",)),
    ("Reading the prompt", ("prefill_tokens_per_s",)),
    ("Processor (100 % is one)", ("cpu_percent", "workload_cpu_percent", "steal_percent")),
    ("Memory", ("memory_bytes", "workload_memory_bytes")),
    ("Graphics load", ("gpu_percent",)),
    ("Graphics memory", ("gpu_memory_bytes",)),
    ("Power", ("power_w",)),
    ("Temperature", ("temperature_c", "gpu_temperature_c")),
    ("Frequency", ("cpu_frequency_hz", "gpu_frequency_hz")),
    ("Throttling", ("throttle_count", "throttled")),
)
NAMES: Mapping[str, str] = {
    "throughput_per_s": "passes",
    "decode_tokens_per_s": "tokens",
    "prefill_tokens_per_s": "tokens",
    "cpu_percent": "all programs",
    "workload_cpu_percent": "this benchmark",
    "steal_percent": "stolen",
    "memory_bytes": "in use",
    "workload_memory_bytes": "this benchmark",
    "gpu_percent": "load",
    "gpu_memory_bytes": "in use",
    "temperature_c": "processor",
    "gpu_temperature_c": "graphics",
    "cpu_frequency_hz": "processor",
    "gpu_frequency_hz": "graphics",
    "throttle_count": "events",
    "throttled": "held back",
}


@dataclass(frozen=True, slots=True)
class Line:
    """One series: its strokes (SVG points), the band between least and highest, its words, and where they stand."""

    label: str
    strokes: tuple[str, ...]
    bands: tuple[str, ...]
    dots: tuple[tuple[float, float], ...]
    label_y: float
    title: str


@dataclass(frozen=True, slots=True)
class Panel:
    """One chart of the stack; `ticks` are (y, words)."""

    title: str
    y: float
    lines: tuple[Line, ...]
    ticks: tuple[tuple[float, str], ...]


@dataclass(frozen=True, slots=True)
class Band:
    """A shaded stretch of the axis; `lane` 0 is the upper row of labels."""

    x: float
    width: float
    kind: str
    text: str
    title: str
    lane: int


@dataclass(frozen=True, slots=True)
class Timeline:
    """Everything of one drawing; `marks` are (x, words) of single moments, `legend` numbers of spans without room."""

    title: str
    panels: tuple[Panel, ...]
    bands: tuple[Band, ...]
    lanes: int
    x_ticks: tuple[tuple[float, str], ...]
    height: float
    legend: tuple[tuple[str, str], ...] = ()
    marks: tuple[tuple[float, str], ...] = ()
    note: str = ""


def session_timeline(report: Report) -> Timeline | None:
    """Return the drawing of a report's `resources`, or None without any."""
    resources = report.resources
    if resources is None or not resources.series:
        return None
    end_s = max(
        [series.t_s[-1] for series in resources.series if series.t_s] + [span.end_s for span in resources.spans]
    )
    labels = cells.labels(report.benchmarks).names
    bands, legend = _bands(resources.spans, end_s, labels)
    note = f"sampled {figure(resources.rate_hz, 2)} times a second"
    if any(series.bin_s for series in resources.series):
        note += "; a line is the mean of each bin, the shade behind it the least and the highest sample"
    return stack("Use of resources", resources.series, end_s, bands, legend=legend, note=note)


def stack(
    title: str,
    series: Sequence[ResourceSeries],
    end_s: float,
    bands: Sequence[Band],
    *,
    legend: Sequence[tuple[str, str]] = (),
    marks: Sequence[tuple[float, str]] = (),
    note: str = "",
) -> Timeline:
    """Return panels of the series over 0 to `end_s` seconds; `marks` are (seconds, words)."""
    lanes = 1 + max((band.lane for band in bands), default=-1)
    top = lanes * LANE + GAP
    panels: list[Panel] = []
    known = {name for _, names in PANELS for name in names}
    others = dict.fromkeys(one.name for one in series if one.name not in known)  # of a newer edgebench
    for heading, names in (*PANELS, *((name, (name,)) for name in others)):
        members = [one for name in names for one in series if one.name == name and one.t_s and _worth(one)]
        if members:
            panels.append(_panel(heading, members, end_s, top + len(panels) * (PANEL_HEIGHT + GAP)))
    return Timeline(
        title,
        tuple(panels),
        tuple(bands),
        lanes,
        tuple((place(at, end_s), clock_words(at)) for at in moments(end_s)),
        top + len(panels) * (PANEL_HEIGHT + GAP),
        tuple(legend),
        tuple((place(at, end_s), words) for at, words in marks),
        note,
    )


def label(series: ResourceSeries) -> str:
    """Return the words for one line of a panel."""
    if series.name == "power_w":
        return series.scope or "power"
    return NAMES.get(series.name, series.name)


def place(at_s: float, end_s: float) -> float:
    """Return the x of a moment."""
    return round(WIDTH * min(1.0, max(0.0, at_s / end_s)) if end_s > 0 else 0.0, 1)


def _worth(series: ResourceSeries) -> bool:
    """Tell whether a line says anything: stolen time and throttling that never were only cover the others."""
    return series.name not in {"steal_percent", "throttled"} or max(series.max or series.value) > 0.5


def _panel(title: str, members: Sequence[ResourceSeries], end_s: float, top: float) -> Panel:
    values = [value for one in members for value in (*(one.max or one.value), *(one.min or one.value))]
    low, high = min(values), max(values)
    # What has a natural zero is drawn from it; temperature and frequency show their change.
    if members[0].unit not in {"degC", "Hz"} or low == high:
        low = min(0.0, low)
    ticks = round_ticks(low, high)
    low, high = min(low, ticks[0]), max(high, ticks[-1])
    # Halves, as the range of two finite numbers may not be finite.
    half = (high / 2 - low / 2) or 1.0

    def y_of(value: float) -> float:
        return round(PANEL_HEIGHT * (1 - (value / 2 - low / 2) / half), 1)

    unit = members[0].unit
    lines = []
    heights = apart([y_of(one.value[-1]) + 4 for one in members], PANEL_HEIGHT)
    for one, label_y in zip(members, heights, strict=True):
        spoken = f"{title}, {label(one)}: {said(min(one.value), unit)} to {said(max(one.value), unit)}"
        pieces = _pieces(one)
        strokes = tuple(
            " ".join(f"{place(one.t_s[i], end_s)},{y_of(one.value[i])}" for i in piece)
            for piece in pieces
            if len(piece) > 1
        )
        bands = []
        if one.min is not None and one.max is not None:
            for piece in pieces:
                upper = [f"{place(one.t_s[i], end_s)},{y_of(one.max[i])}" for i in piece]
                lower = [f"{place(one.t_s[i], end_s)},{y_of(one.min[i])}" for i in reversed(piece)]
                bands.append(" ".join([*upper, *lower]))
        dots = tuple((place(one.t_s[p[0]], end_s), y_of(one.value[p[0]])) for p in pieces if len(p) == 1)
        words = f"{label(one)} {said(one.value[-1], unit)}"
        lines.append(Line(words, strokes, tuple(bands), dots, label_y, f"{spoken} ({one.source or ''})"))
    return Panel(title, top, tuple(lines), tuple((y_of(tick), said(tick, unit)) for tick in ticks))


def _pieces(series: ResourceSeries) -> list[list[int]]:
    """Cut a series where it was not sampled."""
    times = series.t_s
    steps = [b - a for a, b in pairwise(times)]
    longest = _BREAK * max(median(steps), series.bin_s or 0.0) if steps else math.inf
    pieces: list[list[int]] = [[0]]
    for index, step in enumerate(steps, start=1):
        if step > longest:
            pieces.append([])
        pieces[-1].append(index)
    return pieces


def _bands(
    spans: Sequence[ResourceSpan], end_s: float, labels: Mapping[str, str]
) -> tuple[list[Band], list[tuple[str, str]]]:
    """Return the spans as shades; a label that has no room becomes a number, explained in the legend."""
    bands: list[Band] = []
    numbers: dict[str, str] = {}
    for span in spans:
        x = place(span.begin_s, end_s)
        width = max(1.0, round(place(span.end_s, end_s) - x, 1))
        name = labels.get(span.name, span.name)
        lane = 1 if span.phase is not None and span.kind == "prepare" else 0
        text = span.phase if lane and span.phase else name
        seconds = f"{figure(span.end_s - span.begin_s)} s"
        title = f"{span.kind}: {name}{f', {span.phase}' if span.phase else ''}, {seconds}"
        if len(text) * _LETTER > width - 6:
            if lane or width < 12:
                text = ""
            else:
                text = numbers.setdefault(text, str(len(numbers) + 1))
                text = text if len(text) * _LETTER <= width - 4 else ""
        bands.append(Band(x, width, span.kind, text, title, lane))
    return bands, [(number, name) for name, number in numbers.items()]


def said(value: float, unit: str) -> str:
    """Return a value of a series in words."""
    if unit == "degC":
        return f"{figure(value)} °C"
    if unit == "Hz":
        return f"{figure(value / 1e9)} GHz" if abs(value) >= 1e9 else f"{figure(value / 1e6)} MHz"
    if unit == "%":
        return f"{figure(value)} %" if abs(value) < 1000 else f"{value:.0f} %"
    return quantity(value, unit)


def scale_of(resources: Resources) -> float:
    """Return the length of a report's time axis in seconds."""
    return max((series.t_s[-1] for series in resources.series if series.t_s), default=0.0)
