"""Faults of a counter, as changes of what it shows, and windows in which they happen."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from edgebench_probes.base import ProbeError
from tests.faults.virtual import MODULUS_UJ, RANGE_UJ, Clock, Power, VirtualCounter, refused, virtual_probe

POWER_W = 7.0


@dataclass(frozen=True)
class Fault:
    """When it happens (ns), how long it lasts, and a random size."""

    at: float
    until: float
    rng: random.Random

    def during(self, t: float) -> bool:
        return self.at <= t < self.until


def _shift(counter: VirtualCounter, fault: Fault, microjoules: float) -> None:
    counter.shown = lambda t: counter.show(counter.energy_uj(t) + (microjoules if t >= fault.at else 0.0))


def _instead(counter: VirtualCounter, fault: Fault, value: Callable[[float], int]) -> None:
    counter.shown = lambda t: value(t) if fault.during(t) else counter.true(t)


def jump_up(counter: VirtualCounter, fault: Fault) -> None:
    _shift(counter, fault, 10 ** fault.rng.uniform(3, 7.5))


def jump_huge(counter: VirtualCounter, fault: Fault) -> None:
    _shift(counter, fault, fault.rng.uniform(2e9, RANGE_UJ / 2))


def jump_down(counter: VirtualCounter, fault: Fault) -> None:
    _shift(counter, fault, -(10 ** fault.rng.uniform(3, 7)))


def double_wrap(counter: VirtualCounter, fault: Fault) -> None:
    _shift(counter, fault, 2 * MODULUS_UJ)


def freeze_lose(counter: VirtualCounter, fault: Fault) -> None:
    stands = counter.energy_uj(fault.at)
    lost = counter.energy_uj(fault.until) - stands

    def shown(t: float) -> int:
        if t < fault.at:
            return counter.true(t)
        return counter.show(stands if t < fault.until else counter.energy_uj(t) - lost)

    counter.shown = shown


def freeze_catch(counter: VirtualCounter, fault: Fault) -> None:
    stands = counter.true(fault.at)
    _instead(counter, fault, lambda _: stands)


def spike(counter: VirtualCounter, fault: Fault) -> None:
    height = 10 ** fault.rng.uniform(3, 7.5)
    _instead(counter, fault, lambda t: counter.show(counter.energy_uj(t) + height))


def zero(counter: VirtualCounter, fault: Fault) -> None:
    _instead(counter, fault, lambda _: 0)


def reset(counter: VirtualCounter, fault: Fault) -> None:
    _shift(counter, fault, -counter.energy_uj(fault.at))


def reset_anywhere(counter: VirtualCounter, fault: Fault) -> None:
    _shift(counter, fault, -fault.rng.uniform(0, RANGE_UJ))


def truncated(counter: VirtualCounter, fault: Fault) -> None:
    digits = fault.rng.randrange(1, 11)
    _instead(counter, fault, lambda t: int(str(counter.true(t))[:digits]))


def garbage(counter: VirtualCounter, fault: Fault) -> None:
    _instead(counter, fault, lambda _: fault.rng.choice([-1, 10**20, fault.rng.randrange(RANGE_UJ)]))


def unreadable(counter: VirtualCounter, fault: Fault) -> None:
    def raises(_: float) -> int:
        raise refused(fault.rng.choice(["it holds no number", "the zone has vanished", "Input/output error"]))

    _instead(counter, fault, raises)


def vanished(counter: VirtualCounter, fault: Fault) -> None:
    unreadable(counter, Fault(fault.at, float("inf"), fault.rng))


def control(counter: VirtualCounter, fault: Fault) -> None:
    """No fault."""


Kind = Callable[[VirtualCounter, Fault], None]
KINDS: tuple[Kind, ...] = (
    jump_up,
    jump_huge,
    jump_down,
    double_wrap,
    freeze_lose,
    freeze_catch,
    spike,
    zero,
    reset,
    reset_anywhere,
    truncated,
    garbage,
    unreadable,
    vanished,
    control,
)


def steady(_rng: random.Random, _seconds: float) -> list[tuple[float, float]]:
    return [(-10.0, POWER_W)]


def stepping(rng: random.Random, seconds: float) -> list[tuple[float, float]]:
    """Idle to busy or back, by a factor of 1.5 to 8, once inside the window."""
    low, factor = rng.uniform(1, 4), rng.uniform(1.5, 8)
    first, second = rng.sample([low, low * factor], 2)
    return [(-10.0, first), (rng.uniform(0.02, 0.98) * seconds, second)]


def with_the_window(rng: random.Random, seconds: float) -> list[tuple[float, float]]:
    """Busy as long as the window lasts, idle before and after, as the engine's windows are."""
    idle = rng.uniform(1, 4)
    busy = idle * rng.uniform(2, 8)
    return [(-10.0, idle), (0.0005, busy), (seconds + 0.0005, idle)]


