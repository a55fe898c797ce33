"""What the studies' tables share: a judgement of a published effect by an interval, and how figures are written."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from edgebench.render import cells
from edgebench.render.units import share, signed
from edgebench.report.intervals import wilson
from edgebench.report.model import Benchmark, Contrast

Judgement = Literal["shown", "not shown", "cannot tell"]
# An effect published as none counts as shown when the interval leaves no room for more than this, in per cent or
# points: the margin below which the project's gate ignores a change as well.
NEGLIGIBLE = 1.0


def judge(
    band: tuple[float, float], measured: float, interval: tuple[float, float] | None, *, exact: bool
) -> tuple[Judgement, str]:
    """Say whether a measured effect shows a published one, and why; all in per cent or points.

    Shown: the interval meets the band and excludes no effect (or, where the band holds no effect, leaves no room for
    more than NEGLIGIBLE). Not shown: the interval excludes the band. Else it cannot be told.
    """
    if interval is None:
        if not exact:
            return "cannot tell", "one pair of runs, or runs that do not differ, give no interval"
        inside = band[0] <= measured <= band[1]
        return ("shown", "exact") if inside else ("not shown", f"exactly {signed(measured, 2)}")
    low, high = interval
    told = f"[{signed(low, 2)}, {signed(high, 2)}]"
    if high < band[0] or low > band[1]:
        return "not shown", f"interval {told} excludes it"
    if band[0] <= 0 <= band[1]:
        narrow = max(-low, high) <= NEGLIGIBLE
        return ("shown", f"interval {told}") if narrow else ("cannot tell", f"interval {told} too wide")
    if low <= 0 <= high:
        return "cannot tell", f"interval {told} too wide: it holds no effect as well"
    return "shown", f"interval {told}"


def contrast_of(contrasts: Iterable[Contrast], metric: str, base: str, head: str) -> Contrast | None:
    """Return a report's contrast of a metric between two benchmarks, or None."""
    return next((one for one in contrasts if (one.metric, one.base, one.head) == (metric, base, head)), None)


def accuracy(row: Benchmark) -> str:
    """Return an accuracy with its 95 % interval over the test images (Wilson), where their number is known."""
    metric = row.metrics.get("accuracy_top1")
    if metric is None or metric.ci95 is not None or not metric.images:
        return cells.metric_cell(row, "accuracy_top1")
    right = cells.headline(metric)
    if not 0 <= right <= 1:
        return cells.metric_cell(row, "accuracy_top1")
    low, high = wilson(round(right * metric.images), metric.images)
    return f"{share(right)} [{100 * low:.1f}, {100 * high:.1f}]"


def to_percent(ratio: float) -> float:
    """Return a ratio as a change in per cent."""
    return 100 * (ratio - 1)


def model_name(row: Benchmark) -> str:
    """Return a benchmark's model, with its width where that is not 1."""
    width = row.params.get("width", 1.0)
    return f"{row.params.get('model')}" if width == 1.0 else f"{row.params.get('model')}-{width:g}"


def models_of(rows: Iterable[Benchmark]) -> Sequence[str]:
    """Return the models of benchmarks, each once, in their order."""
    return list(dict.fromkeys(model_name(row) for row in rows))
