"""Measuring: the runs of the schedule, one after the other; a disturbed run is measured again."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from edgebench.machine.facts import cpus_for
from edgebench.machine.state import disturbance, read_state
from edgebench.measure.courses import SustainedResult
from edgebench.measure.messages import (
    AnswersJob,
    ArtifactFile,
    EnergyJob,
    GenerateJob,
    MeasureJob,
    Shapes,
    SustainedJob,
    TimedJob,
)
from edgebench.measure.results import InferenceResult
from edgebench.plan.kinds import KINDS
from edgebench.plan.targets import family_of
from edgebench.report.figures.given import Given, figures_of
from edgebench.report.metric import Watts, widest_scope
from edgebench.report.precision import half_widths
from edgebench.report.records import DiscardedRecord, FailedRecord, LostRecord, RunRecord
from edgebench.session.compress import evaluation_job, make_once
from edgebench.session.jobs import LONGER, JobResult, child_environment, run_job
from edgebench.session.schedule import Turn, Widths, ahead, turns
from edgebench.session.texts import read_job, text_job
from edgebench_suites.zoo import task_of

if TYPE_CHECKING:
    from edgebench.plan.plan import Benchmark, Plan
    from edgebench.report.log import Log
    from edgebench.report.records import ArtifactRecord, RunResult
    from edgebench.session.options import Options, Progress
    from edgebench.session.preparation import Artifacts

# A run that something disturbed is measured again this often, then kept with a warning; one that failed is given up.
MAX_REPEATS = 1


def measure_all(plan: Plan, options: Options, artifacts: Artifacts, log: Log, progress: Progress) -> None:
    """Measure every run that the journal does not hold yet; one that fails is left, the rest goes on."""
    widths = widths_in(log)
    last = -1
    for due in turns(plan, log, widths):
        cell, turn = due.cell, due.turn
        if turn != last:
            progress.expect(ahead(plan, log, widths, prepared=options.bundle is not None))
            last = turn
        runs = log.runs(cell.name)
        if log.given_up(cell.name) or any(run.turn == turn for run in runs):
            continue
        artifact = artifacts.get(cell.name)
        if artifact is None and cell.params.operator is None:
            continue
        progress.step("measure", f"{cell.name} run {turn + 1}{_of(cell)}", cell.name)
        kind = KINDS[cell.kind]
        if kind.lasts and cell.measure.rest_s:
            progress.step("idle", f"rest before {cell.name}, {cell.measure.rest_s:g} s")
            time.sleep(cell.measure.rest_s)
        _measure(due, plan, options, artifact, log, progress)
        progress.advance(cell.name)


def widths_in(log: Log) -> Widths:
    """Return what tells the half-widths of a benchmark's first so many runs, from the figures that the report has."""
    known: dict[tuple[str, int], Mapping[str, float | None]] = {}

    def of_first(cell: Benchmark, count: int) -> Mapping[str, float | None]:
        runs = sorted(log.runs(cell.name), key=lambda run: run.turn)[:count]
        if not runs or log.start is None:
            return {}
        if (key := (cell.name, len(runs))) not in known:
            given = Given(log.artifact(cell.name), log.idle_powers(), log.start, None)
            known[key] = half_widths(cell.kind, figures_of(cell, runs, given).metrics)
        return known[key]

    return of_first


def _of(cell: Benchmark) -> str:
    measure = cell.measure
    return f", up to {measure.most_runs}" if measure.precision else f" of {measure.processes}"


def _measure(
    due: Turn, plan: Plan, options: Options, artifact: ArtifactRecord | None, log: Log, progress: Progress
) -> None:
    """Measure one run, again once where it failed or was disturbed; a benchmark that fails twice is given up."""
    cell, turn = due.cell, due.turn
    repeats = {"disturbed": MAX_REPEATS if KINDS[cell.kind].repeated else 0, "failed": MAX_REPEATS}
    runs = log.runs(cell.name)
    while True:
        before = read_state()
        outcome = _run(plan, cell, artifact, options, runs[0] if runs else None)
        after = read_state()
        if outcome.answer is None:
            reason = outcome.error or "it gave no result"
            # What a worker itself refuses it would refuse again.
            if repeats["failed"] and outcome.clock is None:
                repeats["failed"] -= 1
                log.add(LostRecord(cell=cell.name, turn=turn, reason=reason, seconds=outcome.seconds))
                progress.note(f"{cell.name}: a run is measured again, as it failed: {reason}")
                continue
            log.add(FailedRecord(cell=cell.name, reason=reason, seconds=outcome.seconds))
            progress.note(f"{cell.name} failed: {reason}")
            return
        happened = disturbance(before, after, outcome.cpu_s)
        if happened.reason is None or not repeats["disturbed"]:
            break
        repeats["disturbed"] -= 1
        log.add(
            DiscardedRecord(
                cell=cell.name,
                turn=turn,
                reason=happened.reason,
                seconds=outcome.seconds,
                clock=outcome.answer.clock,
            )
        )
        progress.note(f"{cell.name}: a run is measured again, as {happened.reason}")
    log.add(
        RunRecord(
            cell=cell.name,
            turn=turn,
            place=due.place,
            seconds=outcome.seconds,
            start_s=outcome.start_s,
            disturbed=happened.reason,
            before=before,
            after=after,
            result=outcome.answer,
        )
    )
    _tell_power(outcome.answer, progress)


