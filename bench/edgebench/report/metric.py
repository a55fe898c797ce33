"""From measured runs to the figures of a report; names and units stand in catalogue.py."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edgebench.report.catalogue import METRICS, info_of
from edgebench.report.intervals import interval, middle, run_medians
from edgebench.report.quantity import Metric, Missing, Passes
from edgebench.report.student import quantile

# Fewer values than this leave nothing beyond a percentile to estimate it from.
_VALUES_NEEDED = {"p90": (90, 10), "p95": (95, 20), "p99": (99, 100)}


# Widest first: the energy metric without a scope in its name is that of the first one here that was measured.
SCOPES_BY_WIDTH = ("wall_ac", "board_dc", "module", "psys", "package", "gpu", "core", "uncore", "dram")


@dataclass(frozen=True, slots=True)
class Watts:
    """A power and what it covers, for whoever watches a session."""

    power_w: float
    scope: str


def metric_from_runs(
    name: str,
    runs: Sequence[Sequence[float]],
    *,
    passes: Passes | None = None,
    scope: str | None = None,
    probe: str | None = None,
    uncertainty: float | None = None,
    systematic: float | None = None,
    parts: Mapping[str, float] | None = None,
    loops: Sequence[int] | None = None,
    warmups: Sequence[Sequence[float]] | None = None,
    **extra: Any,
) -> Metric:
    """Summarise the values of each run (worker process) as a metric.

    `median` is the median over runs of the runs' medians, and `ci95` its interval (`intervals.interval`), because
    values of one process are not independent; it holds what is `systematic` too; fewer than five runs, or runs that
    drift, have none. `mean`, `stdev`
    (n - 1), `min` and `max` are over all values. Percentiles come from single `passes` where given (the median over the
    runs); a latency without `passes` has none, since its values are means over loops; other metrics take theirs from
    the values when there are enough.
    `loops` (passes behind each value) and `warmups` (values) have one entry a run.
    Raises ValueError without values, for an empty run and for a value that is not finite.
    """
    info = info_of(name)
    values = [float(value) for run in runs for value in run]
    if not values or not all(runs):
        raise ValueError(f"{name}: every run needs at least one value")
    if not all(map(math.isfinite, values)):
        raise ValueError(f"{name}: a value is not finite")
    return Metric(
        unit=info.unit,
        better=info.better,
        runs=tuple(tuple(map(float, run)) for run in runs),
        count=len(values),
        mean=statistics.fmean(values),
        median=middle(runs),
        stdev=statistics.stdev(values) if len(values) > 1 else None,
        min=min(values),
        max=max(values),
        ci95=interval(run_medians(runs), systematic or 0.0),
        scope=scope,
        probe=probe,
        uncertainty=uncertainty,
        systematic=systematic,
        parts=None if parts is None else dict(parts),
        passes=passes,
        loops=None if loops is None else tuple(loops),
        warmups=None if warmups is None else tuple(tuple(map(float, run)) for run in warmups),
        **_percentiles(info_of(name) is METRICS["latency_s"], values, passes),
        **extra,
    )


def single_value(name: str, value: float, **extra: Any) -> Metric:
    """Return the metric of a quantity that has one value (a size, an accuracy): no spread, no interval."""
    info = info_of(name)
    figure = float(value)
    return Metric(
        unit=info.unit,
        better=info.better,
        value=figure,
        count=1,
        mean=figure,
        median=figure,
        min=figure,
        max=figure,
        **extra,
    )


def mean_interval(values: Sequence[float]) -> tuple[float, float] | None:
    """Return the 95 % confidence interval of the mean by Student's t; None for one value or values all equal."""
    if len(values) < 2:
        return None
    spread = statistics.stdev(values)
    if spread == 0:
        return None
    half = quantile(len(values) - 1, 0.975) * spread / math.sqrt(len(values))
    mean = statistics.fmean(values)
    return mean - half, mean + half


def _percentiles(latency: bool, values: list[float], passes: Passes | None) -> dict[str, Any]:  # noqa: FBT001  # private
    if passes is not None:
        return {name: float(statistics.median(getattr(passes, name))) for name in _VALUES_NEEDED}
    if latency:
        return {}
    ordered = sorted(values)
    return {
        name: _percentile(ordered, rank) for name, (rank, needed) in _VALUES_NEEDED.items() if len(values) >= needed
    }


def _percentile(ordered: Sequence[float], rank: float) -> float:
    """Linear interpolation between closest ranks (NumPy's default)."""
    place = (len(ordered) - 1) * rank / 100
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return float(ordered[low] + (ordered[high] - ordered[low]) * (place - low))


Metrics = dict[str, Metric]


Reasons = dict[str, Missing]


def widest(labels: Iterable[str]) -> str | None:
    """Return the label of the widest scope, the first of several probes that have it; None of none."""
    known = list(labels)
    return next((label for scope in SCOPES_BY_WIDTH for label in known if label.partition(":")[0] == scope), None)


def widest_scope(scopes: Sequence[str] | set[str]) -> str | None:
    """Return the scope that covers most of the machine, or None of none."""
    return next((scope for scope in SCOPES_BY_WIDTH if scope in scopes), None)
