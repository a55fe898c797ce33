"""Faults of sampled power: the values of a source through the arithmetic of a window, at a load of known power."""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import pairwise

import numpy as np

from edgebench_probes.base import ProbeError, ProbeInfo, Scope
from edgebench_probes.sampling.integrate import integrate
from edgebench_probes.sampling.source import SourceInfo
from tests.faults.counters import Load, Outcome
from tests.faults.virtual import Power

LEAD_S = 0.5  # samples before and after the window, in which a fault may begin too
Values = list[tuple[float, float]]  # time (s), power (W)


def spike(values: Values, at: int, rng: random.Random) -> Values:
    factor = 10 ** rng.uniform(0.02, 5)
    return [(t, p * factor) if index == at else (t, p) for index, (t, p) in enumerate(values)]


def dip(values: Values, at: int, rng: random.Random) -> Values:
    share = rng.uniform(0, 0.9)
    return [(t, p * share) if index == at else (t, p) for index, (t, p) in enumerate(values)]


def lost_digit(values: Values, at: int, _rng: random.Random) -> Values:
    return [(t, p / 10) if index == at else (t, p) for index, (t, p) in enumerate(values)]


def zeros(values: Values, at: int, rng: random.Random) -> Values:
    last = at + rng.randrange(1, 40)
    return [(t, 0.0) if at <= index < last else (t, p) for index, (t, p) in enumerate(values)]


def negative(values: Values, at: int, rng: random.Random) -> Values:
    last = at + rng.randrange(1, 40)
    return [(t, -p) if at <= index < last else (t, p) for index, (t, p) in enumerate(values)]


def other_unit(values: Values, at: int, rng: random.Random) -> Values:
    last, factor = at + rng.randrange(1, 40), rng.choice([1e3, 1e-3, 1e6])
    return [(t, p * factor) if at <= index < last else (t, p) for index, (t, p) in enumerate(values)]


def stuck(values: Values, at: int, rng: random.Random) -> Values:
    last = at + rng.randrange(2, 120)
    return [(t, values[at][1]) if at <= index < last else (t, p) for index, (t, p) in enumerate(values)]


def missing(values: Values, at: int, rng: random.Random) -> Values:
    last = at + rng.randrange(1, 40)
    return [value for index, value in enumerate(values) if not at <= index < last]


def twice(values: Values, at: int, _rng: random.Random) -> Values:
    return [*values[:at], values[at], *values[at:]]


def control(values: Values, _at: int, _rng: random.Random) -> Values:
    return values


Kind = Callable[[Values, int, random.Random], Values]
KINDS: tuple[Kind, ...] = (
    spike,
    dip,
    lost_digit,
    zeros,
    negative,
    other_unit,
    stuck,
    missing,
    twice,
    control,
)


def window(kind: Kind, load: Load, seed: int, sigmas: float = 2.0) -> Outcome:
    """Measure one window of 25 to 200 samples; the source has noise of one to two of its steps, as real ones have.

    The energy is wrong beyond `sigmas` of its uncertainty.
    """
    rng = random.Random(seed)  # noqa: S311 - reproducible
    refresh_s = rng.choice([0.01, 0.1, 1.0])
    seconds = refresh_s * rng.uniform(25, 200)
    step_w = rng.choice([0.01, 0.04])
    power = Power(_stretched(load(rng, seconds / refresh_s / 100), refresh_s * 100), 0)
    sigma_w = step_w * rng.uniform(1, 2)
    lead = int(LEAD_S / 0.01)
    values: Values = []
    for index in range(-lead, int(seconds / refresh_s) + lead):
        t = (index + rng.uniform(-0.05, 0.05)) * refresh_s
        watts = (power.energy_j(t * 1e9 + 1) - power.energy_j(t * 1e9 - 1)) / 2e-9
        values.append((t, max(step_w, round((watts + rng.gauss(0, sigma_w)) / step_w) * step_w)))
    at = rng.randrange(lead - 5, len(values) - lead + 5)
    values = kind(values, at, rng)
    found = Outcome(kind.__name__, detail=f"seed {seed}, {refresh_s} s, {len(values) - 2 * lead} samples")
    found.detail += f", fault at {at - lead}"
    start_s = rng.uniform(0, refresh_s)
    end_s = start_s + seconds - 2 * refresh_s
    info = SourceInfo(ProbeInfo("test", "test", Scope.BOARD_DC, "power", step_w, refresh_s))
    keep = [values[0], *(b for a, b in pairwise(values) if b[0] > a[0])]
    try:
        energy = integrate(np.array([t for t, _ in keep]), np.array([p for _, p in keep]), start_s, end_s, info)
    except ProbeError as error:
        found.reason = error.reason
        return found
    truth_j = power.energy_j(end_s * 1e9) - power.energy_j(start_s * 1e9)
    found.energy_j, found.error_j = energy.energy_j, energy.energy_j - truth_j
    found.interval_j = sigmas * energy.uncertainty_j + step_w * energy.seconds
    return found


def _stretched(steps: list[tuple[float, float]], factor: float) -> list[tuple[float, float]]:
    return [(at * factor, watts) for at, watts in steps]
