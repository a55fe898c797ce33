"""Noise like that of benchmarks: log-normal, clustered by run, correlated inside a run, with outliers and drift.

`Pool` holds the medians of many simulated runs, so that a suite costs a draw from it and not its single values.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]
Places = NDArray[np.int_]
VALUES = 20
RHO = 0.6
SESSION_SD = 0.01


@dataclass(frozen=True, slots=True)
class Kind:
    """How a cell varies: between processes and inside one (standard deviations of the logarithm)."""

    process_sd: float
    within_sd: float


NOISY = Kind(process_sd=0.015, within_sd=0.03)
QUIET = Kind(process_sd=0.008, within_sd=0.015)


def values(kind: Kind, runs: int, rng: np.random.Generator) -> Array:
    """Return the logarithms of the values of runs (runs x VALUES) around zero."""
    noise = rng.normal(size=(runs, VALUES))
    series = np.empty_like(noise)
    series[:, 0] = noise[:, 0]
    for step in range(1, VALUES):
        series[:, step] = RHO * series[:, step - 1] + np.sqrt(1 - RHO**2) * noise[:, step]
    outliers = rng.random(size=series.shape) < 0.02
    disturbed = np.where(rng.random(runs) < 0.005, rng.uniform(0.02, 0.10, runs), 0.0)
    of_run = kind.process_sd * rng.normal(size=runs) + disturbed
    spikes = outliers * rng.exponential(0.2, size=series.shape)
    found: Array = of_run[:, None] + kind.within_sd * series + spikes
    return found


@cache
def pool(kind: Kind) -> Array:
    """Return the medians of 200,000 runs."""
    return np.median(values(kind, 200_000, np.random.default_rng(11)), axis=1)


def runs_of(noisy: NDArray[np.bool_], runs: int, rng: np.random.Generator) -> Array:
    """Return the log medians of runs, cells x runs."""
    size = (len(noisy), runs)
    picks = rng.integers(0, 200_000, size=size)
    return np.where(noisy[:, None], pool(NOISY)[picks], pool(QUIET)[picks])


def drift(cells: int, shared: float, rng: np.random.Generator) -> Array:
    """Return a session's drift of each cell: 1 % in all, of which `shared` (of the variance) is the machine's."""
    common = np.sqrt(shared) * rng.normal()
    found: Array = SESSION_SD * (common + np.sqrt(1 - shared) * rng.normal(size=cells))
    return found
