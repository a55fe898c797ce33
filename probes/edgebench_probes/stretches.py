"""What a counter did inside a window, from reads between its edges: pure. The reasoning stands in docs/energy.md.

A *node* is one read; a *stretch* lies between two nodes. Power may step as the load does, so a stretch is judged by
its neighbours: it is doubtful by as much energy as it lies outside, or may have been moved within, what they span.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from edgebench_probes.base import WindowInvalid
from edgebench_probes.window import AGE_S, counter_delta

EXPECTED_STEPS = 10  # an unmoved counter that should have moved this many steps meanwhile is frozen, not idle
OUTSTANDING = 0.05  # an excess above this share of the window's energy is a fault; below, it is in the uncertainty
LIKE = 0.1  # powers this near are taken for the same when a late value is looked for
SEEN = 0.25  # powers this near to one of another time are no surprise: a burst may fill a part of a stretch
LATE, SIDE = 6, 4  # stretches that a late value may cut, and that tell the power on either side of them
SURE = 4.0  # an excess below this many times the noise is none


class Node(NamedTuple):
    """One read: its count is that of a moment within `width_s` about `t_ns`."""

    raw: int
    t_ns: float
    width_s: float


@dataclass(frozen=True, slots=True)
class Scale:
    """What a counter's counts mean: J a count, counts a step, counts at which it wraps, W it can reach."""

    joules: float
    step: float
    modulus: float
    max_power_w: float

    @property
    def step_j(self) -> float:
        """Energy of one step."""
        return self.step * self.joules


@dataclass(frozen=True, slots=True)
class Stretch:
    """Energy between two nodes; `slack_s`: how far their times may be wrong in all."""

    seconds: float
    energy_j: float
    slack_s: float

    @property
    def power_w(self) -> float:
        """Mean power."""
        return self.energy_j / self.seconds


@dataclass(frozen=True, slots=True)
class Excess:
    """Energy of a run of stretches `first`..`last` against its neighbours' powers.

    `outside_j` is how far it lies outside what they span, `doubt_j` the most a fault in it can have added or taken.
    """

    first: int
    last: int
    outside_j: float
    doubt_j: float


def possible(before: int, after: int, seconds: float, scale: Scale) -> bool:
    """Whether a counter can have gone from one reading to another in that time."""
    try:
        stretches([Node(before, 0.0, 0.0), Node(after, seconds * 1e9, 0.0)], scale)
    except WindowInvalid:
        return False
    return True


def stretches(nodes: Sequence[Node], scale: Scale) -> list[Stretch]:
    """Stretches between nodes in order of time; raises WindowInvalid for what no power can yield (a reset, a jump)."""
    found = []
    for a, b in pairwise(nodes):
        seconds = (b.t_ns - a.t_ns) / 1e9
        ceiling = scale.max_power_w * (seconds + AGE_S) / scale.joules + scale.step
        counts = counter_delta(a.raw, b.raw, modulus=scale.modulus, ceiling=ceiling)
        found.append(Stretch(seconds, counts * scale.joules, (a.width_s + b.width_s) / 2))
    return found


def doubt_j(inside: Sequence[Stretch], before: Sequence[Stretch], after: Sequence[Stretch], scale: Scale) -> float:
    """Energy (J) that a single fault can have added to or taken from a window unnoticed.

    `before` and `after` are stretches outside, next to its edges. Raises WindowInvalid for a counter that stood still
    and for a lone excess no load explains, when it is a noticeable share of the window.
    """
    if len(inside) == 1 and not (before or after):
        raise WindowInvalid("nothing was read beside the window's edges, so nothing proves what lies between")
    offset, behind = len(before[-1:]), len(after[:1])
    line = _join_late([*before[-1:], *inside, *after[:1]], offset, behind, scale)
    span = range(offset, len(line) - behind)
    _check_standing(line, span, scale)
    # A fault may have crossed a node, so every two stretches are a run as well; more would hold a standstill.
    energy_j = sum(stretch.energy_j for stretch in inside)
    limit_j = OUTSTANDING * energy_j
    runs = [_run(line, index, index, span, limit_j) for index in span]
    runs += [_run(line, index, index + 1, span, limit_j) for index in span[:-1] if len(span) > 2]
    worst = max(runs, key=lambda run: run.outside_j)
    noise_j = _noise_j(line, worst, scale)
    if worst.outside_j > max(limit_j, SURE * noise_j) and not _seen_elsewhere(line, worst):
        at = f"{sum(line[index].seconds for index in range(offset, worst.first)):.3f} s into the window"
        raise WindowInvalid(
            f"{at} the counter is {worst.outside_j:.3g} J off what lies around: it jumped or stood still"
        )
    return max(run.doubt_j for run in runs) + noise_j


