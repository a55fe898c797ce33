"""Probes that are a sum of energy counters: wraps kept, edges synchronised, uncertainty stated.

A source (powercap, perf, pyRAPL) gives `Counter` objects; everything about windows is here, once.
"""

from __future__ import annotations

import contextlib
import math
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from edgebench_probes.base import Mark, Probe, ProbeError, ProbeInfo, Scope, WindowEnergy, WindowInvalid
from edgebench_probes.window import MIN_REFRESHES, counter_delta, quantisation_j, uniform_sigma

REFRESH_NS = 1_000_000  # Intel SDM vol. 3B, 15.10: energy status is updated about every millisecond
REFRESH_S = REFRESH_NS / 1e9
SPIN_REFRESHES = 20  # a synchronised mark waits this long for a change, then goes without
AGE_REFRESHES = 5  # a reading may be this old before it proves anything: parts refresh late when they sleep
EXPECTED_LSB = 10  # an unmoved counter that should have moved this many steps meanwhile is frozen, not idle
SUSPEND_NS = 5_000_000


class Counter(ABC):
    """One hardware counter. `step` is its LSB and `modulus` its wrap, both in counts; a count is `joules` J."""

    name: str
    joules: float
    step: float = 1.0
    modulus: float = math.inf
    max_power_w: float = 1000.0  # no single counter of a board or server covers more

    @abstractmethod
    def open(self) -> None:
        """Take the handle; raises ProbeError."""

    @abstractmethod
    def close(self) -> None:
        """Give the handle back."""

    @abstractmethod
    def read(self) -> int:
        """Present count; raises WindowInvalid when the read fails."""

    def learn(self) -> None:  # noqa: B027 - most counters know their step
        """Find the step from the values seen, where it is not known."""

    def sample(self, distinct: int = 32, seconds: float = 50 * REFRESH_S) -> list[int]:
        """Read until so many different values were seen or the time is over."""
        values = [self.read()]
        end = time.monotonic() + seconds
        while len(values) < distinct and time.monotonic() < end:
            value = self.read()
            if value != values[-1]:
                values.append(value)
        return values


@dataclass(frozen=True, slots=True)
class Edge:
    """One counter at one edge: `total` counts at `t_ns`, known to `width_s`, in the reset-free stretch `epoch`."""

    total: float
    epoch: int
    t_ns: float
    width_s: float
    starved_s: float  # how long a wait for a change went unanswered


@dataclass(frozen=True, slots=True)
class State:
    """What a CounterProbe's mark carries: an edge a counter, and the time this machine has slept since boot."""

    edges: tuple[Edge, ...]
    slept_ns: int


class Reading(NamedTuple):
    """One read of a counter: counts since the probe was opened, and the bounds of its time."""

    total: float
    epoch: int
    before_ns: int
    after_ns: int


def _between(reading: Reading, earliest_ns: int, starved_s: float = 0.0) -> Edge:
    """Stamp a reading whose energy was due somewhere between `earliest_ns` and its end."""
    width_ns = reading.after_ns - earliest_ns
    return Edge(reading.total, reading.epoch, reading.after_ns - width_ns / 2, width_ns / 1e9, starved_s)


class Track:
    """A counter extended over its wraps; shared by the measuring thread and the keeper."""

    def __init__(self, counter: Counter) -> None:
        self.counter = counter
        self._lock = threading.Lock()
        self._total = 0.0
        self._epoch = 0
        self._broken: WindowInvalid | None = None
        self._last: int | None = None
        self._last_ns = 0

    def read(self) -> Reading:
        """Read now; raises WindowInvalid when the counter cannot be read."""
        counter = self.counter
        with self._lock:
            before = time.monotonic_ns()
            raw = counter.read()
            after = time.monotonic_ns()
            if self._last is not None and raw != self._last:
                seconds = (after - self._last_ns) / 1e9 + AGE_REFRESHES * REFRESH_S
                ceiling = counter.max_power_w * seconds / counter.joules + counter.step
                try:
                    self._total += counter_delta(self._last, raw, modulus=counter.modulus, ceiling=ceiling)
                except WindowInvalid as error:
                    self._broken = WindowInvalid(f"{counter.name}: {error.reason}")
                    self._epoch += 1
            self._last, self._last_ns = raw, after
            return Reading(self._total, self._epoch, before, after)

    def edge(self, *, sync: bool) -> Edge:
        """Mark this counter; with `sync` at the moment it changes, or else, after 20 refreshes, where it stands.

        A change happened after the read before it began, before its own read ended, and within a refresh of that read:
        it is stamped with the middle of these bounds. A read that waits for no change is up to a refresh old.
        """
        first = last = self.read()
        found: Edge | None = None
        if sync:
            deadline = first.before_ns + SPIN_REFRESHES * REFRESH_NS
            while last.after_ns < deadline:
                now = self.read()
                if (now.total, now.epoch) != (last.total, last.epoch):
                    edge = _between(now, max(last.before_ns, now.before_ns - REFRESH_NS))
                    if found is None or edge.width_s < found.width_s:
                        found = edge
                    if edge.width_s <= REFRESH_S / 4:  # a spin that lost the processor tries the next refresh
                        break
                last = now
        # Only the time between reads proves a standstill: the spin itself may have lost the processor.
        starved_ns = max(0, last.before_ns - first.after_ns) if found is None else 0
        return found or _between(last, last.before_ns - REFRESH_NS, starved_ns / 1e9)

    def broken(self) -> WindowInvalid:
        """Why the last epoch ended."""
        return self._broken or WindowInvalid(f"{self.counter.name}: the counter was reset")


