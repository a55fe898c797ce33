"""A sustained run in the report: throughput and joules cold and hot, its course by the second, and its throttling."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from statistics import fmean
from typing import TYPE_CHECKING

from edgebench.measure.results import SustainedResult
from edgebench.report.course import Change, Sustained
from edgebench.report.figures.energy import energy, joules_a_pass, whole_window
from edgebench.report.figures.given import Figures, Given
from edgebench.report.figures.inference import of_process
from edgebench.report.figures.throttling import Evidence, Verdict, judge, ratio
from edgebench.report.figures.timeline import Line, binned
from edgebench.report.metric import metric_from_runs, single_value
from edgebench.report.quantity import Missing
from edgebench.report.records import of_kind
from edgebench_probes.labels import labels_of
from edgebench_probes.window import per_inference

if TYPE_CHECKING:
    from edgebench.measure.ledger import IdlePower
    from edgebench.measure.results import Course, Phase
    from edgebench.plan.plan import Benchmark
    from edgebench.report.figures.timeline import Points, Timeline
    from edgebench.report.metric import Metrics, Reasons
    from edgebench.report.records import ArtifactRecord, RunRecord, StartRecord

PHASES: tuple[Phase, Phase] = ("cold", "hot")
# Of the session's samples, those that tell why throughput changed.
_BESIDE = ("temperature_c", "cpu_frequency_hz", "throttle_count", "throttled", "gpu_temperature_c", "gpu_frequency_hz")


def figures(cell: Benchmark, runs: Sequence[RunRecord], given: Given) -> Figures:
    """Return the figures of a finished benchmark of kind ``sustained``, with what each run was second by second."""
    found, missing = metrics(cell, runs, given.artifact, given.idle, given.start, given.seen)
    return Figures(found, missing, {"sustained": tuple(blocks(cell, runs, given.seen))})


def metrics(
    cell: Benchmark,
    runs: Sequence[RunRecord],
    artifact: ArtifactRecord | None,
    idle: Sequence[IdlePower],
    start: StartRecord,
    seen: Timeline | None,
) -> tuple[Metrics, Reasons]:
    """Return the metrics of a sustained benchmark; ``.cold`` and ``.hot`` come after a scope: ``power_w.core.hot``."""
    results = of_kind(runs, SustainedResult)
    found: Metrics = {"latency_s": metric_from_runs("latency_s", [result.values for result in results])}
    missing: Reasons = {}
    courses = [result.course for result in results]
    batch = cell.params.batch
    found["throughput_per_s"] = metric_from_runs(
        "throughput_per_s", [[batch * sum(course.passes) / course.total_s] for course in courses]
    )
    for phase in PHASES:
        found[f"throughput_per_s.{phase}"] = metric_from_runs(
            "throughput_per_s", [[fmean(_phase_rates(course, phase, batch))] for course in courses]
        )
    of_process(results, start, found, missing)
    if artifact is not None:
        found["size_bytes"] = single_value("size_bytes", artifact.size_bytes)
    _energy(cell, courses, idle, start, found, missing)
    verdicts = [verdict(cell, run, result, seen) for run, result in _sustained(runs)]
    onsets = [one.onset_s for one in verdicts]
    known = [onset for onset in onsets if onset is not None]
    if len(known) == len(onsets):
        found["onset_s"] = metric_from_runs("onset_s", [[onset] for onset in known])
    else:
        missing["onset_s"] = Missing(reason=next(one.text for one in verdicts if one.onset_s is None))
    return found, missing


def blocks(cell: Benchmark, runs: Sequence[RunRecord], seen: Timeline | None) -> Iterator[Sustained]:
    """Yield the course of each run."""
    for run, result in _sustained(runs):
        course = result.course
        edges = course.edges_s
        told = verdict(cell, run, result, seen)
        middles = [(a + b) / 2 - edges[0] for a, b in pairwise(edges)]
        rates = _rates(course, cell.params.batch)
        lines = [Line("throughput_per_s", "1/s", "passes in each bin", None, list(zip(middles, rates, strict=True)))]
        for power in course.power:
            points = [(at, watts) for at, watts in zip(middles, power.power_w, strict=True) if watts is not None]
            if points:
                source = f"{power.probe}: mean of each bin"
                lines.append(Line("power_w", "W", source, power.scope, points))
        for key in _BESIDE:
            if points := _during(key, run, result, seen):
                origin = seen.lines[key] if seen is not None else None
                lines.append(Line(key, origin.unit if origin else "1", origin.source if origin else "", None, points))
        cold, hot = (_edges_of(course, phase) for phase in PHASES)
        yield Sustained(
            seconds=course.total_s,
            passes=sum(course.passes),
            bin_s=course.total_s / len(course.passes),
            longest_pass_s=max(course.longest_s),
            begin_s=_begin_s(run, result, seen),
            cold=(edges[cold[0]] - edges[0], edges[cold[1]] - edges[0]),
            hot=(edges[hot[0]] - edges[0], edges[hot[1]] - edges[0]),
            series=tuple(binned(line) for line in lines),
            hot_over_cold=dict(_changes(course, cell.params.batch)),
            verdict=told.verdict,
            verdict_text=told.text,
            onset_s=told.onset_s,
            fall=told.fall,
        )


def _sustained(runs: Sequence[RunRecord]) -> Iterator[tuple[RunRecord, SustainedResult]]:
    for run in runs:
        if isinstance(run.result, SustainedResult):
            yield run, run.result


def verdict(cell: Benchmark, run: RunRecord, result: SustainedResult, seen: Timeline | None) -> Verdict:
    """Judge one run by its throughput, and by what the session's sampler saw meanwhile."""
    course = result.course
    counts = (run.before.throttle_count, run.after.throttle_count)
    limits = bool(run.before.limits or run.after.limits)
    rose = None if counts[0] is None or counts[1] is None else counts[1] > counts[0]
    busy, own, stolen = (
        dict(_during(key, run, result, seen)) for key in ("cpu_percent", "workload_cpu_percent", "steal_percent")
    )
    others = [(at, (busy[at] - own[at] + stolen.get(at, 0.0)) / 100) for at in busy if at in own]
    evidence = Evidence(
        given=[used / length for used, length in zip(course.cpu_s, course.seconds, strict=True)],
        frequency_hz=_during("cpu_frequency_hz", run, result, seen),
        events=_during("throttle_count", run, result, seen) or _during("throttled", run, result, seen),
        others=others,
        counted=True if limits else rose,
        disturbed=run.disturbed,
    )
    return judge(_rates(course, cell.params.batch), course.seconds, cell.params.threads, evidence)