def _seen_elsewhere(line: Sequence[Stretch], run: Excess) -> bool:
    """Whether the load had such a power at another time too: then it can have had it here."""
    power_w = _whole(line[run.first : run.last + 1]).power_w
    others = [s.power_w for s in [*line[: max(0, run.first - 1)], *line[run.last + 2 :]]]
    return bool(others) and min(others) * (1 - SEEN) <= power_w <= max(others) * (1 + SEEN)


def _join_late(line: list[Stretch], offset: int, behind: int, scale: Scale) -> list[Stretch]:
    """Join what a late value has cut, too little and then at once what was missing, where the whole fits both sides.

    The first `offset` and the last `behind` stretches lie outside the window and tell nothing here: a load begins and
    ends with its window.
    """
    index = offset
    while index + 1 < (stop := len(line) - behind):
        for last in range(index + 1, min(index + LATE, stop)):
            left, right = line[max(offset, index - SIDE) : index], line[last + 1 : min(last + 1 + SIDE, stop)]
            sides = [mean_w(side) for side in (left, right) if side]
            whole = _whole(line[index : last + 1])
            noise_w = (whole.power_w * 2 * whole.slack_s + 2 * scale.step_j) / whole.seconds
            low = max(sides, default=math.inf) * (1 - LIKE) - noise_w
            high = min(sides, default=0.0) * (1 + LIKE) + noise_w
            stood = all(stretch.power_w <= LIKE * whole.power_w for stretch in line[index + 1 : last])
            if stood and line[index].power_w < low <= whole.power_w <= high < line[last].power_w:
                line[index : last + 1] = [whole]
                break
        index += 1
    return line


def mean_w(parts: Sequence[Stretch]) -> float:
    """Mean power of some stretches."""
    return _whole(parts).power_w


def _whole(parts: Sequence[Stretch]) -> Stretch:
    return Stretch(
        sum(part.seconds for part in parts),
        sum(part.energy_j for part in parts),
        max(part.slack_s for part in parts),
    )


def _neighbours(index: int, last: int, span: range) -> list[int]:
    """Stretches to hold index..last against: inside the window, and outside where the window has no other."""
    near = [at for at in (index - 1, last + 1) if at in span]
    if len(near) == 1:  # at an edge: the load may begin and end with the window
        beyond = last + 2 if near[0] > last else index - 2
        return near + ([beyond] if beyond in span else [])
    return near


def _against(line: Sequence[Stretch], first: int, last: int, beside: Collection[int]) -> Excess:
    powers = [line[at].power_w for at in beside]
    whole = _whole(line[first : last + 1])
    low_j, high_j = min(powers) * whole.seconds, max(powers) * whole.seconds
    off_j = max(0.0, low_j - whole.energy_j, whole.energy_j - high_j)
    return Excess(first, last, off_j, max(whole.energy_j - low_j, high_j - whole.energy_j))


def _run(line: Sequence[Stretch], first: int, last: int, span: range, limit_j: float) -> Excess:
    outer = {at for at in (first - 1, last + 1) if 0 <= at < len(line)}
    inner = set(_neighbours(first, last, span))
    if not inner:
        return _against(line, first, last, outer)
    # A load begins and ends with its window: what lies outside counts where it is higher, so that something is missing.
    top_w = max(line[at].power_w for at in inner)
    found = _against(line, first, last, inner | {at for at in outer if line[at].power_w > top_w})
    if found.outside_j > limit_j:
        # A step near the edge: the stretch outside may explain it.
        return min(found, _against(line, first, last, inner | outer), key=lambda run: run.outside_j)
    return found


def _noise_j(line: Sequence[Stretch], run: Excess, scale: Scale) -> float:
    """What the times of the nodes and the counter's step leave open."""
    near = line[max(0, run.first - 1) : run.last + 2]
    return max(stretch.power_w for stretch in near) * max(stretch.slack_s for stretch in near) + 2 * scale.step_j


def _check_standing(line: Sequence[Stretch], span: range, scale: Scale) -> None:
    """Refuse a counter that did not move although, by what lies around, it should have."""
    index = span.start
    while index < span.stop:
        last = index
        while last < span.stop and line[last].energy_j == 0:
            last += 1
        if last > index:
            around = [line[at] for at in (index - 1, last) if 0 <= at < len(line) and line[at].energy_j > 0]
            least_w = min((max(0.0, s.energy_j - 2 * scale.step_j) / s.seconds for s in around), default=0.0)
            seconds = sum(line[at].seconds for at in range(index, last))
            if least_w * (seconds - AGE_S) > EXPECTED_STEPS * scale.step_j:
                raise WindowInvalid(
                    f"the counter stood still for {seconds * 1e3:.0f} ms within the window, it is frozen"
                )
        index = last + 1
