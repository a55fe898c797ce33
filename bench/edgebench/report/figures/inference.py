"""The metrics of one benchmark from its runs; what cannot be given is missing with its reason, never zero."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from edgebench.measure.results import InferenceResult
from edgebench.report.figures.energy import energy
from edgebench.report.figures.given import Figures, Given
from edgebench.report.figures.quality import accuracy, quality_metrics
from edgebench.report.figures.roofline import roofline
from edgebench.report.metric import Metrics, Reasons, metric_from_runs, single_value, widest
from edgebench.report.quantity import Missing, Passes
from edgebench.report.records import of_kind

if TYPE_CHECKING:
    from edgebench.measure.ledger import IdlePower
    from edgebench.measure.results import ModelAnswer
    from edgebench.plan.plan import Benchmark
    from edgebench.report.records import ArtifactRecord, RunRecord, StartRecord

# Phases that make the model itself; the others are what compressing it costs on top.
MODEL_PHASES = frozenset({"build", "pretrain", "initialise", "train", "re-estimate", "export", "reading"})


def figures(cell: Benchmark, runs: Sequence[RunRecord], given: Given) -> Figures:
    """Return the figures of a finished benchmark of kind ``inference`` or ``operator``."""
    results = of_kind(runs, InferenceResult)
    found, missing = metrics(cell, results, given.artifact, given.idle, given.start)
    work = roofline(cell, results, given, found, missing)
    return Figures(found, missing, {} if work is None else {"roofline": work})


def metrics(
    cell: Benchmark,
    results: Sequence[InferenceResult],
    artifact: ArtifactRecord | None,
    idle: Sequence[IdlePower],
    start: StartRecord,
) -> tuple[Metrics, Reasons]:
    """Return the metrics of a finished benchmark, and the reasons for those that are missing."""
    found: Metrics = {}
    missing: Reasons = {}
    times = [result.times for result in results]
    passes = Passes(
        count=sum(one.passes for one in times),
        p50=tuple(one.p50_s for one in times),
        p90=tuple(one.p90_s for one in times),
        p95=tuple(one.p95_s for one in times),
        p99=tuple(one.p99_s for one in times),
    )
    values = [one.values for one in times]
    found["latency_s"] = metric_from_runs(
        "latency_s",
        values,
        passes=passes,
        loops=[one.loops for one in times],
        warmups=[one.warmups for one in times],
    )
    rates = [[cell.params.batch / value for value in run] for run in values]
    found["throughput_per_s"] = metric_from_runs("throughput_per_s", rates)
    if tokens := results[0].tokens_a_pass:
        rates = [[tokens / value for value in run] for run in values]
        found["tokens_per_s"] = metric_from_runs("tokens_per_s", rates)
    of_process(results, start, found, missing)
    if artifact is not None:
        found["size_bytes"] = single_value("size_bytes", artifact.size_bytes)
        of_artifact(cell, artifact, found, missing)
    accuracy(cell, results[0].quality, found, missing)
    quality_metrics(cell, results[0].quality, found, missing)
    if (work := results[0].operator) is not None:
        for name, amount in (("operations_per_s", work.operations), ("bytes_per_s", work.bytes_moved)):
            if amount is None:
                missing[name] = Missing(reason="it computes nothing")
            else:
                found[name] = metric_from_runs(name, [[amount / value for value in run] for run in values])
    energy(cell, [result.energy for result in results], idle, start, found, missing)
    return found, missing


def of_process(results: Sequence[ModelAnswer], start: StartRecord, found: Metrics, missing: Reasons) -> None:
    """Add what each worker process took: seconds to load and compile, processor, memory."""
    took = [result.process for result in results]
    for name in ("load_s", "compile_s", "first_inference_s", "cpu_percent"):
        values = [getattr(one, name) for one in took]
        if None in values:
            why = next((one.untold[name] for one in took if name in one.untold), "the runtime does not tell it")
            missing[name] = Missing(reason=why)
        else:
            found[name] = metric_from_runs(name, [[value] for value in values])
    peaks = [one.peak_memory_bytes for one in took if one.peak_memory_bytes is not None]
    if len(peaks) < len(took):
        missing["peak_memory_bytes"] = Missing(reason="the system does not tell it")
        return
    found["peak_memory_bytes"] = metric_from_runs("peak_memory_bytes", [[float(peak)] for peak in peaks])
    shares = [[100 * peak / start.machine.usable_bytes] for peak in peaks]
    found["memory_percent"] = metric_from_runs("memory_percent", shares)


def of_artifact(cell: Benchmark, artifact: ArtifactRecord, found: Metrics, missing: Reasons) -> None:
    """Add what an artifact tells: its multiply-accumulates, and what compressing it cost."""
    if (macs := artifact.notes.macs_224) is not None and cell.params.image_size == 224:
        found["macs"] = single_value("macs", macs * cell.params.batch)
    compressing = [phase for phase in artifact.ledger if phase.phase not in MODEL_PHASES]
    if not compressing:
        return
    found["compress_s"] = single_value("compress_s", sum(phase.seconds for phase in compressing))
    labels = sorted(set.intersection(*(set(phase.energy) for phase in compressing)))
    summed = []
    for label in labels:
        parts = [phase.energy[label] for phase in compressing]
        if len({part.probe for part in parts}) > 1:
            continue  # phases of several sessions, each with a probe of its own: their sum is nobody's figure
        summed.append(label)
        found[f"compress_energy_j.{label}"] = single_value(
            "compress_energy_j",
            sum(part.energy_j for part in parts),
            scope=label.partition(":")[0],
            probe=parts[0].probe,
            uncertainty=math.hypot(*(part.uncertainty_j for part in parts)),
        )
    if (label_of_all := widest(summed)) is not None:
        found["compress_energy_j"] = found[f"compress_energy_j.{label_of_all}"]
    else:
        missing["compress_energy_j"] = Missing(
            reason="no probe measured all phases of compressing", fix="see what is missing under probes_missing"
        )
