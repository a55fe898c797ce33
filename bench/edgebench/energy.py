"""Energy around the engine's own work: windows over passes, idle power, and the joules of a phase."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean, stdev
from typing import TYPE_CHECKING, Any

from edgebench_probes.base import ProbeError
from edgebench_probes.window import per_inference

if TYPE_CHECKING:
    from edgebench_probes.base import Mark, Probe, WindowEnergy

# A window is measured again when it is invalid; a source that fails this often in a row is reported missing.
MAX_TRIES = 3
# The trial that tells the power a window's length depends on.
TRIAL_S = 0.1


@dataclass(frozen=True, slots=True)
class ProbeSettings:
    """Which probes to open, as named by the user (none: the machine's own), and where sysfs is mounted."""

    specs: tuple[str, ...] = ()
    sysfs: str = "/sys"

    def open(self, workload_cpus: Sequence[int] = ()) -> tuple[list[Probe], list[dict[str, Any]]]:
        """Open them; return the open probes and what is missing as `{name, reason, fix}`.

        Samplers keep off `workload_cpus` where the machine has a processor to spare.
        """
        from edgebench_probes.catalogue.discover import open_probes

        probes, findings = open_probes(self.specs, Path(self.sysfs), workload_cpus=workload_cpus)
        missing = [
            {
                "name": found.name,
                "reason": found.reason or "not usable here",
                **({"fix": found.fix} if found.fix else {}),
            }
            for found in findings
        ]
        return probes, missing


@contextlib.contextmanager
def opened(settings: ProbeSettings, workload_cpus: Sequence[int] = ()) -> Iterator[list[Probe]]:
    """Open the probes for a block and close them after it."""
    with contextlib.ExitStack() as stack:
        probes, _ = settings.open(workload_cpus)
        for probe in probes:
            stack.callback(probe.close)
        yield probes


@dataclass(frozen=True, slots=True)
class PassesWindow:
    """Energy of one inference in a window of one scope; windows of one `index` cover the same passes.

    `begin_s` and `end_s` are on CLOCK_MONOTONIC.
    """

    probe: str
    scope: str
    energy_j: float
    uncertainty_j: float
    systematic_j: float
    parts_j: Mapping[str, float]
    seconds: float
    passes: int
    power_w: float
    samples: int
    max_gap_s: float
    coverage: float
    index: int
    begin_s: float
    end_s: float

    @classmethod
    def of(
        cls, probe: Probe, start: Mark, end: Mark, energy: WindowEnergy, passes: int, passes_s: float, index: int
    ) -> PassesWindow:
        """Return the window between two marks in which `passes` passes took `passes_s` in all.

        The edges wait for the counter's refresh, up to a millisecond of the window that belongs to no pass: the
        window's power times the passes' own time leaves it out.
        """
        share = passes_s / energy.seconds
        joules, sigma = per_inference(energy, passes)
        return cls(
            probe=probe.info.name,
            scope=str(probe.info.scope),
            energy_j=joules * share,
            uncertainty_j=sigma * share,
            systematic_j=energy.systematic_j / passes * share,
            parts_j={name: part / passes * share for name, part in energy.parts.items()},
            seconds=passes_s,
            passes=passes,
            power_w=energy.power_w,
            samples=energy.samples,
            max_gap_s=energy.max_gap_s,
            coverage=energy.coverage,
            index=index,
            begin_s=start.t_ns / 1e9,
            end_s=end.t_ns / 1e9,
        )


@dataclass(slots=True)
class WindowsResult:
    """The windows of one run, and what went wrong on the way: `{scope: reason}` for a scope without a figure."""

    windows: list[PassesWindow] = field(default_factory=list)
    discarded: int = 0
    failed: dict[str, str] = field(default_factory=dict)


def measure_passes(
    run: Callable[[], object], probes: Sequence[Probe], *, pass_s: float, count: int, target: float, shortest_s: float
) -> WindowsResult:
    """Measure `count` windows of repeated passes, each long enough for every probe to reach `target` (relative).

    `pass_s` is the latency known so far; a first, short window gives the power that the length depends on.
    """
    result = WindowsResult()
    live = list(probes)
    if not live or not count:
        return result
    length_s = shortest_s
    for probe in live:
        with contextlib.suppress(ProbeError):
            length_s = max(length_s, _length_s(run, probe, max(1, round(TRIAL_S / pass_s)), target))
    passes = max(1, -(-int(length_s * 1e6) // max(1, int(pass_s * 1e6))))
    done = 0
    tries = dict.fromkeys((id(probe) for probe in live), 0)
    while done < count and live:
        window, invalid = _one_window(run, live, passes, length_s, done)
        if invalid:
            result.discarded += 1
            for probe, reason in invalid:
                tries[id(probe)] += 1
                if tries[id(probe)] >= MAX_TRIES:
                    result.failed[probe.info.scope] = reason
                    live.remove(probe)
            continue
        result.windows += window
        tries = dict.fromkeys(tries, 0)
        done += 1
    return result


def _length_s(run: Callable[[], object], probe: Probe, passes: int, target: float) -> float:
    """Return the window a probe needs at the power of this workload: of a short trial, or of its latest sample."""
    from edgebench_probes.catalogue.discover import reading, shortest_window
    from edgebench_probes.sampling.probe import SampledProbe

    start = None if isinstance(probe, SampledProbe) else probe.mark()
    for _ in range(passes):
        run()
    power_w = reading(probe) if start is None else probe.energy(start, probe.mark()).power_w
    # A little more, as the passes may run faster than they did.
    return 1.05 * shortest_window(probe, power_w, target) if power_w > 0 else 0.0


def _one_window(
    run: Callable[[], object], probes: Sequence[Probe], passes: int, length_s: float, index: int
) -> tuple[list[PassesWindow], list[tuple[Probe, str]]]:
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
        windows.append(PassesWindow.of(probe, start, end, energy, passes, passes_s, index))
    return ([] if invalid else windows), invalid


def measure_idle(probes: Sequence[Probe], seconds: float, when: str) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Measure idle power over about `seconds`, cut into windows of a second, or of what the slowest source needs.

    Returns the report's `idle` and, for a scope without a figure, the reason.
    """
    slice_s = max([1.0, *(_idle_window_s(probe) for probe in probes)])
    slices = max(2, int(seconds / slice_s))
    slice_s = max(slice_s, seconds / slices)
    powers: dict[int, list[float]] = {index: [] for index in range(len(probes))}
    failed: dict[str, str] = {}
    marks: list[Mark | None] = [None] * len(probes)
    for step in range(slices + 1):
        for index, probe in enumerate(probes):
            try:
                mark = probe.mark()
                if (start := marks[index]) is not None:
                    powers[index].append(probe.energy(start, mark).power_w)
                marks[index] = mark
            except ProbeError as error:
                marks[index] = None
                failed[str(probe.info.scope)] = str(error)
        if step < slices:
            time.sleep(slice_s)
    records = []
    for index, probe in enumerate(probes):
        if found := powers[index]:
            scope = str(probe.info.scope)
            failed.pop(scope, None)
            entry = {
                "probe": probe.info.name,
                "scope": scope,
                "power_w": fmean(found),
                "seconds": slice_s * len(found),
                "windows": len(found),
                "when": when,
            }
            records.append(entry | ({"stdev_w": stdev(found)} if len(found) > 1 else {}))
    return records, failed


def _idle_window_s(probe: Probe) -> float:
    """Return what a window of idle power needs to hold enough samples, whatever the power; 0 for a counter."""
    from edgebench_probes.catalogue.discover import shortest_window
    from edgebench_probes.sampling.probe import SampledProbe

    return 1.05 * shortest_window(probe, math.inf) if isinstance(probe, SampledProbe) else 0.0


def read_cost_s(probe: Probe, reads: int = 50) -> float:
    """Return the seconds one unsynchronised read of a probe costs: the median of `reads`."""
    costs = []
    for _ in range(reads):
        begun = time.perf_counter()
        probe.mark(sync=False)
        costs.append(time.perf_counter() - begun)
    return sorted(costs)[len(costs) // 2]


def sampler_share(probe: Probe) -> float | None:
    """Return the share of one processor that a probe's sampler, or its watch, used since it was opened."""
    from edgebench_probes.counter import CounterProbe
    from edgebench_probes.sampling.probe import SampledProbe

    if isinstance(probe, CounterProbe):
        return probe.watch_share()
    return probe.sampler_share() if isinstance(probe, SampledProbe) else None


def describe(probe: Probe) -> dict[str, Any]:
    """Return the report's entry of an open probe, with the measured cost of a read."""
    from edgebench_probes.sampling.probe import SampledProbe

    info = probe.info
    found: dict[str, Any] = {
        "name": info.name,
        "source": info.source,
        "scope": str(info.scope),
        "kind": info.kind,
        "resolution": info.resolution,
        "refresh_s": info.refresh_s,
        "overhead": read_cost_s(probe),
    }
    if info.accuracy:
        found["accuracy"] = info.accuracy
    if isinstance(probe, SampledProbe):
        about = probe.source_info
        found |= {"accuracy_source": about.accuracy_source} if about.accuracy_source else {}
        found |= {"notes": dict(about.notes)} if about.notes else {}
    return found
