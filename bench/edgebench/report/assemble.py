"""From the journal's records to the report: pure, so that a killed session's journal gives the same report."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from msgspec import to_builtins

import edgebench
from edgebench.errors import ReportError
from edgebench.machine import facts as machine
from edgebench.measure.ledger import CompressResult
from edgebench.measure.results import ModelAnswer
from edgebench.plan.digest import digest_of
from edgebench.plan.kinds import KINDS
from edgebench.report import model as report
from edgebench.report import origin
from edgebench.report.contrasts import contrasts, with_break_even
from edgebench.report.figures import compress as figures_compress
from edgebench.report.figures.energy import closures, metering, sampler_share
from edgebench.report.figures.given import Given, figures_of
from edgebench.report.figures.quality import quality_params
from edgebench.report.figures.roofline import roofs
from edgebench.report.figures.timeline import Timeline, resource_metrics, resources, summary, timeline
from edgebench.report.notices import cell_notices, emulation, imprecise, session_notices, unfinished
from edgebench.report.own import own_part
from edgebench.report.precision import precision_of
from edgebench.report.quantity import Joules, Missing
from edgebench.report.records import of_kind

if TYPE_CHECKING:
    from edgebench.measure.ledger import LedgerPhase, ProbeFacts
    from edgebench.measure.results import Layers
    from edgebench.plan.plan import Benchmark, Plan
    from edgebench.report.log import Log
    from edgebench.report.records import ArtifactRecord, EndRecord, RunRecord, StartRecord


def assemble(plan: Plan, log: Log) -> report.Report:
    """Return the report of what the journal holds; ``partial`` when cells of the plan are missing from it."""
    if (start := log.start) is None:
        raise ReportError("the session has not begun: there is nothing to report")
    seen = timeline(log)
    cells = [_benchmark(plan, cell, log, start, seen) for cell in plan.benchmarks]
    ended, runs = log.ends, log.runs()
    versions: dict[str, str] = {"python": platform.python_version(), "edgebench": edgebench.__version__}
    for run in runs:
        versions |= run.result.versions
    result = report.Report(
        id=start.id,
        created=start.created,
        status="complete" if log.complete else "partial",
        generator=report.Generator(version=edgebench.__version__),
        commit=start.commit,
        suite=report.Suite(
            name=plan.name, digest=plan.suite_digest, seed=plan.seed, study=plan.study, title=plan.title or None
        ),
        platform=machine.platform_name(start.machine),
        image=None if start.image is None else report.Image(**asdict(start.image)),
        fingerprint=_fingerprint(plan, start, versions),
        machine=_machine(start, runs, ended),
        software=versions,
        probes=tuple(_probe(probe, sampler_share(runs, probe.name, probe.scope)) for probe in start.probes),
        probes_missing=tuple(
            report.ProbeMissing(name=probe.name, reason=probe.reason, fix=probe.fix) for probe in start.probes_missing
        ),
        idle=tuple(report.Idle(**to_builtins(power)) for power in log.idle_powers()),
        data=_data(runs),
        bundle=None if start.bundle is None else origin.Bundle(**to_builtins(start.bundle)),
        model=None if plan.own_model is None else own_part(plan.own_model),
        session=_session(plan, log, ended),
        benchmarks=tuple(cells),
        metering=metering(runs),
        closures=tuple(closures(runs)),
        resources=None if seen is None else resources(seen),
        roofs=tuple(roofs(log.roofs())) or None,
    )
    result = result.model_copy(update={"contrasts": tuple(contrasts(result, log))})
    result = result.model_copy(update={"benchmarks": tuple(with_break_even(result))})
    return result.model_copy(update={"warnings": tuple(session_notices(result, log))})


def _machine(start: StartRecord, runs: Sequence[RunRecord], ended: Sequence[EndRecord]) -> report.Machine:
    facts = {key: value for key, value in asdict(start.machine).items() if value is not None}
    temperature = report.Temperature(before=start.state.temperature_c, after=ended[-1].temperature_c if ended else None)
    return report.Machine(**facts, temperature_c=temperature, throttled=_throttled(runs))


def _probe(probe: ProbeFacts, share: float | None) -> report.Probe:
    facts = to_builtins(probe)
    return report.Probe(overhead=facts.pop("overhead_s"), **facts, sampler_share=share)


def _benchmark(plan: Plan, cell: Benchmark, log: Log, start: StartRecord, seen: Timeline | None) -> report.Benchmark:
    runs = sorted(log.runs(cell.name), key=lambda run: run.turn)
    failed, skipped, artifact = log.failed(cell.name), log.skipped(cell.name), log.artifact(cell.name)
    common: dict[str, Any] = {
        "name": cell.name,
        "kind": cell.kind,
        "params": _params(plan, cell, runs, artifact),
        "group": cell.group,
        "artifact": None if artifact is None else _artifact(artifact),
    }
    if KINDS[cell.kind].makes:  # what was measured is the making of a file, from the artifact that is its model
        common["artifact"] = figures_compress.artifact(of_kind(runs, CompressResult))
    if skipped is not None and not runs:
        return report.Benchmark(**common, status="skipped", reason=skipped.reason)
    if not runs:
        if failed is not None:
            return report.Benchmark(**common, status="failed", reason=failed.reason)
        return report.Benchmark(**common, status="skipped", reason="the session ended before its first run")
    figures = figures_of(cell, runs, Given(artifact, log.idle_powers(), start, seen, log.roofs()))
    metrics, missing = figures.metrics, figures.missing
    if seen is not None:
        more, reasons = resource_metrics(seen, cell.name)
        metrics, missing = metrics | more, missing | reasons
    first = runs[0].result
    gave_up = log.given_up(cell.name) is not None
    precision = precision_of(cell, metrics, len(runs), failed=gave_up, complete=log.complete)
    return report.Benchmark(
        **common,
        **figures.fields,
        status="ok",
        metrics=metrics,
        missing=missing,
        layers=_layers(first.layers) if isinstance(first, ModelAnswer) else None,
        settings=None if first.settings is None else dict(first.settings),
        resources=None if seen is None else summary(seen, cell.name) or None,
        order=tuple(run.place for run in runs),
        runs_discarded=len(log.discarded(cell.name)),
        precision=precision,
        warnings=(
            *emulation(start.machine),
            *unfinished(cell, len(runs), failed or skipped),
            *imprecise(precision, len(runs)),
            *cell_notices(cell, runs, artifact),
        ),
    )


def _params(plan: Plan, cell: Benchmark, runs: Sequence[RunRecord], artifact: ArtifactRecord | None) -> dict[str, Any]:
    """What makes the cell the one it is; `model_digest` is over what was asked for, the artifact's over what was made.

    Training is not bit-reproducible across machines and versions, so two reports of one recipe must not differ in it.
    """
    params = cell.params
    own = plan.own_model
    identity: list[Any] = [params.model, params.width, params.variant, plan.dataset, cell.recipe.model_dump()]
    if own is not None:
        identity = ["file", own.digest, params.variant, *own.chosen]
    found: dict[str, Any] = {
        "model": params.model,
        "variant": params.variant,
        "backend": params.backend,
        "precision": params.precision,
        "batch": params.batch,
        "threads": params.threads,
        "isa": params.isa,
    }
    if not cell.measure.precision:
        found["processes"] = cell.measure.processes
    found |= _how_long(cell)
    if params.operator is not None:
        return found | {"operator": params.operator, "model_digest": digest_of(["operator", params.operator])}
    found |= {"width": params.width, "model_digest": digest_of(identity)}
    if own is None or cell.generates:
        found |= _input_sizes(cell)
        if runs and (quality := runs[0].result.quality) is not None:
            found |= quality_params(quality)
    if runs and isinstance(first := runs[0].result, ModelAnswer):
        found["inputs"] = [{"name": spec.name, "shape": list(spec.shape), "dtype": spec.dtype} for spec in first.inputs]
    if artifact is not None and artifact.notes.weights:
        found["weights"] = artifact.notes.weights
    return found


def _how_long(cell: Benchmark) -> dict[str, float]:
    """What a run is: passes, requests to a language model, or seconds without a pause."""
    measure, kind = cell.measure, KINDS[cell.kind]
    if kind.lasts:
        return {"sustained_s": measure.sustained_s}
    if cell.generates:
        return {"requests": measure.requests, "quality_tokens": measure.quality_tokens}
    return {"warmup_passes": measure.warmup_passes, "passes": measure.passes}


def _input_sizes(cell: Benchmark) -> dict[str, int]:
    """The size of what a pass is given, and of what quality was measured at (a sustained load measures none)."""
    params, trained = cell.params, cell.recipe.train_size
    if params.generate is not None:
        return {"prompt_tokens": params.size, "generate": params.generate}
    measured = {"image_size": params.image_size} if params.tokens is None else {"tokens": params.tokens}
    return measured if KINDS[cell.kind].lasts else measured | {f"accuracy_{name}": trained for name in measured}


def _artifact(artifact: ArtifactRecord) -> origin.Artifact:
    made_on = artifact.prepared_on
    return origin.Artifact(
        digest=artifact.digest,
        size_bytes=artifact.size_bytes,
        sparsity=artifact.sparsity,
        format=artifact.format,
        ledger=tuple(_ledger_phase(phase) for phase in artifact.ledger),
        prepared_on=None if made_on is None else origin.PreparedOn(**to_builtins(made_on)),
    )


def _ledger_phase(phase: LedgerPhase) -> origin.LedgerPhase:
    energy = {scope: Joules(**to_builtins(joules)) for scope, joules in phase.energy.items()}
    missing = {name: Missing(reason=why.reason, fix=why.fix) for name, why in phase.missing.items()}
    return origin.LedgerPhase(
        phase=phase.phase,
        seconds=phase.seconds,
        peak_memory_bytes=phase.peak_memory_bytes,
        energy=energy or None,
        missing=missing or None,
        cached=phase.cached,
        note=phase.note,
    )


def _layers(layers: Layers | None) -> origin.Layers | None:
    if layers is None:
        return None
    counts = layers.counts
    named = {name: counts[name] for name in ("int8", "fp32", "bf16", "fp16") if name in counts}
    total = sum(counts.values())
    return origin.Layers(
        source=layers.source or "the layers that multiply, as the runtime executed them",
        total=total,
        other=total - sum(named.values()) or None,
        fallback=layers.fallback,
        executed=layers.executed,
        **named,
    )


def _fingerprint(plan: Plan, start: StartRecord, versions: Mapping[str, str]) -> report.Fingerprint:
    facts = start.machine
    hard: dict[str, Any] = {
        "cpu": facts.cpu,
        "board": facts.board,
        "cpus_used": len(facts.cpus_used),
        "cpu_quota": facts.cpu_quota,
        "memory_limit_bytes": facts.memory_limit_bytes,
        "governor": facts.governor,
        "power_mode": facts.power_mode,
        "emulated": facts.emulated,
        "suite_digest": plan.suite_digest,
        "data": plan.dataset,
        "probes": sorted(f"{probe.name}:{probe.scope}" for probe in start.probes),
    }
    soft: dict[str, Any] = {"kernel": facts.kernel, "os": facts.os, "container": facts.container}
    soft["software"] = dict(versions)
    if start.image is not None:
        soft["image"] = start.image.digest
    if start.bundle is not None:
        soft["bundle"] = start.bundle.digest
    return report.Fingerprint(hard={key: value for key, value in hard.items() if value is not None}, soft=soft)


def _throttled(runs: Sequence[RunRecord]) -> bool | None:
    counts = [(run.before.throttle_count, run.after.throttle_count) for run in runs]
    known = [(before, after) for before, after in counts if before is not None and after is not None]
    return any(after > before for before, after in known) if known else None


def _data(runs: Sequence[RunRecord]) -> report.Data | None:
    """Return the data set of the first benchmark that was evaluated on labelled images, else of the first task."""
    known = [run.result.quality for run in runs if run.result.quality is not None]
    labelled = (quality.evaluation.data for quality in known if quality.evaluation is not None)
    tasks = (quality.task.data for quality in known if quality.task is not None and quality.task.data is not None)
    read = (quality.reading.data for quality in known if quality.reading is not None)
    data = next(labelled, None) or next(tasks, None) or next(read, None)
    return None if data is None else report.Data(**to_builtins(data))


def _session(plan: Plan, log: Log, ended: Sequence[EndRecord]) -> report.Session:
    """Where the time went; a resumed session adds up over its parts."""
    runs, prepared = log.runs(), log.prepared()
    idle_s = sum(power.seconds for record in log.idle() for power in record.powers[:1])
    return report.Session(
        seconds=sum(record.seconds for record in ended),
        worker_start_seconds=sum(run.start_s for run in runs) + sum(record.start_s for record in prepared),
        prepare_seconds=sum(record.seconds - record.start_s for record in prepared),
        measure_seconds=sum(record.seconds - record.start_s for record in runs) + idle_s,
        seed=plan.seed,
        resumed=any(record.resumed for record in ended),
        runs_discarded=len(log.discarded()),
    )
