"""The metrics of one benchmark from its runs; what cannot be given is missing with its reason, never zero."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from edgebench.report.figures.energy import energy
from edgebench.report.figures.quality import accuracy, quality_metrics
from edgebench.report.metric import Metrics, Reasons, metric_from_runs, single_value, widest_scope
from edgebench.report.model import Missing, Passes

if TYPE_CHECKING:
    from edgebench.plan.plan import Benchmark
    from edgebench.report.log import Record

# Phases that make the model itself; the others are what compressing it costs on top.
MODEL_PHASES = frozenset({"build", "pretrain", "initialise", "train", "re-estimate", "export"})


def metrics(
    cell: Benchmark,
    runs: Sequence[Record],
    artifact: Mapping[str, Any] | None,
    idle: Sequence[Mapping[str, Any]],
    start: Record,
) -> tuple[Metrics, Reasons]:
    """Return the metrics of a finished benchmark, and the reasons for those that are missing."""
    results = [run["result"] for run in runs]
    found: Metrics = {}
    missing: Reasons = {}
    passes = Passes(
        count=sum(result["passes"] for result in results),
        **{key: tuple(result[f"pass_{key}_s"] for result in results) for key in ("p50", "p90", "p95", "p99")},
    )
    values = [result["values"] for result in results]
    found["latency_s"] = metric_from_runs(
        "latency_s",
        values,
        passes=passes,
        loops=[result["loops"] for result in results],
        warmups=[result["warmups"] for result in results],
    )
    rates = [[cell.params.batch / value for value in run] for run in values]
    found["throughput_per_s"] = metric_from_runs("throughput_per_s", rates)
    if tokens := results[0].get("tokens_a_pass"):
        rates = [[tokens / value for value in run] for run in values]
        found["tokens_per_s"] = metric_from_runs("tokens_per_s", rates)
    of_process(results, start, found, missing)
    if artifact is not None:
        found["size_bytes"] = single_value("size_bytes", artifact["size_bytes"])
        _of_artifact(cell, artifact, found, missing)
    accuracy(cell, results[0], found, missing)
    quality_metrics(cell, results[0], found, missing)
    if operator := results[0].get("operator"):
        for name, per_pass in (("operations_per_s", "operations"), ("bytes_per_s", "bytes")):
            if (amount := operator[per_pass]) is None:
                missing[name] = Missing(reason="it computes nothing")
            else:
                found[name] = metric_from_runs(name, [[amount / value for value in run] for run in values])
    energy(cell, results, idle, start, found, missing)
    return found, missing


def of_process(results: Sequence[Mapping[str, Any]], start: Record, found: Metrics, missing: Reasons) -> None:
    """Add what each worker process took: seconds to load and compile, processor, memory."""
    for name in ("load_s", "compile_s", "first_inference_s", "cpu_percent", "peak_memory_bytes"):
        if all(result[name] is not None for result in results):
            found[name] = metric_from_runs(name, [[float(result[name])] for result in results])
        else:
            missing[name] = Missing(reason="the system does not tell it")
    if "peak_memory_bytes" in found:
        total = start["machine"].get("memory_limit_bytes") or start["machine"]["memory_bytes"]
        shares = [[100 * result["peak_memory_bytes"] / total] for result in results]
        found["memory_percent"] = metric_from_runs("memory_percent", shares)


def _of_artifact(cell: Benchmark, artifact: Mapping[str, Any], found: Metrics, missing: Reasons) -> None:
    if (macs := artifact["notes"].get("macs_224")) is not None and cell.params.image_size == 224:
        found["macs"] = single_value("macs", macs * cell.params.batch)
    compressing = [phase for phase in artifact["ledger"] if phase["phase"] not in MODEL_PHASES]
    if not compressing:
        return
    found["compress_s"] = single_value("compress_s", sum(phase["seconds"] for phase in compressing))
    scopes = set.intersection(*(set(phase.get("energy", {})) for phase in compressing))
    for scope in sorted(scopes):
        parts = [phase["energy"][scope] for phase in compressing]
        found[f"compress_energy_j.{scope}"] = single_value(
            "compress_energy_j",
            sum(part["energy_j"] for part in parts),
            scope=scope,
            uncertainty=math.hypot(*(part["uncertainty_j"] for part in parts)),
        )
    if widest := widest_scope(scopes):
        found["compress_energy_j"] = found[f"compress_energy_j.{widest}"]
    else:
        missing["compress_energy_j"] = Missing(
            reason="no probe measured all phases of compressing", fix="see what is missing under probes_missing"
        )
