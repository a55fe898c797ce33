"""Preparing: every artifact of the plan is found in the store or made by a child process of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgebench.backends.registry import get_backend
from edgebench.jobs import child_environment, run_job
from edgebench.lowering import ALWAYS_BUILT
from edgebench.making import base_variant, engine_shapes
from edgebench.own import why_not

if TYPE_CHECKING:
    from edgebench.log import Log
    from edgebench.plan import Benchmark, Plan
    from edgebench.session import Options, Progress

Artifacts = dict[str, dict[str, Any] | None]

# The artifact family a backend measures: benchmarks that share it share the artifact.
FAMILIES = {
    "torch": "torch",
    "torch-compile": "torch",
    "torch-cuda": "torch",
    "openvino": "openvino",
    "onnxruntime": "onnx",
    "onnxruntime-cuda": "onnx",
    "tensorrt": "tensorrt",
}


def prepare_all(plan: Plan, options: Options, log: Log, progress: Progress) -> Artifacts:
    """Return {benchmark: artifact or None}; one without is recorded as skipped or failed."""
    artifacts: Artifacts = {}
    made: dict[tuple[Any, ...], dict[str, Any]] = {}
    for cell in plan.benchmarks:
        if next(log.find("failed", cell=cell.name), None) or next(log.find("skipped", cell=cell.name), None):
            artifacts[cell.name] = None
            continue
        if reason := get_backend(cell.params.backend).unavailable():
            log.add("skipped", cell=cell.name, reason=reason)
            progress.note(f"{cell.name} is skipped: {reason}")
            artifacts[cell.name] = None
            continue
        if plan.own_model is not None and (
            reason := why_not(plan.own_model.format, FAMILIES[cell.params.backend], cell.params.variant)
        ):
            log.add("skipped", cell=cell.name, reason=reason)
            artifacts[cell.name] = None
            continue
        if cell.params.operator is not None:
            artifacts[cell.name] = None
            continue
        earlier = next(log.find("artifact", cell=cell.name), None)
        key = target_of(cell)
        if key not in made:
            if earlier is not None:
                made[key] = {"artifact": earlier["artifact"]}
            else:
                variant, family = wanted(cell)
                progress.step("prepare", f"{cell.params.model} {variant} for {family}")
                made[key] = _make(plan, cell, options, log)
                progress.advance(f"prepare {cell.name}")
        outcome = made[key]
        artifacts[cell.name] = outcome.get("artifact")
        if outcome.get("error"):
            log.add("failed", cell=cell.name, reason=outcome["error"])
            progress.note(f"{cell.name} failed: {outcome['error']}")
        elif earlier is None:
            log.add("artifact", cell=cell.name, artifact=outcome["artifact"])
    return artifacts


def target_of(cell: Benchmark) -> tuple[Any, ...]:
    """Return what makes an artifact: benchmarks with equal targets measure the same one."""
    params = cell.params
    variant, family = wanted(cell)
    # An engine is made for the shapes that are measured; every other file serves all.
    shapes = tuple(engine_shapes(cell)) if family in ALWAYS_BUILT else ()
    return params.model, params.width, variant, family, cell.recipe, shapes


def wanted(cell: Benchmark) -> tuple[str, str]:
    """Return the variant and family to prepare: for kind ``compress`` only what the making starts from."""
    if cell.kind == "compress":
        return base_variant(cell.params.variant), "torch"
    return cell.params.variant, FAMILIES[cell.params.backend]


def _make(plan: Plan, cell: Benchmark, options: Options, log: Log) -> dict[str, Any]:
    own = plan.own_model
    variant, family = wanted(cell)
    job = {
        "model": cell.params.model,
        "width": cell.params.width,
        "variant": variant,
        "family": family,
        "recipe": cell.recipe.model_dump(),
        "shapes": engine_shapes(cell),
        "seed": plan.seed,
        "cpus": list(options.cpus),
        "cache": str(options.cache),
        "data": str(options.data) if options.data else None,
        "weights": str(options.weights) if options.weights else None,
        "own": None
        if own is None
        else {"path": str(own.path), "format": own.format, "shapes": own.shapes, "digest": own.digest},
        "probes": {"specs": options.probes.specs, "sysfs": options.probes.sysfs},
    }
    outcome = run_job(
        "edgebench.prepare",
        job,
        # Training and quantising use every core they may; the ISA ceiling is for measuring only.
        environment=child_environment(threads=len(options.cpus), isa="none", seed=plan.seed),
        limit_s=cell.measure.time_limit_s,
    )
    log.add("prepared", cell=cell.name, seconds=outcome.seconds, start_s=outcome.start_s, error=outcome.error)
    return {"error": outcome.error} if outcome.error else {"artifact": dict(outcome.data["artifact"])}
