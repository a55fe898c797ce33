"""Contrasts inside one report: variant against baseline, measured interleaved; pure arithmetic.

A pair is one round of the session: a run of the base and a run of the head, next to each other in time, so that drift
cancels. The run is the unit of replication (see docs/report.md).
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

_Z95 = 1.959963984540054


@dataclass(frozen=True, slots=True)
class Estimate:
    """A ratio or a difference with its 95 % interval; `ci95` is None where the data give none, never NaN."""

    value: float
    ci95: tuple[float, float] | None
    pairs: int
    method: str


def paired_ratio(base_runs: Sequence[Sequence[float]], head_runs: Sequence[Sequence[float]]) -> Estimate | None:
    """Return head/base by a paired t on the logarithms of the medians of the runs.

    Runs pair by their round (their place in the list); a run without its partner is left out. One pair, or pairs
    whose ratios are all equal, have no interval. None where no pair is left or a median is not positive: a ratio
    would mean nothing.
    """
    pairs = [
        (float(statistics.median(base)), float(statistics.median(head)))
        for base, head in zip(base_runs, head_runs, strict=False)
        if len(base) and len(head)
    ]
    if not pairs or not all(0 < value < math.inf for pair in pairs for value in pair):
        return None
    logs = [math.log(head) - math.log(base) for base, head in pairs]
    centre = statistics.fmean(logs)
    method = "paired t on log ratios of run medians"
    spread = statistics.stdev(logs) if len(logs) > 1 else 0.0
    # Below this the differences are rounding of the logarithm, not of the machine.
    if spread <= 1e-12:
        return Estimate(math.exp(centre), None, len(pairs), method)
    from scipy.special import stdtrit

    half = float(stdtrit(len(logs) - 1, 0.975)) * spread / math.sqrt(len(logs))
    return Estimate(math.exp(centre), (_exp(centre - half), _exp(centre + half)), len(pairs), method)


def exact_ratio(base: float, head: float) -> Estimate | None:
    """Return head/base of two quantities that have no spread (sizes); None unless both are positive."""
    if not (0 < base < math.inf and 0 < head < math.inf):
        return None
    return Estimate(head / base, None, 0, "exact")


def paired_difference(both: int, base_only: int, head_only: int, neither: int) -> Estimate:
    """Return head - base of two accuracies on the same test images, from the counts of who was right.

    Interval: Newcombe (1998), Statistics in Medicine 17:2635, method 10: Wilson scores, squared and added, with the
    correlation of the pairs. `pairs` is the number of images. Raises ValueError for no images or negative counts.
    """
    images = both + base_only + head_only + neither
    if min(both, base_only, head_only, neither) < 0 or images == 0:
        raise ValueError("the counts of a paired difference are not negative, and at least one image was tested")
    base, head = (both + base_only) / images, (both + head_only) / images
    rows = (both + base_only) * (head_only + neither) * (both + head_only) * (base_only + neither)
    product = both * neither - base_only * head_only
    corrected = max(product - images / 2, 0.0) if product > 0 else float(product)
    correlation = corrected / math.sqrt(rows) if rows else 0.0
    low, high = _square_and_add(
        head, wilson(both + head_only, images), base, wilson(both + base_only, images), correlation
    )
    return Estimate(
        (head_only - base_only) / images, (low, high), images, "paired difference of proportions (Newcombe method 10)"
    )


def wilson(right: int, images: int) -> tuple[float, float]:
    """Return the 95 % Wilson score interval of a proportion."""
    share, square = right / images, _Z95**2
    centre = (share + square / (2 * images)) / (1 + square / images)
    half = _Z95 / (1 + square / images) * math.sqrt(share * (1 - share) / images + square / (4 * images**2))
    return max(0.0, min(centre - half, share)), min(1.0, max(centre + half, share))


def _square_and_add(
    head: float, head_ci: tuple[float, float], base: float, base_ci: tuple[float, float], correlation: float
) -> tuple[float, float]:
    def reach(first: float, second: float) -> float:
        return math.sqrt(max(0.0, first**2 - 2 * correlation * first * second + second**2))

    difference = head - base
    low = difference - reach(head - head_ci[0], base_ci[1] - base)
    high = difference + reach(head_ci[1] - head, base - base_ci[0])
    return max(-1.0, low), min(1.0, high)


def _exp(value: float) -> float:
    """Exponential that stays finite: two wild runs can spread an interval beyond what a float holds."""
    return math.exp(min(value, 700.0))
