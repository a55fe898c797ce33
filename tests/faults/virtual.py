"""A counter of known power on a virtual clock: thousands of windows a minute, through the code that real ones take.

Power is piecewise constant, the counter shows it at each refresh in whole steps, and a fault changes what is read.
"""

from __future__ import annotations

import itertools
import math
import random
from bisect import bisect_right
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest import mock

from edgebench_probes import edges as edges_module
from edgebench_probes import summed as summed_module
from edgebench_probes.base import ProbeError, Scope, WindowInvalid
from edgebench_probes.counter import Counter
from edgebench_probes.sampling.watcher import Event, Tick, Told, interval_ns
from edgebench_probes.summed import CounterProbe

STEP_UJ = 61.035
RANGE_UJ = 262_143_328_850
MODULUS_UJ = RANGE_UJ + STEP_UJ


class Clock:
    """CLOCK_MONOTONIC and sleep, in nanoseconds that pass only when something is done."""

    CLOCK_BOOTTIME = 7

    def __init__(self, rng: random.Random) -> None:
        self.now = 10**12
        self._rng = rng

    def monotonic_ns(self) -> int:
        """Now; looking takes 50 ns."""
        self.now += 50
        return self.now

    def monotonic(self) -> float:
        return self.monotonic_ns() / 1e9

    def clock_gettime_ns(self, _clock: int) -> int:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += round(seconds * 1e9 + self._rng.expovariate(1 / 60_000))


class Power:
    """Piecewise constant power from a list of (second from the origin, W)."""

    def __init__(self, steps: list[tuple[float, float]], origin_ns: int) -> None:
        self._at = [origin_ns + at * 1e9 for at, _ in steps]
        self._watts = [watts for _, watts in steps]
        spans = zip(itertools.pairwise(self._at), self._watts, strict=False)
        self._sums = list(itertools.accumulate((watts * (b - a) for (a, b), watts in spans), initial=0.0))

    def energy_j(self, t_ns: float) -> float:
        """Energy since the first step."""
        index = max(0, bisect_right(self._at, t_ns) - 1)
        return (self._sums[index] + self._watts[index] * (t_ns - self._at[index])) / 1e9


Read = Callable[[float], int]  # what the counter shows at a time (ns); raises WindowInvalid


class VirtualCounter(Counter):
    """Reads take 5 us, and now and then a lost processor makes one take milliseconds."""

    name = "package-0"
    joules = 1e-6
    step = STEP_UJ
    modulus = MODULUS_UJ

    def __init__(self, clock: Clock, power: Power, rng: random.Random, late: float = 0.0) -> None:
        self._clock, self._power, self._rng, self._late = clock, power, rng, late
        self._start_uj = rng.uniform(0, RANGE_UJ)
        self._phase_ns = rng.uniform(0, 1e6)
        self.shown: Read = self.true

    def open(self) -> None: ...

    def close(self) -> None: ...

    def energy_uj(self, t_ns: float) -> float:
        """True counter, unwrapped, as of the last refresh."""
        refreshed = (t_ns - self._phase_ns) // 1e6 * 1e6 + self._phase_ns
        return self._start_uj + self._power.energy_j(refreshed) * 1e6

    def true(self, t_ns: float) -> int:
        return self.show(self.energy_uj(t_ns))

    @staticmethod
    def show(microjoules: float) -> int:
        """In whole steps, wrapped."""
        counts = math.floor(microjoules / STEP_UJ) % round(MODULUS_UJ / STEP_UJ)
        return int(counts * STEP_UJ)

    def at(self, t_ns: float) -> int:
        return self.shown(t_ns)

    def read(self) -> int:
        self._clock.now += 3_000
        if self._rng.random() < self._late:
            self._clock.now += round(self._rng.uniform(0, 8e6))
        raw = self.shown(self._clock.now)
        self._clock.now += 2_000
        return raw


@dataclass
class VirtualWatch:
    """What the watch process would have told: the same schedule, with late wake-ups, computed when it is asked."""

    clock: Clock
    counter: VirtualCounter
    rng: random.Random
    marks: list[int]
    expected_ns: int

    def open(self) -> None: ...

    def close(self) -> None: ...

    def add(self, _counter: Counter) -> int:
        return 1

    def drop(self, _key: int) -> None: ...

    def mark(self) -> None:
        self.marks.append(self.clock.now)

    def check(self, begin_ns: float, end_ns: float, _key: int) -> Told:
        t, marked = self.marks[0] - 400_000_000, self.marks[0] - 10**10
        ticks: list[Tick] = []
        events: list[Event] = []
        for upcoming in [*self.marks, self.clock.now]:
            while True:
                due = t + interval_ns(t - marked, self.expected_ns)
                if due >= upcoming:
                    break
                t = due + round(self.rng.expovariate(1 / 80_000))
                self._tick(t, ticks, events)
            t, marked = max(t, upcoming), upcoming
        self._tick(self.clock.now, ticks, events)  # being asked, it reads
        for event in events:
            if begin_ns <= event.t_ns <= end_ns:
                raise WindowInvalid(event.reason)
        return Told(0, ticks, [])

    def _tick(self, t: int, ticks: list[Tick], events: list[Event]) -> None:
        try:
            ticks.append(Tick(t, t + 6_000, self.counter.at(t + 3_000)))
        except WindowInvalid as error:
            events.append(Event(t, 0, error.reason))


@contextmanager
def virtual_probe(
    clock: Clock, counter: VirtualCounter, rng: random.Random, expected_ns: int
) -> Iterator[CounterProbe]:
    """Open a probe of one virtual counter, with the modules' clock and watch replaced."""
    watch: Any = VirtualWatch(clock, counter, rng, [], expected_ns)
    with (
        mock.patch.object(summed_module, "WATCH", watch),
        mock.patch.object(summed_module, "time", clock),
        mock.patch.object(edges_module, "time", clock),
        mock.patch.object(summed_module, "slept_ns", return_value=0),
        CounterProbe("virtual", "virtual", Scope.PACKAGE, [counter]) as probe,
    ):
        yield probe


def refused(reason: str) -> WindowInvalid:
    return WindowInvalid(f"package-0: {reason}")


__all__ = ["Clock", "Power", "ProbeError", "VirtualCounter", "refused", "virtual_probe"]
