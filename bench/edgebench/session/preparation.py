"""Preparing: every artifact of the plan is found in the store or made by a child process of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from edgebench.plan.skips import skips
from edgebench.plan.targets import carried, engine_shapes, target_of, wanted
from edgebench.session.jobs import child_environment, run_job

if TYPE_CHECKING:
    from edgebench.artifacts.bundle import Bundle
    from edgebench.plan.plan import Benchmark, Plan
    from edgebench.report.log import Log
    from edgebench.session.options import Options, Progress

Artifacts = dict[str, dict[str, Any] | None]


def prepare_all(plan: Plan, options: Options, log: Log, progress: Progress) -> Artifacts:
    """Return {benchmark: artifact or None}; one without is recorded as skipped or failed."""
    artifacts: Artifacts = {}
    made: dict[tuple[Any, ...], dict[str, Any]] = {}
    skipped = skips(plan)
    for cell in plan.benchmarks:
        if next(log.find("failed", cell=cell.name), None) or next(log.find("skipped", cell=cell.name), None):
            artifacts[cell.name] = None
            continue
        if reason := skipped.get(cell.name):
            log.add("skipped", cell=cell.name, reason=reason)
            progress.note(f"{cell.name} is skipped: {reason}")
            artifacts[cell.name] = None
            continue
        if cell.params.operator is not None:
            artifacts[cell.name] = None
            continue
        earlier = next(log.find("artifact", cell=cell.name), None)
        key = target_of(cell)
        if key not in made:
            if options.bundle is not None:
                made[key] = _from_bundle(options.bundle, plan, cell, options, log)
            elif earlier is not None:
                made[key] = {"artifact": earlier["artifact"]}
            else:
                variant, family = wanted(cell)
                progress.step("prepare", f"{cell.params.model} {variant} for {family}")
                made[key] = make_artifact(plan, cell, options, log)
                progress.advance(f"prepare {cell.name}")
        artifacts[cell.name] = made[key].get("artifact")
        _record(cell, made[key], log, progress, earlier=earlier is not None)
    return artifacts


def _record(cell: Benchmark, outcome: Mapping[str, Any], log: Log, progress: Progress, *, earlier: bool) -> None:
    """Put in the journal what came of preparing a benchmark, unless an `earlier` part of the session did."""
    if outcome.get("error"):
        log.add("failed", cell=cell.name, reason=outcome["error"])
        progress.note(f"{cell.name} failed: {outcome['error']}")
    elif outcome.get("missing"):
        log.add("skipped", cell=cell.name, reason=outcome["missing"])
        progress.note(f"{cell.name} is skipped: {outcome['missing']}")
    elif not earlier:
        log.add("artifact", cell=cell.name, artifact=outcome["artifact"])


def _from_bundle(bundle: Bundle, plan: Plan, cell: Benchmark, options: Options, log: Log) -> dict[str, Any]:
    """Return the artifact that a workstation made; only what must be built on the board is built."""
    if (record := bundle.artifact(cell)) is None:
        return {"missing": bundle.why_not(cell)}
    if carried(cell) == wanted(cell):
        return {"artifact": record}
    return make_artifact(plan, cell, options, log, parent=record)


def make_artifact(
    plan: Plan,
    cell: Benchmark,
    options: Options,
    log: Log,
    *,
    for_bundle: bool = False,
    parent: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Make a benchmark's artifact in a child, on the board from a bundled `parent`; return it or the reason."""
    own = plan.own_model
    variant, family = carried(cell) if for_bundle else wanted(cell)
    job = {
        "model": cell.params.model,
        "width": cell.params.width,
        "variant": variant,
        "family": family,
        "parent": parent,
        "recipe": cell.recipe.model_dump(),
        "shapes": engine_shapes(cell),
        "seed": plan.seed,
        "cpus": list(options.cpus),
        "cache": str(options.cache),
        "data": str(options.data) if options.data else None,
        "choice": plan.data.model_dump(),
        "weights": str(options.weights) if options.weights else None,
        "own": None
        if own is None
        else {"path": str(own.path), "format": own.format, "shapes": own.shapes, "digest": own.digest},
        "probes": {"specs": options.probes.specs, "sysfs": options.probes.sysfs},
    }
    outcome = run_job(
        "edgebench.artifacts.prepare",
        job,
        # Training and quantising use every core they may; the ISA ceiling is for measuring only. OpenMP's threads sleep
        # at a barrier: spinning there makes training eight times slower when anything else runs on a core.
        environment={
            **child_environment(threads=len(options.cpus), isa="none", seed=plan.seed),
            "OMP_WAIT_POLICY": "passive",
        },
        limit_s=cell.measure.time_limit_s,
    )
    log.add(
        "prepared",
        cell=cell.name,
        seconds=outcome.seconds,
        start_s=outcome.start_s,
        error=outcome.error,
        clock=outcome.data.get("clock"),
        phases=[
            {"phase": entry["phase"], "clock": entry["clock"]}
            for entry in outcome.data.get("artifact", {}).get("ledger", [])
            if not entry.get("cached") and "clock" in entry
        ],
    )
    return {"error": outcome.error} if outcome.error else {"artifact": dict(outcome.data["artifact"])}
