"""Worlds to try the gate in: how runs of one session vary, and how sessions of an unchanged system do.

Everything is in logarithms. A run's value is the cell's session plus the world's noise; half of the variance between
sessions is common to all cells, as it is the machine's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from edgebench.compare.inference import RunStats
from edgebench.compare.jumps import Jumps, jumps_from
from tests.statistical.noise import NOISY, QUIET, SESSION_SD, Array, drift

World = Callable[[np.random.Generator, tuple[int, ...]], Array]
SLOW_MODE = float(np.log(1.28))


def plain(rng: np.random.Generator, size: tuple[int, ...]) -> Array:
    """Return noise of noisy and quiet cells in turn (cells are the last but one axis)."""
    sd = np.where(np.arange(size[-2]) % 2 == 0, NOISY.process_sd, QUIET.process_sd)
    found: Array = sd[:, None] * rng.normal(size=size)
    return found


def outliers(share: float, *, both: bool = False) -> World:
    """Return a world where a share of the runs is slower by 10 to 50 %, or faster as often where `both`."""

    def world(rng: np.random.Generator, size: tuple[int, ...]) -> Array:
        jump = rng.uniform(0.1, 0.4, size) * (rng.random(size) < share)
        if both:
            jump *= rng.choice([-1.0, 1.0], size)
        return plain(rng, size) + jump

    return world


def disturbed(rng: np.random.Generator, size: tuple[int, ...]) -> Array:
    """Return outlier runs that come together: one session in ten has 20 % of them, the others 2 %."""
    share = np.where(rng.random((size[0], *(1 for _ in size[1:]))) < 0.1, 0.2, 0.02)
    return plain(rng, size) + rng.uniform(0.1, 0.7, size) * (rng.random(size) < share)


def bimodal(share: float) -> World:
    """Return a world where a share of the runs is 28 % slower, in every cell."""

    def world(rng: np.random.Generator, size: tuple[int, ...]) -> Array:
        return plain(rng, size) + SLOW_MODE * (rng.random(size) < share)

    return world


def walk(rng: np.random.Generator, size: tuple[int, ...]) -> Array:
    """Return noise that a random walk of 1 % a run is added to, each cell its own."""
    return plain(rng, size) + np.cumsum(0.01 * rng.normal(size=size), axis=-1)


def bursts(rng: np.random.Generator, size: tuple[int, ...]) -> Array:
    """Return noise of a loaded machine: every tenth run a burst begins that lasts 2.5 runs, slower by 10 to 100 %."""
    jump = np.zeros(size)
    for run in range(size[-1]):
        begins = rng.uniform(0.1, 0.7, size[:-1]) * (rng.random(size[:-1]) < 0.1)
        goes_on = jump[..., run - 1] * (rng.random(size[:-1]) < 0.6) if run else 0.0
        jump[..., run] = np.maximum(begins, goes_on)
    found: Array = plain(rng, size) + jump
    return found


WORLDS: Mapping[str, World] = {
    "log-normal": plain,
    "1 % outlier runs": outliers(0.01),
    "5 % outlier runs": outliers(0.05),
    "5 % outlier runs, slow and fast": outliers(0.05, both=True),
    "outlier runs, 20 % of one session in ten": disturbed,
    "two speeds, 20/80": bimodal(0.2),
    "two speeds, 50/50": bimodal(0.5),
    "random walk between runs": walk,
}
# Runs that alternate meet what comes and goes within minutes.
AB_WORLDS: Mapping[str, World] = {**WORLDS, "bursts of other load": bursts}


def sessions_of(
    world: World, rng: np.random.Generator, sessions: int, cells: int, runs: int, spread: float, shared: float = 0.5
) -> Array:
    """Return the logs of sessions x cells x runs; `spread` is one standard deviation between sessions."""
    found = world(rng, (sessions, cells, runs))
    for number in range(sessions):
        found[number] += spread / SESSION_SD * drift(cells, shared, rng)[:, None]
    return found


def stats_of(logs: Array) -> RunStats:
    """Return what `run_stats` returns of the runs, cells x runs, for all cells at once."""
    ordered = np.exp(np.sort(logs, axis=1))
    count = logs.shape[1]
    low, high = ordered[:, (count - 1) // 2], ordered[:, count // 2]
    squares = ((logs - logs.mean(axis=1, keepdims=True)) ** 2).sum(axis=1)
    return RunStats(np.log((low + high) / 2), np.log(low), np.log(high), np.full(len(logs), float(count)), squares)


def jumps_in(sessions: Array) -> Jumps:
    """Return what `jumps_of` returns of sessions x cells x runs."""
    count, cells, runs = sessions.shape
    if runs < 2:
        return jumps_from(np.empty((count, cells, 0)), np.empty((count, cells, 0)))
    if runs == 2:
        apart = np.abs(sessions[..., 1] - sessions[..., 0])[..., None]
        up = down = np.concatenate([np.zeros_like(apart), apart], axis=2)
    else:
        up = sessions - np.median(sessions, axis=2, keepdims=True)
        down = -up
    return jumps_from(up, down)
