"""A probe that is the sum of energy counters: edges synchronised, what lies between them watched.

A source gives `Counter` objects; everything about their windows is here, in `edges` and in `stretches`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from edgebench_probes.base import Mark, Probe, ProbeError, ProbeInfo, Scope, WindowEnergy, WindowInvalid
from edgebench_probes.counter import REFRESH_NS, REFRESH_S, Counter
from edgebench_probes.edges import Edge, check_moving, find_edge, judge
from edgebench_probes.sampling.watch import WATCH, check_awake, slept_ns
from edgebench_probes.stretches import stretches
from edgebench_probes.window import bound_sigma, quantisation_j, uniform_sigma

RESTING = (Scope.UNCORE, Scope.DRAM)  # a graphics unit or memory at rest may rightly not move its counter
AFTER_S = 0.02  # what comes so long after a window tells a step near its end, or the end of a spike, from a jump


@dataclass(frozen=True, slots=True)
class State:
    """What a CounterProbe's mark carries: an edge a counter, and the time this machine has slept since boot."""

    edges: tuple[Edge, ...]
    slept_ns: int


class CounterProbe(Probe):
    """The sum of some counters of one scope (one a socket or die).

    Its windows are watched from a process of their own, and invalid where nothing proves what lies between the edges;
    `watched` False, for a reader that only shows the power, leaves that out.
    """

    def __init__(self, name: str, source: str, scope: Scope, counters: Sequence[Counter]) -> None:
        self.watched = True
        self._counters = tuple(counters)
        self._keys: tuple[int, ...] = ()
        self._watching = self._open = False
        self._info = ProbeInfo(name, source, scope, "counter", 0.0, REFRESH_S)

    @property
    def info(self) -> ProbeInfo:
        """What this source is; the resolution is that of the sum, so that sigma = resolution / sqrt(6) holds."""
        return replace(self._info, resolution=math.hypot(*(c.step * c.joules for c in self._counters)))

    def open(self) -> None:
        """Open all counters, learn their steps, see that they count, and have them watched."""
        if self._open:
            return
        try:
            for counter in self._counters:
                counter.open()
                counter.learn()
                if self._info.scope not in RESTING:
                    counter.check_alive()
            if self.watched:
                WATCH.open()
                self._watching = True
                self._keys = tuple(WATCH.add(counter) for counter in self._counters)
        except BaseException:
            self.close()
            raise
        self._open = True

    def close(self) -> None:
        """End the watch over these counters and close them."""
        for key in self._keys:
            WATCH.drop(key)
        if self._watching:
            WATCH.close()
        self._keys, self._watching, self._open = (), False, False
        for counter in self._counters:
            counter.close()

    def mark(self, *, sync: bool = True) -> Mark:
        """Mark an edge of a window; raises WindowInvalid when a counter cannot be read.

        Without `sync` it costs one read a counter. With it, an idle counter that does not move within 20 refreshes is
        marked where it stands, with the timing uncertainty of a whole refresh; `energy` tells idle from frozen.
        """
        self._check_open()
        if sync and self._watching:
            WATCH.mark()
        edges = tuple(find_edge(counter, sync=sync) for counter in self._counters)
        t_ns = edges[-1].t_ns + (0 if sync else REFRESH_NS / 2)
        return Mark(round(t_ns), State(edges, slept_ns()))

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
        check_awake(first.slept_ns, last.slept_ns)
        energy = resolution = timing = unseen = 0.0
        for index, (counter, a, b) in enumerate(zip(self._counters, first.edges, last.edges, strict=True)):
            own_s = (b.t_ns - a.t_ns) / 1e9
            if seconds <= 0 or own_s <= 0:
                raise WindowInvalid(f"the window of {seconds * 1e3:.3f} ms is too short for {counter.name}")
            try:
                joules, doubt = self._between(index, a, b)
            except WindowInvalid as error:
                raise WindowInvalid(f"{counter.name}: {error.reason.removeprefix(counter.name + ': ')}") from None
            power = joules / own_s
            check_moving(counter, power, own_s, a, b)
            energy += power * seconds
            resolution += quantisation_j(counter.scale.step_j) ** 2
            timing += (power * uniform_sigma(a.width_s)) ** 2 + (power * uniform_sigma(b.width_s)) ** 2
            unseen += bound_sigma(doubt * seconds / own_s) ** 2
        parts = {"resolution": resolution, "timing": timing, "unseen": unseen}
        return WindowEnergy(
            energy_j=energy,
            seconds=seconds,
            uncertainty_j=math.sqrt(sum(parts.values())),
            parts={name: math.sqrt(variance) for name, variance in parts.items()},
            systematic_j=self._info.accuracy * energy,
            samples=2,
            max_gap_s=seconds,
            coverage=1.0,
        )

    def watch_share(self) -> float:
        """Share of one processor that the watch takes; it is one for all counters."""
        return WATCH.share()

    def _between(self, index: int, a: Edge, b: Edge) -> tuple[float, float]:
        """Energy of one counter between two edges, and how much of it is in doubt (J)."""
        counter = self._counters[index]
        if not self.watched:
            return stretches([a.node, b.node], counter.scale)[0].energy_j, 0.0
        time.sleep(max(0.0, b.t_ns / 1e9 + AFTER_S - time.monotonic()))
        told = WATCH.check(a.t_ns, b.t_ns, self._keys[index])
        return judge(counter.scale, a, b, told.ticks)

    def _check_open(self) -> None:
        if not self._open:
            raise ProbeError(f"the probe {self._info.name} is not open", "open it before the first mark")