def bursts(rng: random.Random, seconds: float) -> list[tuple[float, float]]:
    """Passes with a heavy and a light part, again and again."""
    low = rng.uniform(2, 5)
    high, period, share = low * rng.uniform(1.2, 3), 10 ** rng.uniform(-3, -0.7), rng.uniform(0.2, 0.8)
    times = [-0.6 + period * index for index in range(int((seconds + 1.4) / period))]
    return [(-10.0, low)] + [step for t in times for step in ((t, high), (t + share * period, low))]


def slow_bursts(rng: random.Random, seconds: float) -> list[tuple[float, float]]:
    """Passes of at least a fifth of the window: long against the samples of a slow source."""
    low = rng.uniform(2, 5)
    high, period = low * rng.uniform(1.2, 3), seconds * rng.uniform(0.2, 0.6)
    times = [-0.6 + period * index for index in range(int((seconds + 1.4) / period))]
    return [(-10.0, low)] + [step for t in times for step in ((t, high), (t + period / 2, low))]


def noisy(rng: random.Random, seconds: float) -> list[tuple[float, float]]:
    """Power that wanders by 5 % every 10 ms."""
    return [(-10.0, POWER_W)] + [
        (-0.6 + 0.01 * index, POWER_W * rng.gauss(1, 0.05)) for index in range(int((seconds + 1.4) / 0.01))
    ]


Load = Callable[[random.Random, float], list[tuple[float, float]]]


@dataclass
class Outcome:
    """One window: a figure and its error, or the reason why there is none."""

    kind: str
    reason: str | None = None
    energy_j: float = 0.0
    error_j: float = 0.0
    interval_j: float = 0.0  # two sigma and the resolution
    detail: str = ""

    @property
    def wrong(self) -> bool:
        return self.reason is None and abs(self.error_j) > self.interval_j


def window(kind: Kind, load: Load, seed: int, *, late: float = 0.002) -> Outcome:
    """Measure one window with one fault somewhere in it, or near its edges."""
    rng = random.Random(seed)  # noqa: S311 - reproducible
    seconds = 10 ** rng.uniform(-0.9, 0.4)
    clock = Clock(rng)
    origin = clock.now
    power = Power(load(rng, seconds), origin)
    counter = VirtualCounter(clock, power, rng, late)
    at = origin + rng.uniform(-0.02, seconds + 0.02) * 1e9
    fault = Fault(at, at + 10 ** rng.uniform(-2.7, -0.6) * 1e9, rng)
    kind(counter, fault)
    outcome = Outcome(kind.__name__, detail=f"seed {seed}, {seconds:.3f} s, fault at {(at - origin) / 1e9:.3f} s")
    try:
        with virtual_probe(clock, counter, rng, rng.choice([0, round(seconds * rng.uniform(0.8, 1.2) * 1e9)])) as probe:
            start = probe.mark()
            clock.now = max(clock.now, origin + round(seconds * 1e9))
            end = probe.mark()
            found = probe.energy(start, end)
    except ProbeError as error:
        outcome.reason = error.reason
        return outcome
    truth_j = power.energy_j(end.t_ns) - power.energy_j(start.t_ns)
    outcome.energy_j, outcome.error_j = found.energy_j, found.energy_j - truth_j
    outcome.interval_j = 2 * found.uncertainty_j + probe.info.resolution
    return outcome
