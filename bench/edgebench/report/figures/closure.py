"""Closure of two scopes: the share of one the other accounts for, to hold a counter against a meter. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

from edgebench.report.student import quantile
from edgebench_probes.base import WindowEnergy

MIN_WINDOWS = 3


@dataclass(frozen=True, slots=True)
class Closure:
    """Ratio of two energies over the same windows, with the interval at `level`.

    `systematic` is the relative error of the ratio that both data sheets allow; it stands beside the interval.
    """

    ratio: float
    low: float
    high: float
    level: float
    windows: int
    systematic: float


def closure(part: Sequence[WindowEnergy], whole: Sequence[WindowEnergy], level: float = 0.95) -> Closure:
    """Ratio of the sums of `part` and `whole`, window by window the same stretch of time.

    The interval is the ratio estimator's (Cochran, Sampling Techniques, 3rd ed., 6.3): from the scatter of the windows
    about the line through the origin, Student's t with n - 1 degrees of freedom, and never less than the windows' own
    stated uncertainty. Raises ValueError for unequal lengths, fewer than 3 windows, or a `whole` without energy.
    """
    count = len(part)
    if count != len(whole) or count < MIN_WINDOWS:
        raise ValueError(f"closure needs {MIN_WINDOWS} windows or more of both scopes, not {count} and {len(whole)}")
    total_part, total_whole = (math.fsum(w.energy_j for w in side) for side in (part, whole))
    if not total_whole > 0:
        raise ValueError("closure needs energy in the whole")
    ratio = total_part / total_whole
    residuals = math.fsum((a.energy_j - ratio * b.energy_j) ** 2 for a, b in zip(part, whole, strict=True))
    scatter = math.sqrt(count * residuals / (count - 1)) / total_whole
    stated = math.sqrt(
        math.fsum(a.uncertainty_j**2 + (ratio * b.uncertainty_j) ** 2 for a, b in zip(part, whole, strict=True))
    )
    half = max(
        quantile(count - 1, (1 + level) / 2) * scatter, NormalDist().inv_cdf((1 + level) / 2) * stated / total_whole
    )
    systematic = math.hypot(
        math.fsum(w.systematic_j for w in part) / total_part if total_part else 0.0,
        math.fsum(w.systematic_j for w in whole) / total_whole,
    )
    return Closure(ratio, ratio - half, ratio + half, level, count, systematic)
