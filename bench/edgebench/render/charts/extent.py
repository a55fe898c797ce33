"""How far a figure reaches: its interval, or the range of its runs, or that nobody knows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from edgebench.render import cells
from edgebench.report.catalogue import METRICS
from edgebench.report.intervals import run_medians, wilson
from edgebench.report.quantity import Metric

Kind = Literal["interval", "range", "exact", "unknown"]


@dataclass(frozen=True, slots=True)
class Extent:
    """A figure from `low` to `high`.

    These are the ends of its 95 % interval, or (of fewer than five runs) its least and highest run, or, of what has no
    spread (`exact`) and where there is nothing to tell it by (`unknown`), the figure itself.
    """

    value: float
    low: float
    high: float
    kind: Kind

    @property
    def drawn(self) -> bool:
        """Whether there is a bar to draw."""
        return self.low < self.high


def extent(name: str, metric: Metric) -> Extent:
    """Return how far a metric of a report reaches; an accuracy by Wilson's interval of its test images."""
    value = cells.headline(metric)
    if metric.ci95 is not None:
        return Extent(value, *metric.ci95, "interval")
    if (sigma := cells.sigma(metric)) is not None:
        return Extent(value, value - 1.96 * sigma, value + 1.96 * sigma, "interval")
    if name == "accuracy_top1" and metric.images and 0 <= value <= 1:
        low, high = wilson(round(value * metric.images), metric.images)
        return Extent(value, min(low, value), max(high, value), "interval")
    medians = run_medians(metric.runs) if metric.runs and all(metric.runs) else ()
    if len(medians) > 1:
        return Extent(value, min(medians), max(medians), "range")
    info = METRICS.get(name.partition(".")[0])
    exact = info is not None and info.gauge is not None and info.gauge.exact
    return Extent(value, value, value, "exact" if exact else "unknown")
