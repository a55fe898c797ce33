"""The edges of a window on a processor that is not always there."""

from __future__ import annotations

import random
from unittest import mock

import pytest

from edgebench_probes import edges
from edgebench_probes.base import WindowInvalid
from edgebench_probes.edges import find_edge
from tests.faults import counters
from tests.faults.virtual import Clock, Power, VirtualCounter


class Slow(VirtualCounter):
    """Each read takes so long: the spin has lost the processor within it, or right after it."""

    read_ns = 0

    def read(self) -> int:
        raw = self.shown(self._clock.now)
        self._clock.now += self.read_ns
        return raw


def slow_counter(read_ns: int) -> tuple[Clock, Slow]:
    rng = random.Random(1)  # noqa: S311 - reproducible
    clock = Clock(rng)
    counter = Slow(clock, Power([(-10.0, 7.0)], clock.now), rng)
    counter.read_ns = read_ns
    return clock, counter


@pytest.mark.parametrize("read_ms", [0.01, 3.0, 30.0, 200.0])
def test_a_frozen_counter_is_proven_to_stand_however_slow_the_spin(read_ms: float) -> None:
    clock, counter = slow_counter(round(read_ms * 1e6))
    stands = counter.true(clock.now)
    counter.shown = lambda _: stands
    with mock.patch.object(edges, "time", clock):
        edge = find_edge(counter, sync=True)
        with pytest.raises(WindowInvalid, match="stood still"):
            edges.check_moving(counter, 7.0, 1.0, edge, edge)
        # A phase of some milliseconds between two such edges used no joules, if one believes it.
        with pytest.raises(WindowInvalid, match="did not move"):
            edges.check_moving(counter, 0.0, 0.005, edge, edge)


def test_an_edge_that_no_processor_was_free_to_find_is_none() -> None:
    clock, counter = slow_counter(1_500_000_000)
    stands = counter.true(clock.now)
    counter.shown = lambda _: stands
    with mock.patch.object(edges, "time", clock), pytest.raises(WindowInvalid, match="no processor was free"):
        find_edge(counter, sync=True)


def test_a_torn_read_is_no_change() -> None:
    clock, counter = slow_counter(10_000)
    reads = iter([*[0] * 5, -1, *[0] * 40])  # one read in the middle of a refresh shows half of it

    def torn(t: float) -> int:
        return counter.true(t) // 10**4 if next(reads, 0) else counter.true(t)

    counter.shown = torn
    with mock.patch.object(edges, "time", clock):
        edge = find_edge(counter, sync=True)
    assert edge.raw == counter.true(edge.t_ns + edge.width_s / 2 * 1e9)


@pytest.mark.parametrize("kind", counters.KINDS)
def test_faults_on_a_machine_that_is_busy(kind: counters.Kind) -> None:
    outcomes = [counters.window(kind, counters.with_the_window, 31 * seed + 7, late=0.3) for seed in range(20)]
    assert not [outcome for outcome in outcomes if outcome.wrong]
