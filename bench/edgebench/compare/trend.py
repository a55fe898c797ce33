"""Many releases: where a cell's figure changed. Advisory: it says where to look, never whether a build fails."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

import numpy as np

from edgebench.compare.cells import Cell, Sample, Session
from edgebench.compare.policy import gauge_of
from edgebench.compare.shrink import Array

MIN_REPORTS = 6
MIN_SEGMENT = 3
# Steps smaller than this (as a log ratio) are not worth anybody's time.
MIN_STEP = 0.01
# Two means are told apart at this level; there are as many questions as series and releases.
_P_VALUE = 1e-4
_PENALTY = 3.0


@dataclass(frozen=True, slots=True)
class Change:
    """A figure changed between two reports: `place` is the first of the new level; levels in the metric's unit."""

    place: int
    label: str
    created: str
    before: float
    after: float

    @property
    def change(self) -> float:
        """after/before - 1."""
        return self.after / self.before - 1


@dataclass(frozen=True, slots=True)
class Series:
    """One metric of one cell over the reports of one system; `places` are the reports that have it."""

    system: int
    cell: str
    metric: str
    unit: str
    better: str
    places: tuple[int, ...]
    values: tuple[float, ...]
    changes: tuple[Change, ...]
    absolute: bool = False


@dataclass(frozen=True, slots=True)
class Trend:
    """All series; `reports` are (label, created), oldest first; `systems` names the fingerprint of each number."""

    reports: tuple[tuple[str, str], ...]
    systems: tuple[str, ...]
    series: tuple[Series, ...]
    notes: tuple[str, ...] = ()


@dataclass(slots=True)
class _Collected:
    first: Sample
    hard: Mapping[str, Any]
    places: list[int] = field(default_factory=list)
    values: list[float] = field(default_factory=list)

    def fits(self, sample: Sample, cell: Cell) -> bool:
        """Tell whether a sample goes on with this series: never a joule of another scope, or another model."""
        first = self.first
        return (
            first.scope == sample.scope
            and first.probe == sample.probe
            and first.unit == sample.unit
            and first.better == sample.better
            and self.hard == cell.hard
        )


def trend_of(sessions: Sequence[Session], metrics: Sequence[str], only: str | None = None) -> Trend:
    """Return every series of sessions that are ordered by time.

    Sessions of another fingerprint, and cells whose parameters changed, make series of their own. Fewer than six
    reports have no change points: segments have at least three.
    """
    systems: list[Any] = []
    collected: dict[tuple[int, str, str], list[_Collected]] = {}
    for place, session in enumerate(sessions):
        if session.hard not in systems:
            systems.append(session.hard)
        system = systems.index(session.hard)
        for name, cell in session.cells.items():
            if cell.status != "ok" or (only is not None and not fnmatchcase(name, only)):
                continue
            for metric in metrics:
                sample = cell.samples.get(metric)
                if sample is None or sample.fault is not None:
                    continue
                lines = collected.setdefault((system, name, metric), [])
                line = next((line for line in lines if line.fits(sample, cell)), None)
                if line is None:
                    line = _Collected(sample, cell.hard)
                    lines.append(line)
                line.places.append(place)
                line.values.append(sample.value)
    series = [
        _series(system, cell, metric, line, sessions)
        for (system, cell, metric), lines in collected.items()
        for line in lines
    ]
    return Trend(
        reports=tuple((session.label, session.created) for session in sessions),
        systems=tuple(_system_text(hard, systems) for hard in systems),
        series=tuple(series),
    )


def change_points(values: Sequence[float]) -> list[int]:
    """Return the places (from 1) where the level of a positive series changes, by penalised least squares on its logs.

    The optimal segmentation is that of ruptures' KernelCPD (PELT; Killick et al. 2012, JASA 107:1590) with segments
    of at least three, scaled by a robust sigma of successive differences; single outliers are drawn in first. A
    boundary stays only where a t-test between its two segments is sure (p < 0.0001) and the step above 1 %.
    """
    if len(values) < 2 * MIN_SEGMENT or min(values) <= 0:
        return []
    from ruptures import KernelCPD  # type: ignore[import-untyped]  # ships no types

    logs = np.log(np.asarray(values, dtype=np.float64))
    sigma = max(float(np.median(np.abs(np.diff(logs)))) * 1.4826 / math.sqrt(2), 1e-3)
    scaled = _drawn_in(logs, sigma) / sigma
    penalty = _PENALTY * math.log(len(scaled))
    found = KernelCPD(kernel="linear", min_size=MIN_SEGMENT).fit(scaled.reshape(-1, 1)).predict(pen=penalty)
    return _sure(scaled * sigma, [int(place) for place in found[:-1]])


def _series(system: int, cell: str, metric: str, line: _Collected, sessions: Sequence[Session]) -> Series:
    gauge = gauge_of(metric)
    points = _steps(line.values) if gauge.exact else change_points(line.values)
    levels = [0, *points, len(line.values)]
    changes = []
    for index, point in enumerate(points, start=1):
        session = sessions[line.places[point]]
        before = float(np.median(line.values[levels[index - 1] : point]))
        after = float(np.median(line.values[point : levels[index + 1]]))
        changes.append(Change(point, session.label, session.created, before, after))
    return Series(
        system,
        cell,
        metric,
        line.first.unit,
        line.first.better,
        tuple(line.places),
        tuple(line.values),
        tuple(change for change in changes if change.before > 0),
        gauge.absolute,
    )


def _steps(values: Sequence[float]) -> list[int]:
    """What does not vary changed wherever two neighbours differ."""
    return [
        place for place in range(1, len(values)) if not math.isclose(values[place - 1], values[place], rel_tol=1e-9)
    ]


def _drawn_in(logs: Array, sigma: float) -> Array:
    """Draw single outliers in to four sigma around the median of their neighbours; a step has two of its own kind."""
    padded = np.concatenate([logs[[0, 0]], logs, logs[[-1, -1]]])
    middle = np.median(np.lib.stride_tricks.sliding_window_view(padded, 5), axis=1)
    drawn: Array = np.clip(logs, middle - 4 * sigma, middle + 4 * sigma)
    return drawn


def _sure(logs: Array, points: list[int]) -> list[int]:
    """Drop the least sure boundary until all that are left are sure."""
    from scipy.special import stdtr

    while points:
        edges = [0, *points, len(logs)]
        worst, chance = 0, -1.0
        for index in range(len(points)):
            first, second = logs[edges[index] : edges[index + 1]], logs[edges[index + 1] : edges[index + 2]]
            step = abs(float(second.mean() - first.mean()))
            df = len(first) + len(second) - 2
            squares = float(((first - first.mean()) ** 2).sum() + ((second - second.mean()) ** 2).sum())
            spread = math.sqrt(squares / df * (1 / len(first) + 1 / len(second)))
            p_value = 1.0 if step < MIN_STEP else 0.0
            if p_value == 0.0 and spread > 0:
                p_value = 2 * float(stdtr(df, -step / spread))
            if p_value > chance:
                worst, chance = index, p_value
        if chance < _P_VALUE:
            break
        points = points[:worst] + points[worst + 1 :]
    return points


def _system_text(hard: Any, systems: Sequence[Any]) -> str:
    """Name a system by what differs between the systems."""
    differing = [key for key in hard if any(other.get(key) != hard[key] for other in systems)]
    shown = differing or [key for key in ("platform", "cpu", "suite") if key in hard]
    return ", ".join(f"{key} {str(hard[key])[:60]}" for key in shown[:4])
