"""Variances that borrow strength from each other: empirical Bayes, as limma does it.

Smyth (2004), Linear models and empirical Bayes methods, Statistical Applications in Genetics and Molecular Biology
3(1), article 3, section 6.2: the sample variances of many cells are scaled F; two moments of their logarithms give
the prior's size and weight.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgebench.report.student import digamma, tetragamma, trigamma

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]
# Beyond this a t is a normal for every purpose here.
MOST_DF = 1e6
# Fewer cells than this cannot tell how variances differ between cells.
_CELLS_NEEDED = 4
_DIGAMMA = np.frompyfunc(digamma, 1, 1)
_TRIGAMMA = np.frompyfunc(trigamma, 1, 1)


@dataclass(frozen=True, slots=True)
class Prior:
    """A variance worth `df` degrees of freedom."""

    variance: float
    df: float


def fit_prior(variances: Array, df: Array) -> Prior | None:
    """Return the prior of variances with their degrees of freedom; None of fewer than four cells that have any.

    `df` of the prior is infinite (MOST_DF) where the variances differ by no more than chance.
    """
    usable = (df > 0) & np.isfinite(variances)
    if int(usable.sum()) < _CELLS_NEEDED:
        return None
    count = int(usable.sum())
    found, freedom = variances[usable], df[usable]
    pooled = float((found * freedom).sum() / freedom.sum())
    if pooled <= 0:
        return Prior(0.0, MOST_DF)
    # A variance of zero has no logarithm: it counts as very small against the rest.
    expected = np.asarray(_DIGAMMA(freedom / 2), dtype=np.float64) - np.log(freedom / 2)
    logs = np.log(np.maximum(found, 1e-5 * pooled)) - expected
    centre = float(logs.mean())
    excess = float(((logs - centre) ** 2).sum() / (count - 1) - np.mean(_TRIGAMMA(freedom / 2)))
    if excess <= 0:
        return Prior(pooled, MOST_DF)
    prior_df = 2 * _inverse_trigamma(excess)
    return Prior(math.exp(centre + digamma(prior_df / 2) - math.log(prior_df / 2)), min(prior_df, MOST_DF))


def shrink(variances: Array, df: Array, prior: Prior) -> tuple[Array, Array]:
    """Return the posterior variances and their degrees of freedom; a cell without any takes the prior's."""
    own = np.where((df > 0) & np.isfinite(variances), variances, 0.0)
    freedom = np.where(np.isfinite(variances), df, 0.0)
    # What all cells together know bounds what one may claim.
    most = float(freedom.sum()) + (prior.df if prior.df < MOST_DF else 0.0)
    total = prior.df + freedom
    return (prior.df * prior.variance + freedom * own) / total, np.minimum(total, max(most, 1.0))


def _inverse_trigamma(value: float) -> float:
    """Newton's method on 1/trigamma, which is nearly linear (Smyth 2004, appendix)."""
    if value > 1e7:
        return 1 / math.sqrt(value)
    if value < 1e-6:
        return 1 / value
    found = 0.5 + 1 / value
    for _ in range(50):
        height = trigamma(found)
        step = height * (1 - height / value) / tetragamma(found)
        found += step
        if -step / found < 1e-8:
            break
    return found
