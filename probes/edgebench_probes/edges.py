"""The edges of a counter's window: found at a refresh of the counter, judged by what the watch read between them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from edgebench_probes.base import WindowInvalid
from edgebench_probes.counter import REFRESH_NS, REFRESH_S, Counter
from edgebench_probes.sampling.watcher import Tick
from edgebench_probes.stretches import EXPECTED_STEPS, Node, Scale, Stretch, doubt_j, mean_w, possible, stretches
from edgebench_probes.window import AGE_S

SPIN_REFRESHES = 20  # a synchronised mark waits this long for a change, then goes without
UNMOVED_REFRESHES = 2 * SPIN_REFRESHES  # without one change: no energy is not a figure then
GIVE_UP_NS = 1_000_000_000  # a spin that gets no processor for this long has no edge
APART_NS = 1_000_000  # nodes nearer to one another tell no power
OUTSIDE_NS = 10_000_000  # length of the stretches outside a window, at the least
FALL = 3.0  # a power this many times lower than before a reset is not believed
AFTER_NS = 100_000_000  # and how far they reach, at the most


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
        if now.raw != last.raw and (again := read_tick(counter)).raw != now.raw and not _follows(now, again, counter):
            last = again  # a read that the next one takes back was torn
        elif now.raw != last.raw:
            edge = _between(now, max(last.before_ns, now.before_ns - REFRESH_NS))
            if found is None or edge.width_s < found.width_s:
                found = edge
            if edge.width_s <= REFRESH_S / 4:  # a spin that lost the processor tries the next refresh
                return found
        last = now
    return _between(last, last.before_ns - REFRESH_NS)


def _node(tick: Tick) -> Node:
    edge = _between(tick, tick.before_ns - REFRESH_NS)
    return edge.node


def _clear(first: Node, second: Node) -> bool:
    """Whether two reads are surely in this order, and far enough apart for a power."""
    return second.t_ns - first.t_ns > APART_NS + (first.width_s + second.width_s) / 2 * 1e9


def _apart(nodes: Sequence[Node]) -> list[Node]:
    """Leave out nodes so near the one before that a refresh more or less is most of what lies between."""
    kept: list[Node] = []
    for node in nodes:
        if not kept or _clear(kept[-1], node):
            kept.append(node)
    return kept


def _follows(first: Tick, second: Tick, counter: Counter) -> bool:
    return possible(first.raw, second.raw, (second.after_ns - first.before_ns) / 1e9, counter.scale)


def _before(nodes: Sequence[Node], inside: Sequence[Stretch], scale: Scale) -> list[Stretch]:
    """Return the stretch before a window, none where the counter was reset there.

    A counter that counts on after a reset is sound; one that has since counted a small part of what it did before
    shows something else. Raises WindowInvalid.
    """
    sound: list[Stretch] = []
    reset = False
    for pair in pairwise(nodes):
        try:
            sound += stretches(pair, scale)
        except WindowInvalid:
            reset = True
    if reset and (not sound or mean_w(inside) * FALL < mean_w(sound)):
        raise WindowInvalid("the counter was reset just before the window and has hardly counted since")
    whole = [node for node in nodes if node.t_ns < nodes[-1].t_ns - OUTSIDE_NS][-1:]
    return [] if reset else stretches([*whole, nodes[-1]], scale)


def judge(scale: Scale, a: Edge, b: Edge, ticks: Sequence[Tick]) -> tuple[float, float]:
    """Energy of a counter between two edges, and how much of it is in doubt (J), from what the watch read about them.

    Raises WindowInvalid.
    """
    nodes = [
        _node(tick) for tick in ticks if tick.after_ns - tick.before_ns < 2 * REFRESH_NS
    ]  # else it lost the processor
    later = [node for node in nodes if _clear(b.node, node) and node.t_ns < b.t_ns + AFTER_NS]
    within = [node for node in nodes if _clear(a.node, node) and _clear(node, b.node)]
    inside = stretches([a.node, *_apart(within), b.node], scale)
    stretches([b.node, *later], scale)  # a reset right after the window: its end lay in what ended there
    before = _before([*_apart([node for node in nodes if _clear(node, a.node)]), a.node], inside, scale)
    after = stretches([b.node, *[node for node in later if node.t_ns > b.t_ns + OUTSIDE_NS][:1]], scale)
    return sum(stretch.energy_j for stretch in inside), doubt_j(inside, before, after, scale)


def check_moving(counter: Counter, power_w: float, seconds: float, a: Edge, b: Edge) -> None:
    """Tell a frozen counter from an idle part; what was seen at the edges counts as well."""
    unmoved_s = a.stood_s + seconds + b.stood_s
    if power_w == 0 and unmoved_s >= UNMOVED_REFRESHES * REFRESH_S:
        raise WindowInvalid(f"{counter.name}: the counter did not move in {unmoved_s:.3f} s, it is frozen")
    stood_s = max(a.stood_s, b.stood_s)
    if power_w * (stood_s - AGE_S) > EXPECTED_STEPS * counter.scale.step_j:
        raise WindowInvalid(
            f"{counter.name}: the counter stood still for {stood_s * 1e3:.0f} ms at an edge, it is frozen"
        )
