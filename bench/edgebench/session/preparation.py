"""Preparing: every artifact of the plan is found in the store or made by a child process of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgebench.artifacts.messages import BASE_MADE, OwnModel, Prepared, PrepareJob
from edgebench.plan.estimate import prepare_limit_s
from edgebench.plan.kinds import KINDS
from edgebench.plan.skips import skips
from edgebench.plan.targets import carried, engine_shapes, in_preparing_order, target_of, wanted
from edgebench.report.records import (
    ArtifactOfRecord,
    ArtifactRecord,
    FailedRecord,
    PhaseSpan,
    PreparedRecord,
    SkippedRecord,
)
from edgebench.session.jobs import child_environment, run_job
from edgebench.session.texts import read_job

if TYPE_CHECKING:
    from edgebench.artifacts.bundle import Bundle
    from edgebench.measure.messages import ReadJob
    from edgebench.plan.plan import Benchmark, Plan
    from edgebench.report.log import Log
    from edgebench.session.options import Options, Progress

Artifacts = dict[str, ArtifactRecord | None]


@dataclass(frozen=True, slots=True)
class NotMade:
    """Why a benchmark has no artifact; `skipped`: nothing failed, it cannot be had here.

    `base`: the trained model that it starts from was not there when it failed.
    """

    reason: str
    skipped: bool = False
    base: bool = False


class Bases:
    """The trained models that artifacts start from: one that could not be made is not tried again for the others."""

    def __init__(self, make: Callable[[Benchmark], ArtifactRecord | NotMade]) -> None:
        """`make` makes a benchmark's artifact."""
        self._make = make
        self._failed: list[tuple[tuple[Any, ...], str]] = []

    def make(self, cell: Benchmark) -> ArtifactRecord | NotMade:
        """Make the artifact of a benchmark, unless what it starts from is known to fail."""
        base = (cell.params.model, cell.params.width, cell.recipe)
        for known, reason in self._failed:
            if known == base:
                return NotMade(f"the model that it starts from could not be made: {reason}")
        made = self._make(cell)
        if isinstance(made, NotMade) and made.base:
            self._failed.append((base, made.reason))
        return made


def prepare_all(plan: Plan, options: Options, log: Log, progress: Progress) -> Artifacts:
    """Return {benchmark: artifact or None}; one without is recorded as skipped or failed."""
    artifacts: Artifacts = {}
    made: dict[tuple[Any, ...], ArtifactRecord | NotMade] = {}
    bases = Bases(lambda cell: make_artifact(plan, cell, options, log))
    skipped = skips(plan)
    for cell in in_preparing_order(plan.benchmarks):
        if log.given_up(cell.name):
            artifacts[cell.name] = None
            continue
        if reason := skipped.get(cell.name):
            log.add(SkippedRecord(cell=cell.name, reason=reason))
            progress.note(f"{cell.name} is skipped: {reason}")
            artifacts[cell.name] = None
            continue
        if cell.params.operator is not None:
            artifacts[cell.name] = None
            continue
        earlier = log.artifact(cell.name)
        key = target_of(cell)
        if key not in made:
            if options.bundle is not None:
                made[key] = _from_bundle(options.bundle, plan, cell, options, log)
            elif earlier is not None:
                made[key] = earlier
            else:
                variant, family = wanted(cell)
                progress.step("prepare", f"{cell.params.model} {variant} for {family}", f"prepare {cell.name}")
                made[key] = bases.make(cell) if plan.own_model is None else make_artifact(plan, cell, options, log)
                progress.advance(f"prepare {cell.name}")
        artifacts[cell.name] = _recorded(cell, made[key], log, progress, earlier=earlier is not None)
    return artifacts


def _recorded(
    cell: Benchmark, outcome: ArtifactRecord | NotMade, log: Log, progress: Progress, *, earlier: bool
) -> ArtifactRecord | None:
    """Put in the journal what came of preparing a benchmark, unless an `earlier` part of the session did."""
    if isinstance(outcome, ArtifactRecord):
        if not earlier:
            log.add(ArtifactOfRecord(cell=cell.name, artifact=outcome))
        return outcome
    if outcome.skipped:
        log.add(SkippedRecord(cell=cell.name, reason=outcome.reason))
        progress.note(f"{cell.name} is skipped: {outcome.reason}")
    else:
        log.add(FailedRecord(cell=cell.name, reason=outcome.reason))
        progress.note(f"{cell.name} failed: {outcome.reason}")
    return None


