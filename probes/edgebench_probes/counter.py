"""Probes that are a sum of energy counters: edges synchronised, what lies between them watched, uncertainty stated.

A source (powercap, perf, pyRAPL) gives `Counter` objects; everything about their windows is here and in `stretches`.
"""

from __future__ import annotations

import contextlib
import copy
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

from edgebench_probes.base import Mark, Probe, ProbeError, ProbeInfo, Scope, WindowEnergy, WindowInvalid
from edgebench_probes.sampling.watch import WATCH, check_awake, slept_ns
from edgebench_probes.sampling.watcher import Tick
from edgebench_probes.stretches import EXPECTED_STEPS, Node, Scale, Stretch, doubt_j, stretches
from edgebench_probes.window import AGE_S, MIN_REFRESHES, bound_sigma, quantisation_j, uniform_sigma

REFRESH_NS = 1_000_000  # Intel SDM vol. 3B, 15.10: energy status is updated about every millisecond
REFRESH_S = REFRESH_NS / 1e9
SPIN_REFRESHES = 20  # a synchronised mark waits this long for a change, then goes without
GIVE_UP_NS = 1_000_000_000  # a spin that gets no processor for this long has no edge
APART_NS = 2_000_000  # nodes nearer to one another tell no power
OUTSIDE_NS = 10_000_000  # length of the stretches outside a window, at the least
AFTER_S = 0.02  # what is waited after a window whose last stretch is in doubt


class Counter(ABC):
    """One hardware counter. `step` is its LSB and `modulus` its wrap, both in counts; a count is `joules` J.

    `_fd` is the file it is read through: the watch reads through the same one.
    """

    name: str
    joules: float
    step: float = 1.0
    modulus: float = math.inf
    max_power_w: float = 1000.0  # no single counter of a board or server covers more
    _fd: int = -1

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

    def watched(self) -> Counter:
        """Return what reads the same counts through a copy of the handle: pickled, sent to the watch, read there."""
        return copy.copy(self)

    @property
    def handle(self) -> int:
        """Descriptor of the open counter."""
        return self._fd

    def adopt(self, handle: int) -> Self:
        """Read through this descriptor from now on."""
        self._fd = handle
        return self

    @property
    def scale(self) -> Scale:
        """What its counts mean."""
        return Scale(self.joules, self.step, self.modulus, self.max_power_w)

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
    """One counter at one edge: the count `raw` at `t_ns`, known to `width_s`.

    `stood_s` is how long the counter was seen not to move while the edge waited for a change; 0: it moved, or the edge
    did not wait.
    """

    raw: int
    t_ns: float
    width_s: float
    stood_s: float = 0.0

    @property
    def node(self) -> Node:
        """This edge as an end of stretches."""
        return Node(self.raw, self.t_ns, self.width_s)


@dataclass(frozen=True, slots=True)
class State:
    """What a CounterProbe's mark carries: an edge a counter, and the time this machine has slept since boot."""

    edges: tuple[Edge, ...]
    slept_ns: int


def read_tick(counter: Counter) -> Tick:
    """Read now; raises WindowInvalid when the counter cannot be read."""
    before = time.monotonic_ns()
    raw = counter.read()
    return Tick(before, time.monotonic_ns(), raw)


def _between(tick: Tick, earliest_ns: int, stood_s: float = 0.0) -> Edge:
    """Stamp a read whose energy was due somewhere between `earliest_ns` and its end."""
    width_ns = tick.after_ns - earliest_ns
    return Edge(tick.raw, tick.after_ns - width_ns / 2, width_ns / 1e9, stood_s)


