"""Energy around the engine's own work: windows over passes, idle power, and the joules of a phase."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from edgebench.measure.probes import place_of, sampler_share
from edgebench.measure.results import Window, Windows
from edgebench_probes.base import ProbeError
from edgebench_probes.catalogue.discover import reading, shortest_window
from edgebench_probes.sampling.probe import SampledProbe

if TYPE_CHECKING:
    from edgebench_probes.base import Mark, Probe, WindowEnergy

# A window is measured again when it is invalid; a source that fails this often in a row is reported missing.
MAX_TRIES = 3
# The trial that tells the power a window's length depends on.
TRIAL_S = 0.1


def window_of(
    probe: Probe, start: Mark, end: Mark, energy: WindowEnergy, *, passes: int, passes_s: float, index: int
) -> Window:
    """Return the window between two marks in which `passes` passes took `passes_s` in all.

    The edges wait for the counter's refresh, up to a millisecond of the window that belongs to no pass: the window's
    power times the passes' own time leaves it out.
    """
    share = passes_s / energy.seconds
    return Window(
        probe=probe.info.name,
        scope=str(probe.info.scope),
        index=index,
        passes=passes,
        seconds=passes_s,
        energy_j=energy.energy_j * share,
        uncertainty_j=energy.uncertainty_j * share,
        systematic_j=energy.systematic_j * share,
        parts_j={name: part * share for name, part in energy.parts.items()},
        samples=energy.samples,
        max_gap_s=energy.max_gap_s,
        coverage=energy.coverage,
        begin_s=start.t_ns / 1e9,
        end_s=end.t_ns / 1e9,
    )


def window_between(
    probe: Probe, start: Mark | None, end: Mark | None, passes: int, passes_s: float, index: int
) -> Window:
    """Return the window between two marks, either of which may have failed; raises ProbeError without energy."""
    if start is None or end is None:
        raise ProbeError("the source could not be read at an edge of the window")
    energy = probe.energy(start, end)
    return window_of(probe, start, end, energy, passes=passes, passes_s=passes_s, index=index)


def marked(probes: Sequence[Probe]) -> list[Mark | None]:
    """Mark every probe here and now, without waiting for its next value; None where it cannot be read."""
    found: list[Mark | None] = []
    for probe in probes:
        try:
            found.append(probe.mark(sync=False))
        except ProbeError:
            found.append(None)
    return found


def measure_passes(
    run: Callable[[], object], probes: Sequence[Probe], *, pass_s: float, count: int, target: float, shortest_s: float
) -> Windows:
    """Measure `count` windows of repeated passes, each long enough for every probe to reach `target` (relative).

    `pass_s` is the latency known so far; a first, short window gives the power that the length depends on.
    """
    live = list(probes)
    if not live or not count:
        return Windows()
    windows: list[Window] = []
    failed: dict[str, str] = {}
    done = discarded = 0
    length_s = shortest_s
    for probe in live:
        with contextlib.suppress(ProbeError):
            length_s = max(length_s, _length_s(run, probe, max(1, round(TRIAL_S / pass_s)), target))
    passes = max(1, -(-int(length_s * 1e6) // max(1, int(pass_s * 1e6))))
    tries = dict.fromkeys((id(probe) for probe in live), 0)
    while done < count and live:
        found, invalid = _one_window(run, live, passes, length_s, done)
        if invalid:
            discarded += 1
            for probe, reason in invalid:
                tries[id(probe)] += 1
                if tries[id(probe)] >= MAX_TRIES:
                    failed[place_of(probe)] = reason
                    live.remove(probe)
            continue
        windows += found
        tries = dict.fromkeys(tries, 0)
        done += 1
    return Windows(
        windows=tuple(windows),
        discarded=discarded,
        failed=failed,
        sampler_share={place_of(probe): share for probe in probes if (share := sampler_share(probe)) is not None},
    )


def _length_s(run: Callable[[], object], probe: Probe, passes: int, target: float) -> float:
    """Return the window a probe needs at the power of this workload: of a short trial, or of its latest sample."""
    start = None if isinstance(probe, SampledProbe) else probe.mark()
    for _ in range(passes):
        run()
    power_w = reading(probe) if start is None else probe.energy(start, probe.mark()).power_w
    # A little more, as the passes may run faster than they did.
    return 1.05 * shortest_window(probe, power_w, target) if power_w > 0 else 0.0


def _one_window(
    run: Callable[[], object], probes: Sequence[Probe], passes: int, length_s: float, index: int
) -> tuple[list[Window], list[tuple[Probe, str]]]:
    """Run one window for all probes; a failing probe makes the whole window invalid, so that scopes stay together.

    At least `passes` passes, and more while it is shorter than `length_s`: the passes before it, which told their
    number, may have run on a machine busy with something else.
    """
    invalid: list[tuple[Probe, str]] = []
    starts: list[tuple[Probe, Mark]] = []
    for probe in probes:
        try:
            starts.append((probe, probe.mark()))
        except ProbeError as error:
            invalid.append((probe, str(error)))
    if invalid:
        return [], invalid
    clock = time.perf_counter
    begun = clock()
    for _ in range(passes):
        run()
    more = max(1, passes // 20)
    while (passes_s := clock() - begun) < length_s:
        for _ in range(more):
            run()
        passes += more
    windows = []
    for probe, start in starts:
        try:
            end = probe.mark()
            energy = probe.energy(start, end)
        except ProbeError as error:
            invalid.append((probe, str(error)))
            continue
        windows.append(window_of(probe, start, end, energy, passes=passes, passes_s=passes_s, index=index))
    return ([] if invalid else windows), invalid