def _during(key: str, run: RunRecord, result: SustainedResult, seen: Timeline | None) -> Points:
    """Return a series' points inside a run, in seconds from its first bin."""
    zero_s = _begin_s(run, result, seen)
    if seen is None or zero_s is None or key not in seen.lines:
        return []
    end_s = zero_s + result.course.total_s
    return [(at - zero_s, value) for at, value in seen.lines[key].points if zero_s <= at <= end_s]


def _begin_s(run: RunRecord, result: SustainedResult, seen: Timeline | None) -> float | None:
    """Return where a run's first bin begins on the axis of the session's samples, or None without any."""
    windows = [] if seen is None else seen.windows
    window = next((w for w in windows if (w.cell, w.turn) == (run.cell, run.turn)), None)
    if window is None:
        return None
    return result.course.edges_s[0] + window.begin_s - result.clock.measuring_s


def _rates(course: Course, batch: int) -> list[float]:
    return [batch * n / length for n, length in zip(course.passes, course.seconds, strict=True)]


def _edges_of(course: Course, phase: Phase) -> tuple[int, int]:
    """Return the first and the last edge of a phase: whole bins, at least one."""
    edges, phase_s = course.edges_s, course.phase_s + 0.5
    last = len(edges) - 1
    if phase == "cold":
        return 0, max([1, *(i for i, edge in enumerate(edges) if edge - edges[0] <= phase_s)])
    return min([last - 1, *(i for i, edge in enumerate(edges) if edges[last] - edge <= phase_s)]), last


def _phase_rates(course: Course, phase: Phase, batch: int) -> list[float]:
    """Return the throughput in each quarter of a phase."""
    first, last = _edges_of(course, phase)
    cuts = sorted({first + (last - first) * part // 4 for part in range(5)})
    edges = course.edges_s
    return [batch * sum(course.passes[a:b]) / (edges[b] - edges[a]) for a, b in pairwise(cuts)]


def _changes(course: Course, batch: int) -> Iterator[tuple[str, Change]]:
    """Yield hot over cold: throughput with its interval, joules an inference by scope with one sigma of measuring."""
    centre, interval = ratio(*(_phase_rates(course, phase, batch) for phase in PHASES))
    yield "throughput_per_s", Change(ratio=centre, ci95=interval)
    labels = labels_of((power.probe, power.scope) for power in course.power)
    for own, label in labels.items():
        sides = [[w for w in course.energy[phase].windows if (w.probe, w.scope) == own] for phase in PHASES]
        if not all(sides):
            continue
        wholes = [whole_window(side) for side in sides]
        each = [sum(window.passes for window in side) for side in sides]
        cold_j, hot_j = (per_inference(whole, passes)[0] for whole, passes in zip(wholes, each, strict=True))
        if cold_j <= 0:
            continue
        # The same probe on the same load: what its data sheet allows is in both, and cancels.
        sigma = math.hypot(*(whole.uncertainty_j / whole.energy_j for whole in wholes)) if hot_j > 0 else None
        _, interval = ratio(*([joules_a_pass(window) for window in side] for side in sides))
        change = Change(
            ratio=hot_j / cold_j, ci95=interval, uncertainty=None if sigma is None else sigma * hot_j / cold_j
        )
        yield f"energy_gross_j.{label}", change


def _energy(
    cell: Benchmark,
    courses: Sequence[Course],
    idle: Sequence[IdlePower],
    start: StartRecord,
    found: Metrics,
    missing: Reasons,
) -> None:
    """Joules an inference and power over the whole run and in each phase, as those of any benchmark."""
    for phase in ("all", *PHASES):
        of_phase: Metrics = {}
        reasons: Reasons = {}
        energy(cell, [course.energy[phase] for course in courses], idle, start, of_phase, reasons)
        suffix = "" if phase == "all" else f".{phase}"
        found |= {f"{name}{suffix}": metric for name, metric in of_phase.items()}
        # A phase is missing for a reason of its own only where the whole is not missing for the same.
        missing |= {f"{name}{suffix}": why for name, why in reasons.items() if missing.get(name) != why}
