"""How far a figure reaches: its interval, or the range of its runs, or that nobody knows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from edgebench.render import cells
from edgebench.report.catalogue import METRICS
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
    """Return how far a metric of a report reaches; a share as its table has it, by its test images."""
    value = cells.headline(metric)
    found = cells.spread(metric)
    if found is not None and found.ci95 is not None:
        return Extent(value, *found.ci95, "interval")
    if found is not None and found.runs > 1:
        return Extent(value, *found.range, "range")
    if cells.is_share(name) and (ends := cells.share_interval(value, metric.images)) is not None:
        return Extent(value, *ends, "interval")
    info = METRICS.get(name.partition(".")[0])
    exact = found is None and info is not None and info.gauge is not None and info.gauge.exact
    return Extent(value, value, value, "exact" if exact else "unknown")
