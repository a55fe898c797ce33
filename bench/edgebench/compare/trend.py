"""Many releases: where a cell's figure changed. Advisory: it says where to look, never whether a build fails."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from itertools import pairwise
from typing import Any

import numpy as np

from edgebench.compare.cells import Cell, Sample, Session
from edgebench.compare.policy import gauge_of
from edgebench.compare.shrink import Array
from edgebench.report import student

MIN_REPORTS = 6
MIN_SEGMENT = 3
# Steps smaller than this (as a log ratio) are not worth anybody's time.
MIN_STEP = 0.01
# Two levels are told apart at this chance, as many places are looked at; two boundaries at once have many more.
_P_VALUE, _P_VALUE_OF_TWO = 4.5e-3, 1e-6
# The correlation that is left is too low, as the levels have followed it: a factor, and a share by the length
# (chosen by simulated series, python -m tests.statistical.trends).
_BIAS = (1.8, 2.0)
# Reports repeat to no better than this (1 sigma, a log ratio).
_LEAST_SIGMA = 1e-4


@dataclass(frozen=True, slots=True)
class Change:
    """A figure changed between two reports: levels in the metric's unit.

    `place` is that of the new level's first figure among those of its series; `commit` is the first report's, None
    where it does not tell.
    """

    place: int
    label: str
    created: str
    before: float
    after: float
    commit: str | None = None

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

    def improved(self, change: Change) -> bool:
        """Tell whether a change is one for the better."""
        return (change.after < change.before) == (self.better == "lower")


@dataclass(frozen=True, slots=True)
class Trend:
    """All series; `reports` are (label, created), oldest first; `systems` names the fingerprint of each number.

    Of several equal boards it names the unit.
    """

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

    Sessions of another fingerprint or of another unit of equal boards, and cells whose parameters changed, make series
    of their own. Fewer than six reports have no change points: segments have at least three.
    """
    systems: list[Any] = []
    collected: dict[tuple[int, str, str], list[_Collected]] = {}
    for place, (session, measured_on) in enumerate(zip(sessions, _told_apart(sessions), strict=True)):
        if measured_on not in systems:
            systems.append(measured_on)
        system = systems.index(measured_on)
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


def _told_apart(sessions: Sequence[Session]) -> Iterator[Mapping[str, Any]]:
    """Yield the fingerprint of each session, and the unit with it where there are several of that fingerprint.

    A session that does not tell its unit goes with the only one of its fingerprint; beside several it stands apart.
    """
    systems: list[Mapping[str, Any]] = []
    units: list[dict[str | None, Mapping[str, Any]]] = []
    for session in sessions:
        if session.hard not in systems:
            systems.append(session.hard)
            units.append({})
        units[systems.index(session.hard)][session.unit] = {"unit": session.unit or "not told", **session.hard}
    for session in sessions:
        known = units[systems.index(session.hard)]
        yield known[session.unit] if len(known.keys() - {None}) > 1 else session.hard


def change_points(values: Sequence[float]) -> list[int]:
    """Return the places (from 1) where the level of a positive series changes, by least squares on its logarithms.

    Levels have at least three reports; single outliers are drawn in first. The best boundary, or the best pair of
    them, is added as long as a t-test of every two neighbouring levels is sure (p < 0.0045) and their step above 1 %.
    Reports that follow each other are alike, more or less: what is left of a series within its levels tells by how
    much (its lag-one correlation), and the error of a level grows by (1 + rho) / (1 - rho) (Bayley and Hammersley
    1946, Supplement to the Journal of the Royal Statistical Society 8:184).
    """
    if len(values) < 2 * MIN_SEGMENT or min(values) <= 0:
        return []
    logs = np.log(np.asarray(values, dtype=np.float64))
    sigma = max(float(np.median(np.abs(np.diff(logs)))) * 1.4826 / math.sqrt(2), 1e-3)
    drawn = _drawn_in(logs, sigma)
    points: list[int] = []
    while True:
        more = next((found for found, chance in _additions(drawn, points) if _sure(drawn, found, chance)), None)
        if more is None:
            return points
        points = more


def _series(system: int, cell: str, metric: str, line: _Collected, sessions: Sequence[Session]) -> Series:
    gauge = gauge_of(metric)
    points = _steps(line.values) if gauge.exact else change_points(line.values)
    levels = [0, *points, len(line.values)]
    changes = []
    for index, point in enumerate(points, start=1):
        session = sessions[line.places[point]]
        before = float(np.median(line.values[levels[index - 1] : point]))
        after = float(np.median(line.values[point : levels[index + 1]]))
        changes.append(Change(point, session.label, session.created, before, after, session.commit))
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


