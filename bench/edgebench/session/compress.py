"""One run of a benchmark of kind ``compress``: export, then build, each in a child process of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from edgebench.artifacts.families import export_of
from edgebench.artifacts.messages import PhaseJob, PhaseMade
from edgebench.backends.families import family_named
from edgebench.machine.claims import scratch
from edgebench.machine.facts import cpus_for
from edgebench.measure.ledger import CompressResult
from edgebench.measure.messages import EvaluateJob, RunClock
from edgebench.plan.targets import engine_shapes, lowered_step
from edgebench.session.jobs import LONGER, JobResult, child_environment, run_job

if TYPE_CHECKING:
    from edgebench.plan.plan import Benchmark, Plan
    from edgebench.report.records import ArtifactRecord
    from edgebench.session.options import Options


def make_once(
    plan: Plan, cell: Benchmark, artifact: ArtifactRecord, options: Options, *, family: str, describe: bool
) -> JobResult[CompressResult]:
    """Make the artifact of a cell from its torch checkpoint `artifact`, from nothing; the file is thrown away."""
    step = lowered_step(cell.params.variant)
    phases: list[Literal["export", "build"]] = ["export"]
    if step is not None or family_named(family).local:
        phases.append("build")
    with scratch() as folder:
        outcomes: list[JobResult[PhaseMade]] = []
        for name in phases:
            last = name == phases[-1]
            job = PhaseJob(
                phase=name,
                step=step,
                last=last,
                base=str(artifact.path),
                scratch=str(folder),
                model=cell.params.model,
                width=cell.params.width,
                backend=cell.params.backend,
                family=family,
                precision=cell.params.precision,
                threads=cell.params.threads,
                cpus=tuple(cpus_for(cell.params.threads, options.cpus)),
                seed=plan.seed,
                size=cell.recipe.train_size,
                shapes=tuple(engine_shapes(cell)),
                engine_int8=cell.recipe.engine_int8,
                calibration_images=cell.recipe.calibration_images,
                data=str(options.data) if options.data else None,
                choice=plan.data.choice,
                probes=options.probes,
                evaluate=evaluation_job(plan, cell, artifact, options, family) if last and describe else None,
            )
            outcomes.append(
                run_job(
                    "edgebench.artifacts.compress",
                    job,
                    (PhaseMade,),
                    environment=child_environment(threads=cell.params.threads, isa=cell.params.isa, seed=plan.seed),
                    limit_s=cell.measure.time_limit_s,
                    longer=LONGER,
                )
            )
            if outcomes[-1].answer is None:
                break
    return _merged(outcomes, settings=_settings(cell, family, step))


def evaluation_job(
    plan: Plan, cell: Benchmark, artifact: ArtifactRecord | None, options: Options, form: str | None = None
) -> EvaluateJob:
    """Return what a process needs to tell the quality of a file; `form` is its format when not the artifact's."""
    return EvaluateJob(
        data=str(options.data) if options.data else None,
        choice=plan.data.choice,
        format=form or (None if artifact is None else artifact.format),
        size=cell.recipe.train_size,
        model=cell.params.model,
        width=cell.params.width,
        reference=None if artifact is None else artifact.reference,
    )


def _settings(cell: Benchmark, family: str, step: str | None) -> dict[str, Any]:
    found: dict[str, Any] = {"export": export_of(family), "threads": cell.params.threads}
    found |= {"step": step} if step else {}
    if step == "ptq-static":
        found |= {"calibration_images": cell.recipe.calibration_images, "calibration_size": cell.recipe.train_size}
    return found


def _merged(outcomes: list[JobResult[PhaseMade]], settings: dict[str, Any]) -> JobResult[CompressResult]:
    """Return the run of all phases as one."""
    answers = [outcome.answer for outcome in outcomes if outcome.answer is not None]
    result = None
    if len(answers) == len(outcomes) and (file := answers[-1].file) is not None:
        first, last = answers[0].phase.cost, answers[-1].phase.cost
        result = CompressResult(
            phases=tuple(answer.phase for answer in answers),
            digest=file.digest,
            size_bytes=file.size_bytes,
            format=file.format,
            versions=file.versions,
            quality=file.quality,
            settings=settings,
            clock=RunClock(
                started_s=answers[0].clock.started_s,
                measuring_s=first.begin_s or answers[0].clock.started_s,
                measured_s=last.end_s or answers[-1].clock.finished_s,
                finished_s=answers[-1].clock.finished_s,
            ),
        )
    return JobResult(
        result,
        outcomes[-1].error,
        sum(outcome.seconds for outcome in outcomes),
        sum(outcome.cpu_s for outcome in outcomes),
        sum(outcome.start_s for outcome in outcomes),
        None if result is None else result.clock,
    )
