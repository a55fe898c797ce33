"""One figure of a benchmark against another's: what the two say, and how sure it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from edgebench.report.catalogue import info_of
from edgebench.report.intervals import Estimate, exact_ratio, paired_ratio, unpaired_difference

if TYPE_CHECKING:
    from edgebench.report.model import Benchmark, Report
    from edgebench.report.quantity import Metric

Sure = Literal["better", "worse", "equal", "untold", "unsure"]


@dataclass(frozen=True, slots=True)
class Change:
    """A metric of `head` against that of `base`, both names of benchmarks.

    `ratio` is head/base, or `difference` head - base of shares (accuracy); one of them is None. `ci95` is its 95 %
    interval and `range` the least to the highest pair of runs, in the same measure; None where there is none. `exact`
    is what has no spread (a size). `higher` says whether more is better.
    """

    metric: str
    base: str
    head: str
    ratio: float | None
    difference: float | None
    ci95: tuple[float, float] | None
    range: tuple[float, float] | None
    pairs: int
    exact: bool
    higher: bool

    @property
    def sure(self) -> Sure:
        """Say what is known: surely better, surely worse, exactly equal, untold by the interval, unsure without one."""
        none = 0.0 if self.ratio is None else 1.0
        if self.exact:
            value = self.difference if self.ratio is None else self.ratio
            low = high = none if value is None else value
            if low == none:
                return "equal"
        elif self.ci95 is None:
            return "unsure"
        else:
            low, high = self.ci95
        if low <= none <= high:
            return "untold"
        return "better" if (low > none) == self.higher else "worse"


def change_of(report: Report, metric: str, base: Benchmark, head: Benchmark) -> Change | None:
    """Return a metric of one benchmark against another's, None where one lacks it or their joules are not alike.

    Runs are paired by round where both have them; shares of the same images are paired image by image where the report
    has that contrast, and told apart as two samples else.
    """
    first, second = base.metrics.get(metric), head.metrics.get(metric)
    if first is None or second is None or (first.probe, first.scope) != (second.probe, second.scope):
        return None
    gauge = info_of(metric).gauge
    shares = gauge is not None and gauge.absolute
    told = next(
        (one for one in report.contrasts if (one.metric, one.base, one.head) == (metric, base.name, head.name)), None
    )
    if shares and told is not None and told.difference is not None:
        estimate: Estimate | None = Estimate(told.difference, told.ci95, told.pairs, told.method)
    elif shares:
        estimate = _of_shares(first, second)
    elif first.runs and second.runs:
        estimate = paired_ratio(first.runs, second.runs)
    else:
        estimate = exact_ratio(first.median, second.median)
    if estimate is None:
        return None
    return Change(
        metric=metric,
        base=base.name,
        head=head.name,
        ratio=None if shares else estimate.value,
        difference=estimate.value if shares else None,
        ci95=estimate.ci95,
        range=estimate.range,
        pairs=estimate.pairs,
        exact=estimate.method == "exact",
        higher=info_of(metric).better == "higher",
    )


def _of_shares(base: Metric, head: Metric) -> Estimate:
    if base.images and base.images == head.images and all(0 <= one.median <= 1 for one in (base, head)):
        return unpaired_difference(base.median, head.median, base.images)
    return Estimate(head.median - base.median, None, 0, "difference")
