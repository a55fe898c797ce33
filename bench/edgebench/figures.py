"""The metrics of one benchmark from its runs; what cannot be given is missing with its reason, never zero."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean, stdev
from typing import TYPE_CHECKING, Any

from edgebench.compare.contrast import paired_ratio
from edgebench.metering import whole_window
from edgebench.quality_figures import quality_metrics
from edgebench.report.metric import SCOPES_BY_WIDTH, metric_from_runs, single_value
from edgebench.report.model import Benchmark as ReportedBenchmark
from edgebench.report.model import BreakEven, Metric, Missing, Passes
from edgebench_probes.window import net_per_inference, per_inference

if TYPE_CHECKING:
    from edgebench.log import Record
    from edgebench.plan.plan import Benchmark
    from edgebench.report.model import Report

# Phases that make the model itself; the others are what compressing it costs on top.
MODEL_PHASES = frozenset({"build", "pretrain", "initialise", "train", "re-estimate", "export"})

Metrics = dict[str, Metric]
Reasons = dict[str, Missing]


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


def accuracy(cell: Benchmark, result: Mapping[str, Any], found: Metrics, missing: Reasons) -> None:
    """Add accuracy and loss of a run that was evaluated on labelled images, or why there are none."""
    evaluation = result.get("evaluation")
    if evaluation is None:
        if cell.params.operator is None and "quality" not in result:
            reason = Missing(reason="there is no labelled data for a model of your own")
            missing |= {"accuracy_top1": reason, "loss": reason}
        return
    found["accuracy_top1"] = single_value(
        "accuracy_top1", evaluation["correct"] / evaluation["images"], images=evaluation["images"]
    )
    if evaluation["loss"] is None:
        missing["loss"] = Missing(reason="the model's outputs are not finite")
    else:
        found["loss"] = single_value("loss", evaluation["loss"])


def energy(
    cell: Benchmark,
    results: Sequence[Mapping[str, Any]],
    idle: Sequence[Mapping[str, Any]],
    start: Record,
    found: Metrics,
    missing: Reasons,
) -> None:
    """Add joules an inference and power by scope, and of the widest scope without suffix."""
    names = ("energy_gross_j", "energy_net_j", "power_w")
    scopes = [probe["scope"] for probe in start["probes"]]
    if not scopes or not cell.measure.energy_windows:
        first = start["probes_missing"][0] if start["probes_missing"] else {}
        reason = "the suite asks for no energy windows"
        if not scopes:
            reason = f"no energy source: {first.get('reason', 'none was found on this machine')}"
        missing |= {name: Missing(reason=reason, fix=first.get("fix")) for name in names}
        return
    for scope in scopes:
        failed = [result["energy"]["failed"].get(scope) for result in results]
        runs = [[window for window in result["energy"]["windows"] if window["scope"] == scope] for result in results]
        if not all(runs):
            why = next((reason for reason in failed if reason), "no window was valid")
            missing |= {f"{name}.{scope}": Missing(reason=why) for name in names}
            continue
        _scope_energy(cell, scope, runs, [entry for entry in idle if entry["scope"] == scope], found, missing)
    if widest := widest_scope(scopes):
        for name in names:
            if (metric := found.get(f"{name}.{widest}")) is not None:
                found[name] = metric
            elif (why_not := missing.get(f"{name}.{widest}")) is not None:
                missing[name] = why_not


def _scope_energy(
    cell: Benchmark,
    scope: str,
    runs: Sequence[Sequence[Mapping[str, Any]]],
    idle: Sequence[Mapping[str, Any]],
    found: Metrics,
    missing: Reasons,
) -> None:
    """Gross and net J/inference and power of one scope: each figure with 1 sigma of its mean, withheld above the limit.

    The random part of the mean falls with the number of windows; the idle power is one measurement for all of them.
    """
    windows = [window for run in runs for window in run]
    whole = whole_window(windows)
    passes = sum(window["passes"] for window in windows)
    common = {"scope": scope, "probe": windows[0]["probe"], "systematic": whole.systematic_j / passes}
    gross = [[window["energy_j"] for window in run] for run in runs]
    spread = stdev([value for run in gross for value in run]) / math.sqrt(len(windows)) if len(windows) > 1 else 0.0
    parts = {name: part / passes for name, part in whole.parts.items()} | {"spread": spread}
    # The mean time of a pass in each window: energy over it is power, whatever the latency was at another moment.
    pass_s = [[window["seconds"] / window["passes"] for window in run] for run in runs]
    _, sigma = per_inference(whole, passes)
    figure = metric_from_runs(
        "energy_gross_j",
        gross,
        uncertainty=math.hypot(sigma, spread),
        parts=parts,
        pass_s=pass_s,
        windows={"samples": whole.samples, "max_gap_s": whole.max_gap_s, "coverage": whole.coverage},
        **common,
    )
    _give(f"energy_gross_j.{scope}", figure, sigma, cell.measure.energy_limit, found, missing)
    power = [[window["power_w"] for window in run] for run in runs]
    found[f"power_w.{scope}"] = metric_from_runs("power_w", power, scope=scope, probe=windows[0]["probe"])
    if not idle:
        missing[f"energy_net_j.{scope}"] = Missing(reason="idle power was not measured in this session")
        return
    idle_w, idle_sigma_w = _idle_power(idle)
    net = [[window["energy_j"] - idle_w * window["seconds"] / window["passes"] for window in run] for run in runs]
    _, sigma = net_per_inference(whole, passes, idle_w, idle_sigma_w)
    parts |= {"idle": whole.seconds * idle_sigma_w / passes}
    figure = metric_from_runs("energy_net_j", net, uncertainty=math.hypot(sigma, spread), parts=parts, **common)
    _give(f"energy_net_j.{scope}", figure, sigma, cell.measure.energy_limit, found, missing)


def _idle_power(idle: Sequence[Mapping[str, Any]]) -> tuple[float, float]:
    """Mean idle power and 1 sigma: the spread of its windows, and half of what before and after differ."""
    sigmas = [entry.get("stdev_w", 0.0) / math.sqrt(entry["windows"]) for entry in idle]
    drift = abs(idle[0]["power_w"] - idle[-1]["power_w"]) / 2
    return fmean(entry["power_w"] for entry in idle), math.hypot(math.hypot(*sigmas) / len(sigmas), drift)


def _give(name: str, metric: Metric, sigma: float, limit: float, found: Metrics, missing: Reasons) -> None:
    """Publish a figure, or withhold it when measuring it (`sigma`: source, edges, idle) is less sure than the limit.

    What runs differ by is the workload's own spread, not doubt of the meter: it is published with the figure.
    """
    if sigma <= limit * abs(metric.mean):
        found[name] = metric
        return
    reason = f"withheld: its uncertainty (1 sigma) is above the limit of {limit:.0%} of the figure"
    missing[name] = Missing(reason=reason, fix="measure longer windows (energy_window_s) or more runs (--processes)")


def widest_scope(scopes: Sequence[str] | set[str]) -> str | None:
    """Return the scope that covers most of the machine, or None of none."""
    return next((scope for scope in SCOPES_BY_WIDTH if scope in scopes), None)


def with_break_even(report: Report) -> Iterator[ReportedBenchmark]:
    """Yield the benchmarks with how many inferences repay the energy of compressing, against the baseline beside it."""
    for cell in report.benchmarks:
        baseline = baseline_of(report, cell)
        spent = cell.metrics.get("compress_energy_j")
        if baseline is None or cell.status != "ok" or "compress_s" not in cell.metrics:
            yield cell
            continue
        own, base = cell.metrics.get("energy_gross_j"), baseline.metrics.get("energy_gross_j")
        if spent is None or own is None or base is None or not own.scope == base.scope == spent.scope:
            why = Missing(reason="needs joules of compressing and of inference, of the same scope")
        elif (saving := _saving(base, own)) is None:
            why = Missing(reason=f"cannot tell: its energy is not surely below that of {baseline.name}")
        elif not saving:
            why = Missing(reason=f"never: it uses more energy than {baseline.name}")
        else:
            count = spent.mean / (base.mean - own.mean)
            repaid = BreakEven(inferences=count, versus=baseline.name, scope=str(own.scope))
            yield cell.model_copy(update={"break_even": repaid})
            continue
        yield cell.model_copy(update={"missing": {**cell.missing, "break_even": why}})


def _saving(base: Metric, head: Metric) -> bool | None:
    """Tell whether head surely uses less energy than base (the paired 95 % interval), surely more, or neither: None."""
    estimate = paired_ratio(base.runs or (), head.runs or ())
    if estimate is None or estimate.ci95 is None:
        return None
    low, high = estimate.ci95
    return None if low < 1 < high else high <= 1


def baseline_of(report: Report, cell: ReportedBenchmark) -> ReportedBenchmark | None:
    """Return the baseline that was interleaved with a cell: same group and backend, FP32; None for a baseline."""
    if cell.params.get("variant") == "baseline" or cell.kind != "inference":
        return None
    for other in report.benchmarks:
        same = other.group == cell.group and other.params.get("backend") == cell.params.get("backend")
        if same and other.params.get("variant") == "baseline" and other.params.get("precision") == "fp32":
            return other if other.status == "ok" else None
    return None
