"""Full load without a pause, in the worker: passes and energy by the second, however long it lasts."""

from __future__ import annotations

import contextlib
import gc
import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING

import msgspec

from edgebench.measure.messages import MeasureJob, SustainedJob
from edgebench.measure.probes import Opened, opened, place_of
from edgebench.measure.results import BinPower, Course, Phase, Process, SustainedResult, Window, Windows
from edgebench.measure.windows import window_of
from edgebench_probes.base import ProbeError

if TYPE_CHECKING:
    from edgebench_probes.base import Mark, Probe

BIN_NS = 1_000_000_000
# Cold is the first minute and hot the last, a quarter of the run where that is shorter. Each is cut into windows, so
# that its spread is known.
PHASE_S = 60.0
WINDOWS = 4


def sustained(
    run: Callable[[], object], job: MeasureJob, took: Callable[[float], Process]
) -> Callable[..., SustainedResult]:
    """Run without a pause for as long as the job says, every probe marked once a second."""
    assert isinstance(job.timing, SustainedJob)  # noqa: S101  # what the kind of benchmark asks for
    with contextlib.ExitStack() as stack:
        found = stack.enter_context(opened(job.energy.probes, job.cpus)) if job.energy.windows else Opened([], {})
        gc.collect()
        gc.freeze()
        course, cpu_percent = sustain(run, found.probes, job.timing.seconds)
    energy = {phase: found.told(windows) for phase, windows in course.energy.items()}
    course = msgspec.structs.replace(course, energy=energy)
    return partial(SustainedResult, course=course, process=took(cpu_percent))


def sustain(run: Callable[[], object], probes: Sequence[Probe], seconds: float) -> tuple[Course, float]:
    """Run passes for `seconds`; return their course, and the processor time in percent of the run's.

    A bin ends with the first pass that ends at or after its second: every bin has whole passes and its own length, and
    memory is bounded by the seconds, not by the passes. A probe is marked there without waiting for its next value.
    """
    clock = time.monotonic_ns
    marks: list[list[Mark | None]] = [_marks(probes)]
    cpu_s = time.process_time()
    edges = [clock()]
    counts: list[int] = []
    busy: list[float] = []
    longest: list[int] = []
    due = edges[0] + BIN_NS
    end = edges[0] + round(seconds * 1e9)
    before, count, worst = edges[0], 0, 0
    while before < end:
        run()
        now = clock()
        count += 1
        worst = max(worst, now - before)
        before = now
        if now >= due:
            marks.append(_marks(probes))
            edges.append(now)
            counts.append(count)
            busy.append(time.process_time())
            longest.append(worst)
            count = worst = 0
            due += BIN_NS * ((now - due) // BIN_NS + 1)
    wall_s = (edges[-1] - edges[0]) * 1e-9
    phase_s = min(PHASE_S, seconds / 4)
    power, energy = _energies(probes, marks, edges, counts, _phases(edges, phase_s))
    course = Course(
        edges_s=tuple(edge * 1e-9 for edge in edges),
        passes=tuple(counts),
        cpu_s=tuple(b - a for a, b in pairwise([cpu_s, *busy])),
        longest_s=tuple(value * 1e-9 for value in longest),
        phase_s=phase_s,
        power=power,
        energy=energy,
    )
    return course, 100 * (busy[-1] - cpu_s) / wall_s


def _marks(probes: Sequence[Probe]) -> list[Mark | None]:
    found: list[Mark | None] = []
    for probe in probes:
        try:
            found.append(probe.mark(sync=False))
        except ProbeError:
            found.append(None)
    return found


def _phases(edges: Sequence[int], phase_s: float) -> dict[Phase, tuple[int, int]]:
    """Return the first and the last edge of all, the cold and the hot phase."""
    last = len(edges) - 1
    cold = max([1, *(i for i in range(last + 1) if (edges[i] - edges[0]) * 1e-9 <= phase_s + 0.5)])
    hot = min([last - 1, *(i for i in range(last + 1) if (edges[last] - edges[i]) * 1e-9 <= phase_s + 0.5)])
    return {"all": (0, last), "cold": (0, cold), "hot": (hot, last)}


def _energies(
    probes: Sequence[Probe],
    marks: Sequence[Sequence[Mark | None]],
    edges: Sequence[int],
    counts: Sequence[int],
    phases: dict[Phase, tuple[int, int]],
) -> tuple[tuple[BinPower, ...], dict[Phase, Windows]]:
    """Return power by the second and the windows of each phase; worked out after the load, so that it costs nothing."""
    power: list[BinPower] = []
    windows: dict[Phase, list[Window]] = {name: [] for name in phases}
    failed: dict[Phase, dict[str, str]] = {name: {} for name in phases}
    for place, probe in enumerate(probes):
        own = [mark[place] for mark in marks]
        watts = tuple(_power(probe, a, b) for a, b in pairwise(own))
        power.append(BinPower(probe=probe.info.name, scope=str(probe.info.scope), power_w=watts))
        for name, (first, last) in phases.items():
            for parts in (WINDOWS, 1):
                cuts = sorted({first + (last - first) * part // parts for part in range(parts + 1)})
                try:
                    found = [
                        _window(probe, own[a], own[b], sum(counts[a:b]), (edges[b] - edges[a]) * 1e-9, index)
                        for index, (a, b) in enumerate(pairwise(cuts))
                    ]
                except ProbeError as error:
                    failed[name][place_of(probe)] = str(error)
                else:
                    windows[name] += found
                    failed[name].pop(place_of(probe), None)
                    break
    return tuple(power), {name: Windows(windows=tuple(windows[name]), failed=failed[name]) for name in phases}


def _power(probe: Probe, start: Mark | None, end: Mark | None) -> float | None:
    if start is None or end is None:
        return None
    try:
        return float(f"{probe.energy(start, end).power_w:.6g}")
    except ProbeError:
        return None


def _window(probe: Probe, start: Mark | None, end: Mark | None, passes: int, passes_s: float, index: int) -> Window:
    if start is None or end is None:
        raise ProbeError("the source could not be read at an edge of the window")
    energy = probe.energy(start, end)
    return window_of(probe, start, end, energy, passes=passes, passes_s=passes_s, index=index)
