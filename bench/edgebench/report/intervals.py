"""Figures, their intervals, and contrasts inside one report; pure arithmetic.

One estimand everywhere: the median over runs of the runs' medians (`middle`). A pair is one round of the session: a run
of the base and a run of the head, next to each other in time, so that drift cancels. The run is the unit of
replication (see docs/report.md).
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from statistics import NormalDist, median
from typing import Literal

LEVEL = 0.95
# Fewer runs than this have a range and no interval: nothing tells whether they are outliers, two speeds or drift.
MIN_RUNS = 5
# The least to the highest of five runs cover 93.75 %; stretched by this they cover 95 % of normal ones.
_STRETCH = 1.1
# Levels or outliers closer than this (a log ratio) are nobody's concern.
LEAST_GAP = 0.02
# Fits to simulated normal runs (python -m tests.statistical.intervals): gaps and neighbours as these, 1 in 100.
_GAP = (0.35, 15.0, 3.0, 1.27)
_DRIFT = (4.72, 3.8)
# Neighbours closer than independent runs usually are (von Neumann's ratio, 2 by chance) widen an interval.
_ALIKE = 1.5
_Z95 = NormalDist().inv_cdf(0.5 + LEVEL / 2)


@dataclass(frozen=True, slots=True)
class Remark:
    """What a reader must know of a metric's runs, with a sentence that begins in lower case."""

    kind: Literal["few", "trending", "outlying", "bimodal"]
    text: str


@dataclass(frozen=True, slots=True)
class Spread:
    """How runs differ: the figure, its 95 % interval (None where there is none), least and highest run, how many."""

    value: float
    ci95: tuple[float, float] | None
    range: tuple[float, float]
    runs: int
    remarks: tuple[Remark, ...]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A ratio or a difference with its 95 % interval; `ci95` is None where the data give none, never NaN.

    `range` is the least to the highest of the pairs, None of what has no pairs of runs.
    """

    value: float
    ci95: tuple[float, float] | None
    pairs: int
    method: str
    range: tuple[float, float] | None = None


def run_medians(runs: Sequence[Sequence[float]]) -> tuple[float, ...]:
    """Return one number a run, the median of its values: the run is the unit of replication. Runs are not empty."""
    return tuple(float(median(run)) for run in runs)


def middle(runs: Sequence[Sequence[float]]) -> float:
    """Return the one figure that stands for a metric everywhere: the median over runs of the runs' medians."""
    return float(median(run_medians(runs)))


def paired_ratio(base_runs: Sequence[Sequence[float]], head_runs: Sequence[Sequence[float]]) -> Estimate | None:
    """Return head/base of the runs' medians, what the two figures say, with the interval of the ratio of pairs.

    Runs pair by their round (their place in the list); a run without its partner is left out. The interval is that of
    `interval`, over the pairs' ratios, so that drift cancels; fewer than five pairs, or pairs whose ratios are all
    equal, have none. None where no pair is left or a median is not positive: a ratio would mean nothing.
    """
    pairs = [
        (float(median(base)), float(median(head)))
        for base, head in zip(base_runs, head_runs, strict=False)
        if len(base) and len(head)
    ]
    if not pairs or not all(0 < value < math.inf for pair in pairs for value in pair):
        return None
    base, head = map(median, zip(*pairs, strict=True))
    value = math.exp(math.log(head) - math.log(base))
    logs = [math.log(after) - math.log(before) for before, after in pairs]
    method = "ratio of medians over runs, interval of the median of pairs"
    # Below this the differences are rounding of the logarithm, not of the machine.
    ends = None if max(logs) - min(logs) <= 1e-12 else _of_median(logs)
    spread = min(_exp(min(logs)), value), max(_exp(max(logs)), value)
    if ends is None:
        return Estimate(value, None, len(pairs), method, spread)
    # The ratio of two medians need not be the median of the ratios; it is never told from it by its own interval.
    return Estimate(value, (min(_exp(ends[0]), value), max(_exp(ends[1]), value)), len(pairs), method, spread)


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


def unpaired_difference(base: float, head: float, images: int) -> Estimate:
    """Return head - base of two accuracies, each on `images` images, where nobody knows which images were right.

    Interval: Newcombe (1998), Statistics in Medicine 17:873, method 10: Wilson scores, squared and added; wider than
    that of pairs where both are right on the same images. Both accuracies are from 0 to 1, `images` above 0.
    """
    first, second = (wilson(round(share * images), images) for share in (base, head))
    low, high = _square_and_add(head, second, base, first, 0.0)
    return Estimate(head - base, (low, high), images, "difference of proportions (Newcombe)")


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


def interval(values: Sequence[float], sigma: float = 0.0) -> tuple[float, float] | None:
    """Return the 95 % confidence interval of the median of runs; None of fewer than five.

    Two order statistics, interpolated on logarithms (Hettmansperger and Sheather 1986, Statistics & Probability
    Letters 4:75): it holds for every distribution whose runs are independent, outliers and two speeds included, and a
    positive quantity never has a negative end. Five runs reach 93.75 % from the least to the highest and are stretched
    by a tenth; runs whose neighbours are alike widen it. `sigma` is what measuring adds for all runs alike (1 sigma, in
    the unit of the values); both add in squares. Runs that drift (`drifting`), or are all equal, have none.
    """
    return _interval(tuple(values), sigma)