class CounterProbe(Probe):
    """The sum of some counters of one scope (one a socket or die)."""

    def __init__(self, name: str, source: str, scope: Scope, counters: Sequence[Counter]) -> None:
        self._counters = tuple(counters)
        self._tracks: tuple[Track, ...] = ()
        self._stop = threading.Event()
        self._keeper: threading.Thread | None = None
        self._info = ProbeInfo(name, source, scope, "counter", 0.0, REFRESH_S)

    @property
    def info(self) -> ProbeInfo:
        """What this source is; the resolution is that of the sum, so that sigma = resolution / sqrt(6) holds."""
        return replace(self._info, resolution=math.hypot(*(c.step * c.joules for c in self._counters)))

    def open(self) -> None:
        """Open all counters, learn their steps, and start the keeper where a counter can wrap."""
        if self._tracks:
            return
        try:
            for counter in self._counters:
                counter.open()
                counter.learn()
            tracks = tuple(Track(counter) for counter in self._counters)
            for track in tracks:
                track.read()
        except BaseException:
            self.close()
            raise
        self._tracks = tracks
        interval_s = min(c.modulus * c.joules / c.max_power_w / 2 for c in self._counters)
        if math.isfinite(interval_s):
            self._stop.clear()
            self._keeper = threading.Thread(
                target=self._keep, args=(interval_s,), name=f"{self._info.name}-keeper", daemon=True
            )
            self._keeper.start()

    def close(self) -> None:
        """Stop the keeper and close all counters."""
        self._stop.set()
        if self._keeper is not None:
            self._keeper.join()
            self._keeper = None
        self._tracks = ()
        for counter in self._counters:
            counter.close()

    def mark(self, *, sync: bool = True) -> Mark:
        """Mark an edge of a window; raises WindowInvalid when a counter cannot be read.

        Without `sync` it costs one read a counter. With it, an idle counter that does not move within 20 refreshes is
        marked where it stands, with the timing uncertainty of a whole refresh; `energy` tells idle from frozen.
        """
        self._check_open()
        edges = tuple(track.edge(sync=sync) for track in self._tracks)
        slept = time.clock_gettime_ns(time.CLOCK_BOOTTIME) - time.monotonic_ns()
        t_ns = edges[-1].t_ns + (0 if sync else REFRESH_NS / 2)
        return Mark(round(t_ns), State(edges, slept))

    def energy(self, start: Mark, end: Mark) -> WindowEnergy:
        """Energy between two marks.

        Counters are synchronised one after the other, up to some refreshes apart: each one's energy is scaled from its
        own stretch to the window's. Raises WindowInvalid.
        """
        self._check_open()
        first, last = start.state, end.state
        if not (isinstance(first, State) and isinstance(last, State) and len(first.edges) == len(last.edges)):
            raise TypeError("these marks belong to another probe")
        seconds = (end.t_ns - start.t_ns) / 1e9
        if last.slept_ns - first.slept_ns > SUSPEND_NS:
            raise WindowInvalid("the machine was suspended within the window")
        energy = resolution = timing = 0.0
        for track, a, b in zip(self._tracks, first.edges, last.edges, strict=True):
            if a.epoch != b.epoch:
                raise track.broken()
            own_s = (b.t_ns - a.t_ns) / 1e9
            if seconds <= 0 or own_s <= 0:
                raise WindowInvalid(f"the window of {seconds * 1e3:.3f} ms is too short for {track.counter.name}")
            step_j = track.counter.step * track.counter.joules
            joules = (b.total - a.total) * track.counter.joules
            power = joules / own_s
            _check_moving(track.counter.name, power, own_s, step_j, max(a.starved_s, b.starved_s))
            energy += power * seconds
            resolution += quantisation_j(step_j) ** 2
            timing += (power * uniform_sigma(a.width_s)) ** 2 + (power * uniform_sigma(b.width_s)) ** 2
        return WindowEnergy(
            energy_j=energy,
            seconds=seconds,
            uncertainty_j=math.sqrt(resolution + timing),
            parts={"resolution": math.sqrt(resolution), "timing": math.sqrt(timing)},
            systematic_j=self._info.accuracy * energy,
            samples=2,
            max_gap_s=seconds,
            coverage=1.0,
        )

    def _check_open(self) -> None:
        if not self._tracks:
            raise ProbeError(f"the probe {self._info.name} is not open", "open it before the first mark")

    def _keep(self, interval_s: float) -> None:
        """Read often enough that no wrap is missed; a failed read here costs nothing if the next one is in time."""
        while not self._stop.wait(interval_s):
            for track in self._tracks:
                with contextlib.suppress(ProbeError):
                    track.read()


def _check_moving(name: str, power_w: float, seconds: float, step_j: float, starved_s: float) -> None:
    """Tell a frozen counter from an idle part."""
    if power_w == 0 and seconds >= MIN_REFRESHES * REFRESH_S:
        raise WindowInvalid(f"{name}: the counter did not move in {seconds:.3f} s, it is frozen")
    if power_w * (starved_s - AGE_REFRESHES * REFRESH_S) > EXPECTED_LSB * step_j:
        raise WindowInvalid(f"{name}: the counter stood still for {starved_s * 1e3:.0f} ms at an edge, it is frozen")
