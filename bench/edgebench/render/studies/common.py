"""What the studies' tables share: a judgement of a published effect by an interval, and how figures are written."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from edgebench.report.model import Benchmark, Contrast

Judgement = Literal["seen here", "not seen here", "cannot be told"]
# An effect published as none counts as seen when the interval leaves no room for more than this, in per cent or
# points: the margin below which the project's gate ignores a change as well.
NEGLIGIBLE = 1.0


def judge(
    band: tuple[float, float], measured: float, interval: tuple[float, float] | None, *, exact: bool
) -> tuple[Judgement, str]:
    """Say whether a measured effect is the published one, and why where the interval does not tell; per cent or points.

    Seen: the interval meets the band and excludes no effect (or, where the band holds no effect, leaves no room for
    more than NEGLIGIBLE). Not seen: the interval excludes the band. Else it cannot be told.
    """
    if interval is None:
        if not exact:
            return "cannot be told", "fewer than five pairs of runs, or runs that do not differ"
        return ("seen here" if band[0] <= measured <= band[1] else "not seen here"), "exact"
    low, high = interval
    if high < band[0] or low > band[1]:
        return "not seen here", ""
    if band[0] <= 0 <= band[1]:
        return ("seen here", "") if max(-low, high) <= NEGLIGIBLE else ("cannot be told", "too wide an interval")
    if low <= 0 <= high:
        return "cannot be told", "it may be that, or nothing"
    return "seen here", ""


def contrast_of(contrasts: Iterable[Contrast], metric: str, base: str, head: str) -> Contrast | None:
    """Return a report's contrast of a metric between two benchmarks, or None."""
    return next((one for one in contrasts if (one.metric, one.base, one.head) == (metric, base, head)), None)


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
