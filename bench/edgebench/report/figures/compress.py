"""The metrics of a benchmark of kind ``compress``: what making the artifact costs, as a whole and by phase."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from edgebench.report.figures.quality import accuracy, quality_metrics
from edgebench.report.metric import metric_from_runs, single_value, widest_scope
from edgebench.report.model import Artifact, Metric, Missing

if TYPE_CHECKING:
    from edgebench.plan.plan import Benchmark
    from edgebench.report.log import Record

    Entry = Mapping[str, Any]

PHASES = ("export", "build")


def metrics(cell: Benchmark, runs: Sequence[Record], start: Record) -> tuple[dict[str, Metric], dict[str, Missing]]:
    """Return the metrics of a finished benchmark, and the reasons for those that are missing."""
    results = [run["result"] for run in runs]
    found: dict[str, Metric] = {}
    missing: dict[str, Missing] = {}
    found["compress_s"] = metric_from_runs("compress_s", [result["values"] for result in results])
    everything = [result["phases"] for result in results]
    for name in PHASES:
        entries = [next((entry for entry in run if entry["phase"] == name), None) for run in everything]
        known = [entry for entry in entries if entry is not None]
        if len(known) < len(results):
            missing[f"{name}_s"] = Missing(reason="the exported file is what the runtime opens: nothing is built")
            continue
        found[f"{name}_s"] = metric_from_runs(f"{name}_s", [[entry["seconds"]] for entry in known])
        _memory(f"{name}_peak_memory_bytes", [[entry] for entry in known], found, missing)
        _joules(f"{name}_energy_j", [[entry] for entry in known], start, found, missing)
    _memory("peak_memory_bytes", everything, found, missing)
    _joules("compress_energy_j", everything, start, found, missing)
    if "peak_memory_bytes" in found:
        total = start["machine"].get("memory_limit_bytes") or start["machine"]["memory_bytes"]
        shares = [[100 * value / total for value in run] for run in found["peak_memory_bytes"].runs or ()]
        found["memory_percent"] = metric_from_runs("memory_percent", shares)
    use = [[100 * sum(e["cpu_s"] for e in run) / sum(e["seconds"] for e in run)] for run in everything]
    found["cpu_percent"] = metric_from_runs("cpu_percent", use)
    sizes = [float(result["size_bytes"]) for result in results]
    # Made again, a file is as large to the byte; where it is not, every size is told.
    same = len(set(sizes)) == 1
    found["size_bytes"] = (
        single_value("size_bytes", sizes[0]) if same else metric_from_runs("size_bytes", [[size] for size in sizes])
    )
    accuracy(cell, results[0], found, missing)
    quality_metrics(cell, results[0], found, missing)
    return found, missing


def artifact(runs: Sequence[Record]) -> Artifact | None:
    """Return the file that the first run made; its phases are the benchmark's own metrics."""
    if not runs:
        return None
    first = runs[0]["result"]
    return Artifact(digest=first["digest"], size_bytes=first["size_bytes"], format=first["format"])


def _memory(name: str, runs: Sequence[Sequence[Entry]], found: dict[str, Metric], missing: dict[str, Missing]) -> None:
    """The larger of a run's phases: each is a process of its own."""
    if all("peak_memory_bytes" in entry for run in runs for entry in run):
        found[name] = metric_from_runs(name, [[float(max(e["peak_memory_bytes"] for e in run))] for run in runs])
    else:
        missing[name] = Missing(reason="the system does not tell it")


def _joules(
    name: str,
    runs: Sequence[Sequence[Entry]],
    start: Record,
    found: dict[str, Metric],
    missing: dict[str, Missing],
) -> None:
    """Gross joules of a run's phases by scope, with 1 sigma of the mean; the widest scope also without suffix."""
    scopes = [probe["scope"] for probe in start["probes"]]
    measured = set()
    for scope in scopes:
        if not all(scope in entry.get("energy", {}) for run in runs for entry in run):
            told = (entry.get("missing", {}).get(scope, {}).get("reason") for run in runs for entry in run)
            reason = next((text for text in told if text), "no probe measured all phases of compressing")
            missing[f"{name}.{scope}"] = Missing(reason=reason)
            continue
        measured.add(scope)
        parts = [[entry["energy"][scope] for entry in run] for run in runs]
        sigma = math.hypot(*(part["uncertainty_j"] for run in parts for part in run)) / len(runs)
        found[f"{name}.{scope}"] = metric_from_runs(
            name,
            [[sum(part["energy_j"] for part in run)] for run in parts],
            scope=scope,
            probe=parts[0][0]["probe"],
            uncertainty=sigma,
        )
    if widest := widest_scope(measured):
        found[name] = found[f"{name}.{widest}"]
        return
    first = start["probes_missing"][0] if start["probes_missing"] else {}
    why = missing.get(f"{name}.{scopes[0]}") if scopes else None
    text = f"no energy source: {first.get('reason', 'none was found on this machine')}"
    missing[name] = why or Missing(reason=text, fix=first.get("fix"))