def find_edge(counter: Counter, *, sync: bool) -> Edge:
    """Mark a counter; with `sync` at the moment it changes, or else, after 20 refreshes, where it stands.

    A change happened after the read before it began, before its own read ended, and within a refresh of that read: it
    is stamped with the middle of these bounds. A read that waits for no change is up to a refresh old. That it stands
    is proven by reads 20 refreshes apart, however long a lost processor makes that take; WindowInvalid after a second.
    """
    first = last = read_tick(counter)
    found: Edge | None = None
    while sync:
        if found is None and last.before_ns - first.after_ns >= SPIN_REFRESHES * REFRESH_NS:
            return _between(last, last.before_ns - REFRESH_NS, (last.before_ns - first.after_ns) / 1e9)
        if found is not None and last.after_ns - first.before_ns >= SPIN_REFRESHES * REFRESH_NS:
            return found
        if last.after_ns - first.before_ns > GIVE_UP_NS:
            raise WindowInvalid(f"{counter.name}: no processor was free to see the counter change at an edge")
        now = read_tick(counter)
        if now.raw != last.raw:
            edge = _between(now, max(last.before_ns, now.before_ns - REFRESH_NS))
            if found is None or edge.width_s < found.width_s:
                found = edge
            if edge.width_s <= REFRESH_S / 4:  # a spin that lost the processor tries the next refresh
                return found
        last = now
    return _between(last, last.before_ns - REFRESH_NS)


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
        """Open all counters, learn their steps, and have them watched."""
        if self._open:
            return
        try:
            for counter in self._counters:
                counter.open()
                counter.learn()
                counter.read()
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
            _check_moving(counter, power, own_s, max(a.stood_s, b.stood_s))
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

    def _between(self, index: int, a: Edge, b: Edge) -> tuple[float, float]:
        """Energy of one counter between two edges, and how much of it is in doubt (J)."""
        counter = self._counters[index]
        if not self.watched:
            return stretches([a.node, b.node], counter.scale)[0].energy_j, 0.0
        told = WATCH.check(a.t_ns, b.t_ns, self._keys[index])
        try:
            return self._judge(counter.scale, a, b, told.ticks)
        except WindowInvalid:
            time.sleep(AFTER_S)  # what comes after tells a step near the end from a jump
            return self._judge(counter.scale, a, b, WATCH.check(a.t_ns, b.t_ns, self._keys[index]).ticks)

    @staticmethod
    def _judge(scale: Scale, a: Edge, b: Edge, ticks: Sequence[Tick]) -> tuple[float, float]:
        nodes = [_node(tick) for tick in ticks]
        earlier = [node for node in nodes if node.t_ns < a.t_ns - OUTSIDE_NS][-1:]
        later = [node for node in nodes if node.t_ns > b.t_ns + APART_NS]
        within = [node for node in nodes if a.t_ns + APART_NS < node.t_ns < b.t_ns - APART_NS]
        inside = stretches([a.node, *_apart(within), b.node], scale)
        before: list[Stretch] = []
        with contextlib.suppress(WindowInvalid):  # a reset before the window is none of its own
            before = stretches([*earlier, a.node], scale)
        stretches([b.node, *later], scale)  # a reset right after it is: the end lay in what it ended
        after = [stretches([b.node, node], scale)[0] for node in later if node.t_ns > b.t_ns + OUTSIDE_NS][:1]
        return sum(stretch.energy_j for stretch in inside), doubt_j(inside, before, after, scale)

    def _check_open(self) -> None:
        if not self._open:
            raise ProbeError(f"the probe {self._info.name} is not open", "open it before the first mark")


def _node(tick: Tick) -> Node:
    edge = _between(tick, tick.before_ns - REFRESH_NS)
    return edge.node


def _apart(nodes: Sequence[Node]) -> list[Node]:
    """Leave out nodes so near the one before that a refresh more or less is most of what lies between."""
    kept: list[Node] = []
    for node in nodes:
        if not kept or node.t_ns > kept[-1].t_ns + APART_NS:
            kept.append(node)
    return kept


def _check_moving(counter: Counter, power_w: float, seconds: float, stood_s: float) -> None:
    """Tell a frozen counter from an idle part."""
    if power_w == 0 and seconds >= MIN_REFRESHES * REFRESH_S:
        raise WindowInvalid(f"{counter.name}: the counter did not move in {seconds:.3f} s, it is frozen")
    if power_w * (stood_s - AGE_S) > EXPECTED_STEPS * counter.scale.step_j:
        raise WindowInvalid(
            f"{counter.name}: the counter stood still for {stood_s * 1e3:.0f} ms at an edge, it is frozen"
        )
