"""One run of a benchmark of kind ``compress``: export, then build, each in a child process of its own."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from edgebench.artifacts.families import EXPORTS
from edgebench.backends.families import FAMILIES
from edgebench.machine.facts import cpus_for
from edgebench.plan.targets import engine_shapes, lowered_step
from edgebench.session.jobs import JobResult, child_environment, run_job

if TYPE_CHECKING:
    from edgebench.plan.plan import Benchmark, Plan
    from edgebench.session.options import Options


def make_once(
    plan: Plan, cell: Benchmark, artifact: Mapping[str, Any], options: Options, *, family: str, describe: bool
) -> JobResult:
    """Make the artifact of a cell from its torch checkpoint `artifact`, from nothing; the file is thrown away."""
    step = lowered_step(cell.params.variant)
    phases = ["export"] if step is None and not FAMILIES[family].local else ["export", "build"]
    with tempfile.TemporaryDirectory(prefix="edgebench-") as scratch:
        outcomes: list[JobResult] = []
        for name in phases:
            last = name == phases[-1]
            job = _job(plan, cell, options, family) | {
                "phase": name,
                "step": step,
                "last": last,
                "base": artifact["path"],
                "scratch": scratch,
                "evaluate": evaluation_job(plan, cell, artifact, options, family) if last and describe else None,
            }
            outcome = run_job(
                "edgebench.artifacts.compress",
                job,
                environment=child_environment(threads=cell.params.threads, isa=cell.params.isa, seed=plan.seed),
                limit_s=cell.measure.time_limit_s,
            )
            outcomes.append(outcome)
            if outcome.error is not None:
                break
    return _merged(outcomes, settings=_settings(cell, family, step))


def _job(plan: Plan, cell: Benchmark, options: Options, family: str) -> dict[str, Any]:
    params = cell.params
    return {
        "backend": params.backend,
        "family": family,
        "precision": params.precision,
        "threads": params.threads,
        "cpus": cpus_for(params.threads, options.cpus),
        "seed": plan.seed,
        "size": cell.recipe.train_size,
        "shapes": engine_shapes(cell),
        "engine_int8": cell.recipe.engine_int8,
        "calibration_images": cell.recipe.calibration_images,
        "model": params.model,
        "width": params.width,
        "data": str(options.data) if options.data else None,
        "choice": plan.data.model_dump(),
        "operator": None,
        "probes": {"specs": options.probes.specs, "sysfs": options.probes.sysfs},
    }


def evaluation_job(
    plan: Plan, cell: Benchmark, artifact: Mapping[str, Any] | None, options: Options, form: str | None = None
) -> dict[str, Any]:
    """Return what a process needs to tell the quality of a file; `form` is its format when not the artifact's."""
    return {
        "data": str(options.data) if options.data else None,
        "choice": plan.data.model_dump(),
        "format": form or (artifact or {}).get("format"),
        "size": cell.recipe.train_size,
        "model": cell.params.model,
        "width": cell.params.width,
        "reference": (artifact or {}).get("reference", {}).get("path"),
    }


def _settings(cell: Benchmark, family: str, step: str | None) -> dict[str, Any]:
    found: dict[str, Any] = {"export": EXPORTS[family], "threads": cell.params.threads}
    found |= {"step": step} if step else {}
    if step == "ptq-static":
        found |= {"calibration_images": cell.recipe.calibration_images, "calibration_size": cell.recipe.train_size}
    return found


def _merged(outcomes: list[JobResult], settings: dict[str, Any]) -> JobResult:
    """Return the run of all phases as one; `values` holds its one value, the seconds of the phases together."""
    error = outcomes[-1].error
    data: dict[str, Any] = {}
    if error is None:
        phases = [outcome.data["phase"] for outcome in outcomes]
        data = {key: value for key, value in outcomes[-1].data.items() if key not in ("phase", "clock")}
        data |= {
            "phases": phases,
            "values": [sum(phase["seconds"] for phase in phases)],
            "loops": 1,
            "settings": settings,
        }
        clocks = [outcome.data["clock"] for outcome in outcomes]
        data["clock"] = {
            "started": clocks[0]["started"],
            "measuring": phases[0]["clock"][0],
            "measured": phases[-1]["clock"][1],
            "finished": clocks[-1]["finished"],
        }
    return JobResult(
        data,
        error,
        sum(outcome.seconds for outcome in outcomes),
        sum(outcome.cpu_s for outcome in outcomes),
        sum(outcome.start_s for outcome in outcomes),
    )
