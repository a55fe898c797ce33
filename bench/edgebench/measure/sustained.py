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

from edgebench.backends.decoder import Request
from edgebench.measure.courses import PHASES, WINDOWS, BinPower, Course, Phase, SustainedResult
from edgebench.measure.messages import MeasureJob, SustainedJob
from edgebench.measure.probes import Opened, opened, place_of
from edgebench.measure.request_load import RequestLoad
from edgebench.measure.results import Process, Window, Windows
from edgebench.measure.windows import marked, window_between
from edgebench_probes.base import ProbeError

if TYPE_CHECKING:
    from edgebench_probes.base import Mark, Probe

BIN_NS = 1_000_000_000
# Cold is the first minute and hot the last, a quarter of the run where that is shorter.
PHASE_S = 60.0


def sustained(
    run: Callable[[], object], job: MeasureJob, took: Callable[[float], Process]
) -> Callable[..., SustainedResult]:
    """Run without a pause for as long as the job says, every probe marked once a second.

    A pass of a language model is a whole request: its places in the context are always the same, so that what grows
    with the context is in every bin alike, and what is slower later is slower for another reason.
    """
    assert isinstance(job.timing, SustainedJob)  # noqa: S101  # what the kind of benchmark asks for
    with contextlib.ExitStack() as stack:
        found = stack.enter_context(opened(job.energy.probes, job.cpus)) if job.energy.windows else Opened([], {})
        gc.collect()
        gc.freeze()
        requests = RequestLoad(run, found, job.timing.seconds) if isinstance(run, Request) else None
        if requests is None:
            course, cpu_percent = sustain(run, found.probes, job.timing.seconds)
            told = None
        else:
            course, cpu_percent = sustain(requests, found.probes, job.timing.seconds, requests.next_bin)
            told = requests.told(course)
    energy = {phase: found.told(windows) for phase, windows in course.energy.items()}
    course = msgspec.structs.replace(course, energy=energy)
    return partial(SustainedResult, course=course, process=took(cpu_percent), requests=told)


def sustain(
    run: Callable[[], object], probes: Sequence[Probe], seconds: float, ended: Callable[[], None] | None = None
) -> tuple[Course, float]:
    """Run passes for `seconds`; return their course, and the processor time in percent of the run's.

    A bin ends with the first pass that ends at or after its second: every bin has whole passes and its own length, and
    memory is bounded by the seconds, not by the passes. A probe is marked there without waiting for its next value,
    and `ended` called.
    """
    clock = time.monotonic_ns
    marks: list[list[Mark | None]] = [marked(probes)]
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
            marks.append(marked(probes))
            if ended is not None:
                ended()
            edges.append(now)
            counts.append(count)
            busy.append(time.process_time())
            longest.append(worst)
            count = worst = 0
            due += BIN_NS * ((now - due) // BIN_NS + 1)
    wall_s = (edges[-1] - edges[0]) * 1e-9
    course = Course(
        edges_s=tuple(edge * 1e-9 for edge in edges),
        passes=tuple(counts),
        cpu_s=tuple(b - a for a, b in pairwise([cpu_s, *busy])),
        longest_s=tuple(value * 1e-9 for value in longest),
        phase_s=min(PHASE_S, seconds / 4),
    )
    power, energy = _energies(probes, marks, course)
    course = msgspec.structs.replace(course, power=power, energy=energy)
    return course, 100 * (busy[-1] - cpu_s) / wall_s


def _energies(
    probes: Sequence[Probe], marks: Sequence[Sequence[Mark | None]], course: Course
) -> tuple[tuple[BinPower, ...], dict[Phase, Windows]]:
    """Return power by the second and the windows of each phase; worked out after the load, so that it costs nothing."""
    power: list[BinPower] = []
    edges, counts = course.edges_s, course.passes
    windows: dict[Phase, list[Window]] = {name: [] for name in PHASES}
    failed: dict[Phase, dict[str, str]] = {name: {} for name in PHASES}
    for place, probe in enumerate(probes):
        own = [mark[place] for mark in marks]
        watts = tuple(_power(probe, a, b) for a, b in pairwise(own))
        power.append(BinPower(probe=probe.info.name, scope=str(probe.info.scope), power_w=watts))
        for name in PHASES:
            for parts in (WINDOWS, 1):
                try:
                    found = [
                        window_between(probe, own[a], own[b], sum(counts[a:b]), edges[b] - edges[a], index)
                        for index, (a, b) in enumerate(pairwise(course.cuts(name, parts)))
                    ]
                except ProbeError as error:
                    failed[name][place_of(probe)] = str(error)
                else:
                    windows[name] += found
                    failed[name].pop(place_of(probe), None)
                    break
    return tuple(power), {name: Windows(windows=tuple(windows[name]), failed=failed[name]) for name in PHASES}


def _power(probe: Probe, start: Mark | None, end: Mark | None) -> float | None:
    if start is None or end is None:
        return None
    try:
        return float(f"{probe.energy(start, end).power_w:.6g}")
    except ProbeError:
        return None
