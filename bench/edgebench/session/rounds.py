"""Measuring: the runs of one group interleaved in a random, seeded order; a disturbed run is measured again."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from itertools import groupby
from typing import TYPE_CHECKING, Any

from edgebench.machine.facts import cpus_for, disturbance, read_state
from edgebench.plan.kinds import KINDS
from edgebench.plan.targets import family_of
from edgebench.report.metric import widest_scope
from edgebench.session.compress import evaluation_job, make_once
from edgebench.session.jobs import JobResult, child_environment, run_job
from edgebench_suites.zoo import task_of

if TYPE_CHECKING:
    from edgebench.plan.plan import Benchmark, Plan
    from edgebench.report.log import Log
    from edgebench.session.options import Options, Progress

# A run that something disturbed is measured again this often, then kept with a warning.
MAX_REPEATS = 1


def schedule(plan: Plan) -> Iterator[tuple[Benchmark, int]]:
    """Yield (benchmark, run) in the order of measuring: group by group, round by round, shuffled in each round."""
    for group, members in groupby(sorted(plan.benchmarks, key=lambda cell: cell.group), key=lambda cell: cell.group):
        cells = list(members)
        for turn in range(max(cell.measure.processes for cell in cells)):
            due = [cell for cell in cells if turn < cell.measure.processes]
            # Seeded by what it is, not by how often it was called: a resumed session keeps the order.
            random.Random(f"{plan.seed}/{group}/{turn}").shuffle(due)  # noqa: S311  # order, not secrecy
            yield from ((cell, turn) for cell in due)


def measure_all(
    plan: Plan, options: Options, artifacts: Mapping[str, Mapping[str, Any] | None], log: Log, progress: Progress
) -> None:
    """Measure every run that the journal does not hold yet; one that fails is left, the rest goes on."""
    for place, (cell, turn) in enumerate(schedule(plan)):
        if any(next(log.find(end, cell=cell.name), None) for end in ("failed", "skipped")):
            continue
        if next(log.find("run", cell=cell.name, turn=turn), None):
            continue
        artifact = artifacts.get(cell.name)
        if artifact is None and cell.params.operator is None:
            continue
        progress.step("measure", f"{cell.name} run {turn + 1} of {cell.measure.processes}")
        first = next(log.find("run", cell=cell.name), None)
        job = make_job(
            plan, cell, artifact, options, loops=first["result"].get("loops", 0) if first else 0, describe=not first
        )
        kind = KINDS[cell.kind]
        if kind.lasts and cell.measure.rest_s:
            progress.step("idle", f"rest before {cell.name}, {cell.measure.rest_s:g} s")
            time.sleep(cell.measure.rest_s)
        repeats = MAX_REPEATS if kind.repeated else 0
        for attempt in range(repeats + 1):
            before = read_state()
            outcome = _run(plan, cell, artifact, options, job)
            after = read_state()
            if outcome.error is not None:
                log.add("failed", cell=cell.name, reason=outcome.error, seconds=outcome.seconds)
                progress.note(f"{cell.name} failed: {outcome.error}")
                break
            happened = disturbance(before, after, outcome.cpu_s)
            if happened.reason is not None and attempt < repeats:
                log.add(
                    "discarded",
                    cell=cell.name,
                    turn=turn,
                    reason=happened.reason,
                    seconds=outcome.seconds,
                    clock=outcome.data["clock"],
                )
                progress.note(f"{cell.name}: a run is measured again, as {happened.reason}")
                continue
            log.add(
                "run",
                cell=cell.name,
                turn=turn,
                place=place,
                seconds=outcome.seconds,
                start_s=outcome.start_s,
                disturbed=happened.reason,
                state={"before": asdict(before), "after": asdict(after)},
                result=dict(outcome.data),
            )
            powers = {
                window["scope"]: window["power_w"] for window in outcome.data.get("energy", {}).get("windows", [])
            }
            if widest := widest_scope(set(powers)):
                progress.power(powers[widest], widest)
            break
        progress.advance(cell.name)


def _run(
    plan: Plan, cell: Benchmark, artifact: Mapping[str, Any] | None, options: Options, job: Mapping[str, Any]
) -> JobResult:
    """One run in processes of its own: a worker, or for kind ``compress`` the making of the artifact."""
    if KINDS[cell.kind].makes and artifact is not None:
        family = family_of(cell.params.backend).name
        return make_once(plan, cell, artifact, options, family=family, describe=bool(job["describe"]))
    return run_job(
        "edgebench.measure.worker",
        job,
        environment=child_environment(threads=cell.params.threads, isa=cell.params.isa, seed=plan.seed),
        limit_s=cell.measure.time_limit_s + job["sustained_s"],
    )


def make_job(
    plan: Plan, cell: Benchmark, artifact: Mapping[str, Any] | None, options: Options, *, loops: int, describe: bool
) -> dict[str, Any]:
    """Return the worker's job for one run; the first run of a cell also describes layers and measures accuracy."""
    params, measure = cell.params, cell.measure
    shapes: dict[str, Any] = {}
    if plan.own_model is not None and artifact is not None:
        shapes = artifact["notes"]["shapes"]
    elif params.operator is None:
        shapes = task_of(params.model).shapes(params.batch, params.size, params.width)
    labelled = KINDS[cell.kind].scored and plan.own_model is None
    evaluate = evaluation_job(plan, cell, artifact, options)
    energy = {
        "specs": options.probes.specs,
        "sysfs": options.probes.sysfs,
        "windows": measure.energy_windows,
        "target": measure.energy_target,
        "window_s": measure.energy_window_s,
    }
    return {
        "name": cell.name,
        "backend": params.backend,
        "precision": params.precision,
        "threads": params.threads,
        "cpus": cpus_for(params.threads, options.cpus),
        "seed": plan.seed,
        "operator": params.operator,
        "artifact": None if artifact is None else {"path": artifact["path"], "format": artifact["format"]},
        "shapes": shapes,
        "loops": loops,
        "passes": measure.passes,
        "warmup_passes": measure.warmup_passes,
        "values": measure.values,
        "sustained_s": measure.sustained_s if KINDS[cell.kind].lasts else 0,
        "min_value_s": measure.min_value_s,
        "energy": energy,
        "tokens": None if params.tokens is None else params.batch * (1 if "past" in shapes else params.tokens),
        "weights_only": params.variant.endswith("weights-int8"),
        "describe": describe,
        "evaluate": evaluate if describe and labelled else None,
    }
