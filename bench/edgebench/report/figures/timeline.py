"""From the sampler's records to a report's `resources`: one time axis, phases as spans, and bins that hide nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import TYPE_CHECKING, Any, Literal

from edgebench.measure.ledger import CompressResult
from edgebench.measure.messages import Clock
from edgebench.measure.results import InferenceResult
from edgebench.report.course import Resources, ResourceSeries, ResourceSpan, ResourceSummary
from edgebench.report.metric import metric_from_runs
from edgebench.report.quantity import Missing
from edgebench.report.records import (
    DiscardedRecord,
    EndRecord,
    IdleRecord,
    PreparedRecord,
    ResourcesRecord,
    ResumedRecord,
    RunRecord,
    StartRecord,
)
from edgebench_probes.labels import labels_of

if TYPE_CHECKING:
    from edgebench.report.log import Log
    from edgebench.report.quantity import Metric
    from edgebench.report.records import AnyRecord, RunResult

# Points a series at most, whatever the session's length; and spans, as pages and readers have to draw them.
MAX_POINTS = 500
MAX_SPANS = 2000
# What a metric takes from a series: its mean inside each run.
_METRICS = ("gpu_percent",)

Points = list[tuple[float, float]]


@dataclass(slots=True)
class Line:
    """One series of a whole session: points of (seconds on the report's axis, value)."""

    name: str
    unit: str
    source: str
    scope: str | None
    points: Points = field(default_factory=list)

    @property
    def key(self) -> str:
        """Its name, with the scope as suffix."""
        return f"{self.name}.{self.scope}" if self.scope else self.name


@dataclass(frozen=True, slots=True)
class Window:
    """Where a run's timed work lies on the report's axis."""

    cell: str
    turn: int
    begin_s: float
    end_s: float


@dataclass(slots=True)
class Timeline:
    """A session's samples, spans and timed windows on one axis: seconds since its first sample."""

    rate_hz: float
    lines: dict[str, Line]
    spans: list[ResourceSpan]
    windows: list[Window]
    missing: dict[str, Missing]

    def inside(self, key: str, begin_s: float, end_s: float) -> list[float]:
        """Return the values of a series within a stretch of the axis; [] for a series that is not there."""
        line = self.lines.get(key)
        return [] if line is None else [value for at, value in line.points if begin_s <= at <= end_s]


def timeline(log: Log) -> Timeline | None:
    """Return what the sampler saw in a session and its resumed parts, or None where it never ran."""
    chunks = log.resources()
    if not any(chunk.samples for chunk in chunks):
        return None
    shifts = _Shifts(chunks)
    found = Timeline(chunks[0].rate_hz, {}, [], [], {})
    _add_samples(found, chunks, shifts)
    for record, shift_s in _placed(log, shifts):
        found.spans += _spans(record, shift_s)
        if isinstance(record, RunRecord):
            clock = record.result.clock
            begin_s, end_s = clock.measuring_s + shift_s, clock.measured_s + shift_s
            found.windows.append(Window(record.cell, record.turn, begin_s, end_s))
            _window_powers(record.result, shift_s, found)
    for key, line in list(found.lines.items()):
        if line.points:
            found.missing.pop(key, None)  # its energy windows tell it after all
        else:
            del found.lines[key]
            found.missing[key] = Missing(reason="no sample of it could be read")
    return found


def _add_samples(found: Timeline, chunks: Sequence[ResourcesRecord], shifts: _Shifts) -> None:
    for chunk in chunks:
        found.missing |= {key: Missing(reason=why.reason, fix=why.fix) for key, why in chunk.missing.items()}
        if chunk.ended:
            found.missing["sampler"] = Missing(reason="the sampler ended before the session did: the rest is missing")
        lines = [
            found.lines.setdefault(f"{info.name}.{info.scope}", Line(info.name, info.unit, info.source, info.scope))
            for info in chunk.series
        ]
        shift_s = shifts.of(chunk)
        for at_s, *values in chunk.samples:
            for line, value in zip(lines, values, strict=True):
                if at_s is not None and value is not None:
                    line.points.append((at_s + shift_s, value))
    found.lines = {line.key: line for line in found.lines.values()}


def resources(found: Timeline) -> Resources:
    """Return the report's `resources`."""
    missing = dict(sorted(found.missing.items()))
    spans = found.spans
    if len(spans) > MAX_SPANS:
        missing["spans"] = Missing(reason=f"{len(spans)} spans are too many to list: the first {MAX_SPANS} are")
        spans = spans[:MAX_SPANS]
    return Resources(
        rate_hz=found.rate_hz,
        series=tuple(binned(line) for line in found.lines.values()),
        spans=tuple(spans),
        missing=missing,
    )


def binned(line: Line, points: int = MAX_POINTS) -> ResourceSeries:
    """Return a series of at most so many points: as it is, or the mean, least and highest value of equal bins of time.

    A bin without a sample is left out: a gap stays a gap.
    """
    common: dict[str, Any] = {"name": line.name, "unit": line.unit, "source": line.source, "scope": line.scope}
    samples = line.points
    if len(samples) <= points:
        return ResourceSeries(
            **common,
            samples=len(samples),
            t_s=tuple(round(at, 3) for at, _ in samples),
            value=tuple(value for _, value in samples),
        )
    begin_s = samples[0][0]
    width_s = max((samples[-1][0] - begin_s) / points, 1e-9)
    bins: dict[int, Points] = {}
    for at, value in samples:
        bins.setdefault(min(points - 1, int((at - begin_s) / width_s)), []).append((at, value))
    groups = [bins[place] for place in sorted(bins)]
    return ResourceSeries(
        **common,
        samples=len(samples),
        bin_s=width_s,
        t_s=tuple(round(fmean(at for at, _ in group), 3) for group in groups),
        value=tuple(float(f"{fmean(value for _, value in group):.6g}") for group in groups),
        min=tuple(min(value for _, value in group) for group in groups),
        max=tuple(max(value for _, value in group) for group in groups),
    )


def summary(found: Timeline, cell: str) -> dict[str, ResourceSummary]:
    """Return mean and peak of each series inside the timed part of a benchmark's runs; {} where no sample fell in."""
    windows = [window for window in found.windows if window.cell == cell]
    told = {}
    for key, line in found.lines.items():
        values = [value for window in windows for value in found.inside(key, window.begin_s, window.end_s)]
        if values:
            told[key] = ResourceSummary(unit=line.unit, mean=fmean(values), peak=max(values), samples=len(values))
    return told


def resource_metrics(found: Timeline, cell: str) -> tuple[dict[str, Metric], dict[str, Missing]]:
    """Return the metrics that come from a series (the graphics load): a run's value is the mean inside it."""
    windows = [window for window in found.windows if window.cell == cell]
    metrics: dict[str, Metric] = {}
    missing: dict[str, Missing] = {}
    for name in _METRICS:
        if name not in found.lines:
            continue
        runs = [found.inside(name, window.begin_s, window.end_s) for window in windows]
        if runs and all(runs):
            metrics[name] = metric_from_runs(name, [[fmean(values)] for values in runs])
        else:
            missing[name] = Missing(
                reason=f"a run is shorter than the time between two samples ({1 / found.rate_hz:g} s)",
                fix="sample more often (--resources-hz) or measure more passes",
            )
    return metrics, missing


class _Shifts:
    """What takes each part's monotonic clock to the report's axis: parts of a resumed session may be boots apart."""

    def __init__(self, chunks: Sequence[ResourcesRecord]) -> None:
        self._shifts: dict[float, float] = {}
        zero_s, last_s = None, 0.0
        for chunk in chunks:
            clock = chunk.clock
            if clock is None:
                continue
            if clock.monotonic_s not in self._shifts:
                zero_s = clock.unix_s if zero_s is None else zero_s
                # A clock that was set back between two parts must not make them overlap.
                begin_s = max(clock.unix_s - zero_s, last_s)
                self._shifts[clock.monotonic_s] = begin_s - clock.monotonic_s
            if chunk.samples and (at_s := chunk.samples[-1][0]) is not None:
                last_s = max(last_s, at_s + self._shifts[clock.monotonic_s])

    def of(self, chunk: ResourcesRecord) -> float:
        """Return the seconds to add to a time of this chunk's part."""
        return 0.0 if chunk.clock is None else self._shifts[chunk.clock.monotonic_s]


def _placed(log: Log, shifts: _Shifts) -> Iterator[tuple[AnyRecord, float]]:
    """Yield each step with the shift of its part: that of the first chunk after it."""
    shift_s: float | None = None
    placed: list[tuple[AnyRecord, float]] = []
    for record in reversed(log.records):
        if isinstance(record, StartRecord):
            shift_s = None  # what stands before belongs to another process
        if isinstance(record, ResourcesRecord) and record.clock is not None:
            shift_s = shifts.of(record)
        elif isinstance(record, EndRecord | ResumedRecord):
            shift_s = None
        elif shift_s is not None:
            placed.append((record, shift_s))
    yield from reversed(placed)


def _spans(record: AnyRecord, shift_s: float) -> Iterator[ResourceSpan]:
    """Yield the spans of a step: its process, and the phases of making an artifact inside it."""
    match record:
        case IdleRecord(when=when, clock=clock):
            yield _span(f"idle {when}", "idle", clock.started_s + shift_s, clock.finished_s + shift_s)
        case PreparedRecord(cell=cell, clock=Clock() as clock, phases=phases):
            yield _span(cell, "prepare", clock.started_s + shift_s, clock.finished_s + shift_s)
            for phase in phases:
                yield _span(cell, "prepare", phase.begin_s + shift_s, phase.end_s + shift_s, phase.phase)
        case RunRecord(cell=cell, result=result):
            yield _span(cell, "run", result.clock.started_s + shift_s, result.clock.finished_s + shift_s)
            for made in result.phases if isinstance(result, CompressResult) else ():
                begin_s, end_s = made.cost.begin_s, made.cost.end_s
                if begin_s is not None and end_s is not None:
                    yield _span(cell, "run", begin_s + shift_s, end_s + shift_s, made.cost.phase)
        case DiscardedRecord(cell=cell, clock=clock):
            yield _span(cell, "run", clock.started_s + shift_s, clock.finished_s + shift_s, phase="measured again")
        case _:
            pass


def _span(
    name: str, kind: Literal["prepare", "run", "idle"], begin_s: float, end_s: float, phase: str | None = None
) -> ResourceSpan:
    begin_s = max(0.0, begin_s)
    return ResourceSpan(
        name=name, kind=kind, phase=phase, begin_s=round(begin_s, 3), end_s=round(max(begin_s, end_s), 3)
    )


def _window_powers(result: RunResult, shift_s: float, found: Timeline) -> None:
    """Add each energy window's mean power where the sampler itself has no power of that probe."""
    windows = result.energy.windows if isinstance(result, InferenceResult) else ()
    labels = labels_of((window.probe, window.scope) for window in windows)
    for window in windows:
        label = labels[window.probe, window.scope]
        source = f"{window.probe}: mean of each energy window"
        line = found.lines.setdefault(f"power_w.{label}", Line("power_w", "W", source, label))
        if line.source == source:
            line.points.append(((window.begin_s + window.end_s) / 2 + shift_s, window.power_w))