def _additions(logs: Array, points: list[int]) -> Iterator[tuple[list[int], float]]:
    """Yield the boundaries with the best one added, then with the best two of one segment: up, and down again."""
    edges = [0, *points, len(logs)]
    for best, chance in ((_best_one, _P_VALUE), (_best_two, _P_VALUE_OF_TWO)):
        found = [(begin, *best(logs[begin:end])) for begin, end in pairwise(edges)]
        begin, gain, places = max(found, key=lambda one: one[1])
        if gain > 0:
            yield _settled(logs, sorted([*points, *(begin + place for place in places)])), chance


def _best_one(logs: Array) -> tuple[float, list[int]]:
    """Return how much squares the best boundary saves, and where it is; nothing of a segment that is too short."""
    count = len(logs)
    if count < 2 * MIN_SEGMENT:
        return 0.0, []
    sums = np.cumsum(logs - logs.mean())
    left = np.arange(MIN_SEGMENT, count - MIN_SEGMENT + 1)
    saved = sums[left - 1] ** 2 * count / (left * (count - left))
    place = int(np.argmax(saved))
    return float(saved[place]), [int(left[place])]


def _best_two(logs: Array) -> tuple[float, list[int]]:
    """Return the same of the best two boundaries."""
    count = len(logs)
    best: tuple[float, list[int]] = (0.0, [])
    sums = np.concatenate([[0.0], np.cumsum(logs - logs.mean())])
    last = count - MIN_SEGMENT + 1
    # Every pair of places of ten thousand reports: what does not depend on both is worked out once, the rest in place.
    shares = 1 / np.arange(1, count + 1)
    after = (sums[-1] - sums[:last]) ** 2 * shares[::-1][:last]
    room = np.empty(count)
    for first in range(MIN_SEGMENT, last - MIN_SEGMENT):
        second = first + MIN_SEGMENT
        saved = np.subtract(sums[second:last], sums[first], out=room[: last - second])
        saved *= saved
        saved *= shares[MIN_SEGMENT - 1 : MIN_SEGMENT - 1 + last - second]
        saved += after[second:last]
        place = int(saved.argmax())
        gain = float(saved[place] + sums[first] ** 2 / first)
        if gain > best[0]:
            best = (gain, [first, second + place])
    return best


def _settled(logs: Array, points: list[int]) -> list[int]:
    """Move each boundary to where it is best between its neighbours, which were not all known when it was found."""
    edges = [0, *points, len(logs)]
    for index in range(1, len(edges) - 1):
        _, places = _best_one(logs[edges[index - 1] : edges[index + 1]])
        edges[index] = edges[index - 1] + places[0]
    return edges[1:-1]


def _sure(logs: Array, points: list[int], chance: float) -> bool:
    """Tell whether every two neighbouring levels surely differ."""
    edges = [0, *points, len(logs)]
    parts = [logs[begin:end] for begin, end in pairwise(edges)]
    levels = [float(part.mean()) for part in parts]
    left = np.concatenate([part - level for part, level in zip(parts, levels, strict=True)])
    squares = float((left**2).sum())
    df = len(logs) - len(parts)
    rho = 0.0
    if squares > len(logs) * _LEAST_SIGMA**2:
        rho = float((left[1:] * left[:-1]).sum()) / squares
        rho = min(0.95, max(0.0, _BIAS[0] * rho + _BIAS[1] / len(logs)))
    variance = max(squares / df, _LEAST_SIGMA**2) * (1 + rho) / (1 - rho)
    for (one, other), (before, after) in zip(pairwise(parts), pairwise(levels), strict=True):
        error = math.sqrt(variance * (1 / len(one) + 1 / len(other)))
        if abs(after - before) < MIN_STEP or 2 * student.upper_tail(abs(after - before) / error, df) > chance:
            return False
    return True


def _system_text(hard: Any, systems: Sequence[Any]) -> str:
    """Name a system by what differs between the systems."""
    differing = [key for key in hard if any(other.get(key) != hard[key] for other in systems)]
    shown = differing or [key for key in ("platform", "cpu", "suite") if key in hard]
    return ", ".join(f"{key} {str(hard[key])[:60]}" for key in shown[:4])