def _from_bundle(bundle: Bundle, plan: Plan, cell: Benchmark, options: Options, log: Log) -> ArtifactRecord | NotMade:
    """Return the artifact that a workstation made; only what must be built on the board is built."""
    if (record := bundle.artifact(cell)) is None:
        return NotMade(bundle.why_not(cell), skipped=True)
    if carried(cell) == wanted(cell):
        return record
    return make_artifact(plan, cell, options, log, parent=record)


def make_artifact(
    plan: Plan,
    cell: Benchmark,
    options: Options,
    log: Log,
    *,
    for_bundle: bool = False,
    parent: ArtifactRecord | None = None,
) -> ArtifactRecord | NotMade:
    """Make a benchmark's artifact in a child, on the board from a bundled `parent`; return it or the reason."""
    job = prepare_job(plan, cell, options, for_bundle=for_bundle, parent=parent)
    said: list[str] = []
    outcome = run_job(
        "edgebench.artifacts.prepare",
        job,
        (Prepared,),
        # Training and quantising use every core they may; the ISA ceiling is for measuring only. OpenMP's threads sleep
        # at a barrier: spinning there makes training eight times slower when anything else runs on a core.
        environment={
            **child_environment(threads=len(options.cpus), isa="none", seed=plan.seed),
            "OMP_WAIT_POLICY": "passive",
        },
        limit_s=prepare_limit_s(cell),
        on_line=lambda line: said.append(line) if line == BASE_MADE else None,
        longer="prepare it on a faster machine (edgebench prepare), or raise --time-limit",
    )
    ledger = () if outcome.answer is None else outcome.answer.artifact.ledger
    log.add(
        PreparedRecord(
            cell=cell.name,
            seconds=outcome.seconds,
            start_s=outcome.start_s,
            error=outcome.error,
            clock=outcome.clock,
            phases=tuple(
                PhaseSpan(phase=entry.phase, begin_s=entry.begin_s, end_s=entry.end_s)
                for entry in ledger
                if not entry.cached and entry.begin_s is not None and entry.end_s is not None
            ),
        )
    )
    if outcome.answer is None:
        return NotMade(outcome.error or "it gave no result", skipped=outcome.inapplicable, base=not said)
    return outcome.answer.artifact


def prepare_job(
    plan: Plan,
    cell: Benchmark,
    options: Options,
    *,
    for_bundle: bool = False,
    parent: ArtifactRecord | None = None,
) -> PrepareJob:
    """Return what the process is asked that makes a benchmark's artifact."""
    own = plan.own_model
    variant, family = carried(cell) if for_bundle else wanted(cell)
    return PrepareJob(
        model=cell.params.model,
        width=cell.params.width,
        variant=variant,
        family=family,
        parent=parent,
        recipe=cell.recipe.model_dump(),
        shapes=tuple(engine_shapes(cell)),
        seed=plan.seed,
        cpus=options.cpus,
        cache=str(options.cache),
        data=str(options.data) if options.data else None,
        choice=plan.data.choice,
        weights=str(options.weights) if options.weights else None,
        own=None
        if own is None
        else OwnModel(
            path=str(own.path),
            format=own.format,
            digest=own.digest,
            feeds=own.feeds,
            beside=own.beside,
            calibration=own.calibration,
        ),
        probes=options.probes,
        read=_reading(plan, cell),
    )


def _reading(plan: Plan, cell: Benchmark) -> ReadJob | None:
    """Return what a language model's quality is told by, where a benchmark of its file is scored; None without one."""
    scored = (one for one in plan.benchmarks if one.generates and KINDS[one.kind].scored)
    return next((read_job(plan, one, None) for one in scored if target_of(one) == target_of(cell)), None)
