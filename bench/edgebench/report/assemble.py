"""From the journal's records to the report: pure, so that a killed session's journal gives the same report."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import edgebench
from edgebench.machine import facts as machine
from edgebench.plan.digest import digest_of
from edgebench.report import model as report
from edgebench.report.contrasts import contrasts, with_break_even
from edgebench.report.figures import compress as figures_compress
from edgebench.report.figures import inference as figures
from edgebench.report.figures import sustained
from edgebench.report.figures.energy import closures, metering, sampler_share
from edgebench.report.figures.quality import quality_data
from edgebench.report.figures.timeline import Timeline, resource_metrics, resources, summary, timeline
from edgebench.report.notices import cell_notices, emulation, session_notices

if TYPE_CHECKING:
    from edgebench.plan.plan import Benchmark, Plan
    from edgebench.report.log import Log, Record


def assemble(plan: Plan, log: Log) -> report.Report:
    """Return the report of what the journal holds; ``partial`` when cells of the plan are missing from it."""
    start = next(log.find("start"))
    end = next(log.find("end"), None) if not log.records else log.records[-1]
    complete = end is not None and end["type"] == "end" and end["complete"]
    seen = timeline(log)
    cells = [_benchmark(plan, cell, log, start, seen) for cell in plan.benchmarks]
    machine_facts = start["machine"]
    ended = [record for record in log.records if record["type"] == "end"]
    runs = list(log.find("run"))
    versions: dict[str, str] = {"python": platform.python_version(), "edgebench": edgebench.__version__}
    for run in runs:
        versions |= run["result"]["versions"]
    temperature = report.Temperature(
        before=start["state"]["temperature_c"], after=ended[-1]["temperature_c"] if ended else None
    )
    result = report.Report(
        id=start["id"],
        created=start["created"],
        status="complete" if complete else "partial",
        generator=report.Generator(version=edgebench.__version__),
        suite=report.Suite(
            name=plan.name, digest=plan.suite_digest, seed=plan.seed, study=plan.study, title=plan.title or None
        ),
        platform=machine.platform_name(machine_facts),
        image=report.Image(**start["image"]) if start.get("image") else None,
        fingerprint=_fingerprint(plan, start, versions),
        machine=report.Machine(**machine_facts, temperature_c=temperature, throttled=_throttled(runs)),
        software=versions,
        probes=tuple(
            report.Probe(**probe, sampler_share=sampler_share(runs, probe["name"], probe["scope"]))
            for probe in start["probes"]
        ),
        probes_missing=tuple(report.ProbeMissing(**probe) for probe in start["probes_missing"]),
        idle=tuple(report.Idle(**entry) for record in log.find("idle") for entry in record["records"]),
        data=_data(runs),
        bundle=report.Bundle(**start["bundle"]) if "bundle" in start else None,
        session=_session(plan, log, ended),
        benchmarks=tuple(cells),
        metering=metering(runs),
        closures=tuple(closures(runs)),
        resources=None if seen is None else resources(seen),
    )
    result = result.model_copy(update={"contrasts": tuple(contrasts(result, log))})
    result = result.model_copy(update={"benchmarks": tuple(with_break_even(result))})
    return result.model_copy(update={"warnings": tuple(session_notices(result, log))})


def _benchmark(plan: Plan, cell: Benchmark, log: Log, start: Record, seen: Timeline | None) -> report.Benchmark:
    runs = sorted(log.find("run", cell=cell.name), key=lambda record: int(record["turn"]))
    failed = next(log.find("failed", cell=cell.name), None)
    skipped = next(log.find("skipped", cell=cell.name), None)
    made = next(log.find("artifact", cell=cell.name), None)
    artifact = None if made is None else made["artifact"]
    common: dict[str, Any] = {
        "name": cell.name,
        "kind": cell.kind,
        "params": _params(plan, cell, runs, artifact),
        "group": cell.group,
        "artifact": None if artifact is None else _artifact(artifact),
    }
    if cell.kind == "compress":  # what was measured is the making of a file, from the artifact that is its model
        common["artifact"] = figures_compress.artifact(runs)
    if skipped is not None:
        return report.Benchmark(**common, status="skipped", reason=skipped["reason"])
    if failed is not None:
        return report.Benchmark(**common, status="failed", reason=failed["reason"])
    if len(runs) < cell.measure.processes:
        reason = f"the session ended after {len(runs)} of {cell.measure.processes} runs"
        return report.Benchmark(**common, status="skipped", reason=reason)
    idle = [entry for record in log.find("idle") for entry in record["records"]]
    if cell.kind == "sustained":
        metrics, missing = sustained.metrics(cell, runs, artifact, idle, start, seen)
        common["sustained"] = tuple(sustained.blocks(cell, runs, seen))
    elif cell.kind == "compress":
        metrics, missing = figures_compress.metrics(cell, runs, start)
    else:
        metrics, missing = figures.metrics(cell, runs, artifact, idle, start)
    if seen is not None:
        more, reasons = resource_metrics(seen, cell.name)
        metrics, missing = metrics | more, missing | reasons
    first = runs[0]["result"]
    return report.Benchmark(
        **common,
        status="ok",
        metrics=metrics,
        missing=missing,
        layers=_layers(first.get("layers")),
        settings=first.get("settings"),
        resources=None if seen is None else summary(seen, cell.name) or None,
        order=tuple(record["place"] for record in runs),
        runs_discarded=len(list(log.find("discarded", cell=cell.name))),
        warnings=(*emulation(start["machine"]), *cell_notices(cell, runs, artifact)),
    )


def _params(plan: Plan, cell: Benchmark, runs: Sequence[Record], artifact: Mapping[str, Any] | None) -> dict[str, Any]:
    """What makes the cell the one it is; `model_digest` is over what was asked for, the artifact's over what was made.

    Training is not bit-reproducible across machines and versions, so two reports of one recipe must not differ in it.
    """
    params = cell.params
    own = plan.own_model
    identity: list[Any] = [params.model, params.width, params.variant, plan.dataset, cell.recipe.model_dump()]
    if own is not None:
        identity = ["file", own.digest, params.variant]
    found: dict[str, Any] = {
        "model": params.model,
        "variant": params.variant,
        "backend": params.backend,
        "precision": params.precision,
        "batch": params.batch,
        "threads": params.threads,
        "isa": params.isa,
        "warmup_passes": cell.measure.warmup_passes,
        "passes": cell.measure.passes,
        "processes": cell.measure.processes,
    }
    if cell.kind == "sustained":
        for name in ("warmup_passes", "passes"):
            del found[name]
        found |= {"sustained_s": cell.measure.sustained_s}
    if params.operator is not None:
        return found | {"operator": params.operator, "model_digest": digest_of(["operator", params.operator])}
    found |= {"width": params.width, "model_digest": digest_of(identity)}
    if own is None:
        found |= _input_sizes(cell)
        if runs and (quality := runs[0]["result"].get("quality")):
            found |= {"task": quality["task"]} | quality_data(quality)
    if runs and "inputs" in runs[0]["result"]:
        found["inputs"] = runs[0]["result"]["inputs"]
    if artifact is not None and (weights := artifact["notes"].get("weights")):
        found["weights"] = weights
    return found


def _input_sizes(cell: Benchmark) -> dict[str, int]:
    """The size of what a pass is given, and of what quality was measured at (a sustained load measures none)."""
    params, trained = cell.params, cell.recipe.train_size
    measured = {"image_size": params.image_size} if params.tokens is None else {"tokens": params.tokens}
    return measured if cell.kind == "sustained" else measured | {f"accuracy_{name}": trained for name in measured}


def _artifact(artifact: Mapping[str, Any]) -> report.Artifact:
    return report.Artifact(
        digest=artifact["digest"],
        size_bytes=artifact["size_bytes"],
        sparsity=artifact["sparsity"],
        format=artifact["format"],
        ledger=tuple(
            report.LedgerPhase(**{key: value for key, value in phase.items() if key != "clock"})
            for phase in artifact["ledger"]
        ),
        prepared_on=report.PreparedOn(**artifact["prepared_on"]) if "prepared_on" in artifact else None,
    )


def _layers(layers: Mapping[str, Any] | None) -> report.Layers | None:
    if not layers:
        return None
    counts: dict[str, int] = layers["counts"]
    named = {name: counts[name] for name in ("int8", "fp32", "bf16", "fp16") if name in counts}
    total = sum(counts.values())
    return report.Layers(
        source=layers.get("source") or "the layers that multiply, as the runtime executed them",
        total=total,
        other=total - sum(named.values()) or None,
        fallback=tuple(layers["fallback"]),
        executed=layers["executed"],
        **named,
    )


def _fingerprint(plan: Plan, start: Record, versions: Mapping[str, str]) -> report.Fingerprint:
    facts = start["machine"]
    hard = {
        "cpu": facts["cpu"],
        "board": facts.get("board"),
        "cpus_used": len(facts["cpus_used"]),
        "cpu_quota": facts.get("cpu_quota"),
        "memory_limit_bytes": facts.get("memory_limit_bytes"),
        "governor": facts.get("governor"),
        "power_mode": facts.get("power_mode"),
        "emulated": facts.get("emulated"),
        "suite_digest": plan.suite_digest,
        "data": plan.dataset,
        "probes": sorted(f"{probe['name']}:{probe['scope']}" for probe in start["probes"]),
    }
    soft = {"kernel": facts["kernel"], "os": facts["os"], "container": facts["container"], "software": dict(versions)}
    soft |= {"image": start["image"]["digest"]} if start.get("image") else {}
    if "bundle" in start:
        soft["bundle"] = start["bundle"]["digest"]
    return report.Fingerprint(hard={key: value for key, value in hard.items() if value is not None}, soft=soft)


def _throttled(runs: Sequence[Record]) -> bool | None:
    counts = [(run["state"]["before"]["throttle_count"], run["state"]["after"]["throttle_count"]) for run in runs]
    known = [(before, after) for before, after in counts if before is not None and after is not None]
    return any(after > before for before, after in known) if known else None


def _data(runs: Sequence[Record]) -> report.Data | None:
    for run in runs:
        if evaluation := run["result"].get("evaluation"):
            return report.Data(**evaluation["data"])
    for run in runs:
        if (quality := run["result"].get("quality")) and quality["data"]:
            return report.Data(**quality["data"])
    return None


def _session(plan: Plan, log: Log, ended: Sequence[Record]) -> report.Session:
    """Where the time went; a resumed session adds up over its parts."""
    runs = list(log.find("run"))
    prepared = list(log.find("prepared"))
    lost = list(log.find("discarded"))
    idle_s = sum(entry["seconds"] for record in log.find("idle") for entry in record["records"][:1])
    return report.Session(
        seconds=sum(record["seconds"] for record in ended),
        worker_start_seconds=sum(record["start_s"] for record in [*runs, *prepared]),
        prepare_seconds=sum(record["seconds"] - record["start_s"] for record in prepared),
        measure_seconds=sum(record["seconds"] - record["start_s"] for record in runs) + idle_s,
        seed=plan.seed,
        resumed=any(record["resumed"] for record in ended),
        runs_discarded=len(lost),
    )
