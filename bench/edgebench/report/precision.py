"""Precision that was asked for: how wide an interval is, when there are runs enough, and why a session stopped.

Stopping at the first interval that is narrow (Chow and Robbins 1965, Annals of Mathematical Statistics 36:457) keeps
those that are narrow by luck. Observations after that make up for it (Woodroofe 1977, Annals of Statistics 5:984): here
a third more. What is left of the 95 % is in docs/evidence.md (`python -m tests.statistical.stopping`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from edgebench.plan.kinds import KINDS
from edgebench.report.base import Amount, Few, Name, Part, Table
from edgebench.report.intervals import interval, run_medians
from edgebench.report.quantity import Metric

if TYPE_CHECKING:
    from edgebench.plan.plan import Benchmark

# After the first narrow interval come so many times more runs.
MORE = 1 / 3
Stopped = Literal["reached", "max_runs", "max_minutes", "failed", "interrupted"]
_WHY: Mapping[Stopped, str] = {
    "max_runs": "it has the most runs that the suite allows (max_runs)",
    "max_minutes": "the time for measuring was used up (--max-minutes)",
    "failed": "a run failed",
    "interrupted": "the session ended",
}


class Precision(Part):
    """What was asked of a benchmark's intervals, and what they have: relative half-widths, 0.02 for ±2 %.

    `reached` has the metrics that count and have an interval; `lacking` those whose runs have none, as they drift.
    `stopped`: ``reached``, or what ended it before.
    """

    asked: Amount
    reached: Table[Amount]
    lacking: Few[Name] = ()
    stopped: Stopped


def enough(narrow: Callable[[int], bool], least: int, runs: int) -> bool:
    """Tell whether `runs` are enough: intervals are narrow, and already were with three quarters of them.

    `narrow` tells it of the first so many runs.
    """
    first = next((count for count in range(least, runs + 1) if narrow(count)), None)
    return first is not None and runs >= confirmed(first) and narrow(runs)


def confirmed(runs: int) -> int:
    """Return how many runs there have to be where so many were the first with narrow intervals."""
    return math.ceil(runs * (1 + MORE))


def half_width(metric: Metric) -> float | None:
    """Return the larger side of a 95 % interval of a figure, relative to it; None where it has none.

    On the logarithm: an interval from half to twice the figure is 1, as its far end is off by so much. What is
    systematic in joules is left out, as no run narrows it.
    """
    ends = metric.ci95
    if ends is not None and metric.systematic and metric.runs:
        ends = interval(run_medians(metric.runs))
    if ends is None:
        same = metric.runs is not None and len(metric.runs) > 1 and metric.min == metric.max
        return 0.0 if same else None
    low, high = ends
    if not 0 < low <= metric.median <= high:
        return None
    return max(metric.median / low, high / metric.median) - 1


def half_widths(kind: str, metrics: Mapping[str, Metric]) -> dict[str, float | None]:
    """Return the half-width of each metric that counts for a kind of benchmark and was measured."""
    return {name: half_width(metrics[name]) for name in KINDS[kind].precise if name in metrics}


def precise(asked: float, widths: Mapping[str, float | None]) -> bool:
    """Tell whether every interval is there and as narrow as asked."""
    return all(width is not None and width <= asked for width in widths.values())


def runs_needed(asked: float, widths: Mapping[str, float | None], runs: int, most: int) -> int:
    """Forecast how many runs it takes in all, as intervals narrow with their root; `most` where nothing tells."""
    known = [width for width in widths.values() if width is not None]
    if len(known) < len(widths):
        return most
    return min(most, confirmed(max([runs, *(math.ceil(runs * (width / asked) ** 2) for width in known)])))


def precision_of(
    cell: Benchmark, metrics: Mapping[str, Metric], runs: int, *, failed: bool, complete: bool
) -> Precision | None:
    """Return what was asked of a benchmark and reached, None where only a number of runs was; pure."""
    measure = cell.measure
    if not measure.precision:
        return None
    widths = half_widths(cell.kind, metrics)
    stopped: Stopped = "max_minutes"
    if precise(measure.precision, widths):
        stopped = "reached"
    elif failed:
        stopped = "failed"
    elif runs >= measure.most_runs:
        stopped = "max_runs"
    elif not complete:
        stopped = "interrupted"
    return Precision(
        asked=measure.precision,
        reached={name: width for name, width in widths.items() if width is not None},
        lacking=tuple(name for name, width in widths.items() if width is None),
        stopped=stopped,
    )


def told(precision: Precision, runs: int) -> str:
    """Return a benchmark's precision as a person reads it: ``±1.2 % of latency, ±0.8 % of energy in 12 runs``."""
    parts = [
        f"±{100 * width:.{1 if width < 0.1 else 0}f} % of {_word(name)}" for name, width in precision.reached.items()
    ]
    parts += [f"no interval of {_word(name)}" for name in precision.lacking]
    text = f"{', '.join(parts)} in {runs} runs"
    if precision.stopped == "reached":
        return text
    return f"{text}, not the ±{100 * precision.asked:g} % that was asked for: {_WHY[precision.stopped]}"


def summary(every: Sequence[Precision]) -> str | None:
    """Return one sentence on all benchmarks that were to be measured so precisely; None of none."""
    if not every:
        return None
    asked = " or ".join(f"±{100 * one:g} %" for one in sorted({one.asked for one in every}))
    lacking = [one for one in every if one.stopped != "reached"]
    text = f"{len(every) - len(lacking)} of {len(every)} benchmarks have the precision that was asked for ({asked})"
    why = sorted({_WHY[one.stopped] for one in lacking})
    return f"{text}; where not, {' or '.join(why)}" if why else text


def _word(name: str) -> str:
    return {"latency_s": "latency", "compress_s": "time"}.get(name, "energy")
