"""A sustained run in the report: rates and joules cold and hot, its course by the second, and its throttling."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from statistics import fmean
from typing import TYPE_CHECKING

from edgebench.measure.courses import SustainedResult
from edgebench.report.course import Change, Sustained
from edgebench.report.figures.energy import energy, joules_a_pass, whole_window
from edgebench.report.figures.generate import renamed
from edgebench.report.figures.given import Figures, Given
from edgebench.report.figures.inference import of_process
from edgebench.report.figures.loads import burdens_of, generated, rates_of
from edgebench.report.figures.throttling import Evidence, Verdict, judge, ratio
from edgebench.report.figures.timeline import Line, binned
from edgebench.report.metric import metric_from_runs, single_value
from edgebench.report.quantity import Missing
from edgebench.report.records import of_kind
from edgebench_probes.labels import labels_of
from edgebench_probes.window import per_inference

if TYPE_CHECKING:
    from edgebench.measure.courses import Phase
    from edgebench.measure.ledger import IdlePower
    from edgebench.measure.results import Window
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
    answered = generated(of_kind(runs, SustainedResult))
    return Figures(found, missing, {"sustained": tuple(blocks(cell, runs, given.seen)), "generated": answered})


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
    for rates in zip(*(rates_of(result, cell.params.batch) for result in results), strict=True):
        name = rates[0].name
        found[name] = metric_from_runs(name, [[rate.whole] for rate in rates])
        for phase in PHASES:
            parts = [rate.parts(result.course, phase) for rate, result in zip(rates, results, strict=True)]
            found[f"{name}.{phase}"] = metric_from_runs(name, [[fmean(each)] for each in parts])
    of_process(results, start, found, missing)
    if artifact is not None:
        found["size_bytes"] = single_value("size_bytes", artifact.size_bytes)
    _energy(cell, results, idle, start, found, missing)
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
        lines = [
            Line(rate.name, "1/s", f"{rate.counted} in each bin", None, list(zip(middles, rate.by_bin, strict=True)))
            for rate in rates_of(result, cell.params.batch)
        ]
        for power in course.power:
            points = [(at, watts) for at, watts in zip(middles, power.power_w, strict=True) if watts is not None]
            if points:
                source = f"{power.probe}: mean of each bin"
                lines.append(Line("power_w", "W", source, power.scope, points))
        for key in _BESIDE:
            if points := _during(key, run, result, seen):
                origin = seen.lines[key] if seen is not None else None
                lines.append(Line(key, origin.unit if origin else "1", origin.source if origin else "", None, points))
        cold, hot = (course.ends(phase) for phase in PHASES)
        yield Sustained(
            seconds=course.total_s,
            passes=sum(course.passes),
            bin_s=course.total_s / len(course.passes),
            longest_pass_s=max(course.longest_s),
            begin_s=_begin_s(run, result, seen),
            cold=(edges[cold[0]] - edges[0], edges[cold[1]] - edges[0]),
            hot=(edges[hot[0]] - edges[0], edges[hot[1]] - edges[0]),
            series=tuple(binned(line) for line in lines),
            hot_over_cold=dict(_changes(result, cell.params.batch)),
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
    whole = next(rates_of(result, cell.params.batch))
    return judge(whole.by_bin, course.seconds, cell.params.threads, evidence)


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


def _changes(result: SustainedResult, batch: int) -> Iterator[tuple[str, Change]]:
    """Yield hot over cold: rates with their intervals, joules by scope with one sigma of measuring."""
    course = result.course
    for rate in rates_of(result, batch):
        centre, interval = ratio(*(rate.parts(course, phase) for phase in PHASES))
        yield rate.name, Change(ratio=centre, ci95=interval)
    labels = labels_of((power.probe, power.scope) for power in course.power)
    for burden in burdens_of(result):
        name = burden.names["energy_gross_j"]
        for own, label in labels.items():
            sides = [[w for w in burden.windows[phase].windows if (w.probe, w.scope) == own] for phase in PHASES]
            if (change := _joules(*sides)) is not None:
                yield f"{name}.{label}", change


def _joules(cold: Sequence[Window], hot: Sequence[Window]) -> Change | None:
    """Return joules a pass hot over cold; None where a phase has no window."""
    if not cold or not hot:
        return None
    wholes = [whole_window(side) for side in (cold, hot)]
    each = [sum(window.passes for window in side) for side in (cold, hot)]
    cold_j, hot_j = (per_inference(whole, passes)[0] for whole, passes in zip(wholes, each, strict=True))
    if cold_j <= 0:
        return None
    # The same probe on the same load: what its data sheet allows is in both, and cancels.
    sigma = math.hypot(*(whole.uncertainty_j / whole.energy_j for whole in wholes)) if hot_j > 0 else None
    _, interval = ratio(*([joules_a_pass(window) for window in side] for side in (cold, hot)))
    return Change(ratio=hot_j / cold_j, ci95=interval, uncertainty=None if sigma is None else sigma * hot_j / cold_j)


def _energy(
    cell: Benchmark,
    results: Sequence[SustainedResult],
    idle: Sequence[IdlePower],
    start: StartRecord,
    found: Metrics,
    missing: Reasons,
) -> None:
    """Joules and power over the whole run and in each phase, as those of any benchmark."""
    for burdens in zip(*(burdens_of(result) for result in results), strict=True):
        for phase in ("all", *PHASES):
            of_phase: Metrics = {}
            reasons: Reasons = {}
            energy(cell, [burden.windows[phase] for burden in burdens], idle, start, of_phase, reasons)
            suffix, names = "" if phase == "all" else f".{phase}", burdens[0].names
            found |= {f"{renamed(name, names)}{suffix}": metric for name, metric in of_phase.items()}
            # A phase is missing for a reason of its own only where the whole is not missing for the same.
            told = {renamed(name, names): why for name, why in reasons.items()}
            missing |= {f"{name}{suffix}": why for name, why in told.items() if missing.get(name) != why}