def _tell_power(result: RunResult, progress: Progress) -> None:
    """Tell the latest power of the widest scope that a run's windows have."""
    windows = result.energy.windows if isinstance(result, InferenceResult) else ()
    powers = {window.scope: window.power_w for window in reversed(windows)}
    if scope := widest_scope(set(powers)):
        progress.power(Watts(powers[scope], scope))


def _run(
    plan: Plan, cell: Benchmark, artifact: ArtifactRecord | None, options: Options, first: RunRecord | None
) -> JobResult[RunResult]:
    """One run in processes of its own: a worker, or for kind ``compress`` the making of the artifact.

    `first` is the cell's first run, once there is one: its loops are kept, and it alone is asked for a description.
    """
    if KINDS[cell.kind].makes and artifact is not None:
        family = family_of(cell.params.backend).name
        return make_once(plan, cell, artifact, options, family=family, describe=first is None)
    known = first.result.times.loops if first is not None and isinstance(first.result, InferenceResult) else 0
    job = make_job(plan, cell, artifact, options, loops=known, describe=first is None)
    load_s = job.timing.seconds if isinstance(job.timing, SustainedJob) else 0.0
    return run_job(
        "edgebench.measure.worker",
        job,
        (InferenceResult, SustainedResult),
        environment=child_environment(threads=cell.params.threads, isa=cell.params.isa, seed=plan.seed),
        limit_s=cell.measure.time_limit_s + load_s,
        longer=LONGER,
    )


def make_job(
    plan: Plan, cell: Benchmark, artifact: ArtifactRecord | None, options: Options, *, loops: int, describe: bool
) -> MeasureJob:
    """Return the worker's job for one run; the first run of a cell also describes layers and measures accuracy."""
    params, measure = cell.params, cell.measure
    shapes: Shapes = {}
    if plan.own_model is not None and artifact is not None:
        shapes = artifact.notes.shapes or {}
    elif params.operator is None and plan.own_model is None:
        shapes = task_of(params.model).shapes(params.batch, params.size, params.width)
    kind = KINDS[cell.kind]
    labelled = kind.scored and not cell.generates and plan.own_model is None
    request = _requests(plan, cell)
    timed = TimedJob(
        loops=loops,
        passes=measure.passes,
        warmup_passes=measure.warmup_passes,
        values=measure.values,
        min_value_s=measure.min_value_s,
    )
    return MeasureJob(
        name=cell.name,
        backend=params.backend,
        precision=params.precision,
        threads=params.threads,
        cpus=tuple(cpus_for(params.threads, options.cpus)),
        seed=plan.seed,
        operator=params.operator,
        artifact=None if artifact is None else ArtifactFile(str(artifact.path), artifact.format),
        shapes=shapes,
        feeds=() if plan.own_model is None else plan.own_model.feeds,
        timing=SustainedJob(measure.sustained_s, request) if kind.lasts else request or timed,
        measure=kind.measure,
        energy=EnergyJob(
            probes=options.probes,
            windows=measure.energy_windows,
            target=measure.energy_target,
            window_s=measure.energy_window_s,
        ),
        tokens_a_pass=None
        if params.tokens is None or cell.generates
        else params.batch * (1 if "past" in shapes else params.tokens),
        weights_only=params.variant.endswith("weights-int8"),
        describe=describe,
        evaluate=evaluation_job(plan, cell, artifact, options) if describe and labelled else None,
        answers=AnswersJob(artifact.reference)
        if describe and plan.own_model is not None and artifact and not cell.generates
        else None,
        read=read_job(plan, cell, artifact) if describe and cell.generates and kind.scored else None,
    )


def _requests(plan: Plan, cell: Benchmark) -> GenerateJob | None:
    """Return what requests a cell makes, of a load as many as it lasts; None where it makes none."""
    if cell.params.generate is None:
        return None
    return GenerateJob(
        prompt=cell.params.size,
        generate=cell.params.generate,
        requests=0 if KINDS[cell.kind].lasts else cell.measure.requests,
        text=text_job(plan),
        batch=cell.params.batch,
    )