@lru_cache(4096)  # a page asks for the same runs in tables and drawings
def _interval(values: tuple[float, ...], sigma: float) -> tuple[float, float] | None:
    if len(values) < MIN_RUNS or min(values) == max(values):
        return None
    alike = _neighbours(values)
    if alike <= _drift(len(values)):
        return None
    positive = min(values) > 0
    scaled = [math.log(value) for value in values] if positive else values
    found = _of_median(scaled)
    if found is None:
        return None
    centre = median(scaled)
    wider = max(1.0, _ALIKE / alike) ** 1.5
    found = centre - wider * (centre - found[0]), centre + wider * (found[1] - centre)
    centre, low, high = (_exp(end) if positive else end for end in (centre, *found))
    if sigma > 0:
        more = _Z95 * sigma
        if positive:
            more = math.log1p(more / centre)
            below, above = math.log(centre / low), math.log(high / centre)
            return centre * math.exp(-math.hypot(below, more)), centre * math.exp(math.hypot(above, more))
        return centre - math.hypot(centre - low, more), centre + math.hypot(high - centre, more)
    return low, high


def drifting(values: Sequence[float]) -> bool:
    """Tell whether runs in their order drift: neighbours are closer than chance has it, 1 in 100 for five or more.

    Von Neumann's ratio (1941, Annals of Mathematical Statistics 12:367) of ranks, as Bartels (1982, JASA 77:40) has
    it, so that an outlier is one rank; the bound for few runs is fitted to simulated independent ones
    (`python -m tests.statistical.intervals`).
    """
    if len(values) < MIN_RUNS or min(values) == max(values):
        return False
    return _neighbours(values) <= _drift(len(values))


def _drift(count: int) -> float:
    """Return the ratio of neighbours that 1 in 100 of so many independent runs is below."""
    return 2 - _DRIFT[0] / math.sqrt(count + _DRIFT[1])


def _neighbours(values: Sequence[float]) -> float:
    """Return von Neumann's ratio of ranks: 2 of independent values, near 0 where each is near the one before."""
    ordered, count = sorted(values), len(values)
    # Twice the ranks, whose mean is how many there are: the ratio is the same, and whole numbers are exact.
    ranks = [bisect_left(ordered, value) + bisect_right(ordered, value) for value in values]
    steps = sum((after - before) ** 2 for before, after in pairwise(ranks))
    return max(steps / sum((rank - count) ** 2 for rank in ranks), 1e-3)


def spread_of(runs: Sequence[Sequence[float]], sigma: float = 0.0) -> Spread:
    """Return what is known of how a metric's runs differ; `sigma` as in `interval`. Raises ValueError of no runs."""
    values = run_medians(runs)
    if not values:
        raise ValueError("no runs have no spread")
    ends, low, high = interval(values, sigma), min(values), max(values)
    remarks = tuple(_remarks(values, drifts=ends is None and low < high))
    return Spread(median(values), ends, (low, high), len(values), remarks)


def _remarks(values: Sequence[float], *, drifts: bool) -> Iterator[Remark]:
    count = len(values)
    if count < MIN_RUNS:
        yield Remark("few", f"{count} run{'s'[: count > 1]}: a range, no interval; {MIN_RUNS} runs have one")
        return
    if drifts:
        yield Remark("trending", f"its {count} runs drift, each is near the one before: a range, no interval")
    if min(values) <= 0:
        return
    ordered = sorted(values)
    gaps = [math.log(after / before) for before, after in pairwise(ordered)]
    gap = max(gaps)
    low = gaps.index(gap) + 1
    within = max(math.log(ordered[low - 1] / ordered[0]), math.log(ordered[-1] / ordered[low]))
    if gap < LEAST_GAP or gap < within * (_GAP[0] + _GAP[1] / (count - _GAP[2]) ** _GAP[3]):
        return
    few = min(low, count - low)
    change = math.exp(gap) - 1
    if few <= max(1, count // 8):
        which = "faster or lower" if few == low and low < count - low else "slower or higher"
        told = f"{few} of {count} runs {'lies' if few == 1 else 'lie'} {change:.0%} or more apart, {which}"
        yield Remark("outlying", told)
    else:
        yield Remark("bimodal", f"its runs have two levels, {low} and {count - low} of {count}, {change:.0%} apart")


def _of_median(values: Sequence[float]) -> tuple[float, float] | None:
    """Return the 95 % interval of the median by order statistics; None of fewer than five values."""
    count = len(values)
    if count < MIN_RUNS:
        return None
    ordered = sorted(values)
    centre = median(ordered)
    if count == MIN_RUNS:
        return centre - _STRETCH * (centre - ordered[0]), centre + _STRETCH * (ordered[-1] - centre)
    # Coverage of the k-th value from either end: 1 - 2 P(a coin of n throws shows fewer than k heads).
    tail, k = 2.0**-count, 1
    while 1 - 2 * (more := tail + math.comb(count, k) * 2.0**-count) >= LEVEL:
        tail, k = more, k + 1
    wide, narrow = 1 - 2 * tail, 1 - 2 * more
    part = (wide - LEVEL) / (wide - narrow)
    weight = (count - k) * part / (k + (count - 2 * k) * part)
    low = (1 - weight) * ordered[k - 1] + weight * ordered[k]
    high = (1 - weight) * ordered[count - k] + weight * ordered[count - k - 1]
    return low, high
