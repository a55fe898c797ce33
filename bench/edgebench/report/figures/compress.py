"""The metrics of a benchmark of kind ``compress``: what making the artifact costs, as a whole and by phase."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from edgebench.measure.ledger import CompressResult
from edgebench.plan.kinds import MAKING_PHASES
from edgebench.report.figures.energy import no_source
from edgebench.report.figures.given import Figures, Given
from edgebench.report.figures.quality import accuracy, quality_metrics
from edgebench.report.metric import Metrics, Reasons, metric_from_runs, single_value, widest
from edgebench.report.origin import Artifact
from edgebench.report.quantity import Missing
from edgebench.report.records import of_kind
from edgebench_probes.labels import labels_of

if TYPE_CHECKING:
    from edgebench.measure.ledger import LedgerPhase
    from edgebench.plan.plan import Benchmark
    from edgebench.report.records import RunRecord, StartRecord


def figures(cell: Benchmark, runs: Sequence[RunRecord], given: Given) -> Figures:
    """Return the figures of a finished benchmark of kind ``compress``."""
    return Figures(*metrics(cell, of_kind(runs, CompressResult), given.start))


def metrics(cell: Benchmark, results: Sequence[CompressResult], start: StartRecord) -> tuple[Metrics, Reasons]:
    """Return the metrics of a finished benchmark, and the reasons for those that are missing."""
    found: Metrics = {}
    missing: Reasons = {}
    found["compress_s"] = metric_from_runs("compress_s", [result.values for result in results])
    everything = [[phase.cost for phase in result.phases] for result in results]
    for name in MAKING_PHASES:
        entries = [next((entry for entry in run if entry.phase == name), None) for run in everything]
        known = [entry for entry in entries if entry is not None]
        if len(known) < len(results):
            missing[f"{name}_s"] = Missing(reason="the exported file is what the runtime opens: nothing is built")
            continue
        found[f"{name}_s"] = metric_from_runs(f"{name}_s", [[entry.seconds] for entry in known])
        _memory(f"{name}_peak_memory_bytes", [[entry] for entry in known], found, missing)
        _joules(f"{name}_energy_j", [[entry] for entry in known], start, found, missing)
    _memory("peak_memory_bytes", everything, found, missing)
    _joules("compress_energy_j", everything, start, found, missing)
    if "peak_memory_bytes" in found:
        total = start.machine.usable_bytes
        shares = [[100 * value / total for value in run] for run in found["peak_memory_bytes"].runs or ()]
        found["memory_percent"] = metric_from_runs("memory_percent", shares)
    use = [[100 * sum(phase.cpu_s for phase in result.phases) / result.values[0]] for result in results]
    found["cpu_percent"] = metric_from_runs("cpu_percent", use)
    sizes = [float(result.size_bytes) for result in results]
    # Made again, a file is as large to the byte; where it is not, every size is told.
    same = len(set(sizes)) == 1
    found["size_bytes"] = (
        single_value("size_bytes", sizes[0]) if same else metric_from_runs("size_bytes", [[size] for size in sizes])
    )
    accuracy(cell, results[0].quality, found, missing)
    quality_metrics(cell, results[0].quality, found, missing)
    return found, missing


def artifact(results: Sequence[CompressResult]) -> Artifact | None:
    """Return the file that the first run made; its phases are the benchmark's own metrics."""
    if not results:
        return None
    first = results[0]
    return Artifact(digest=first.digest, size_bytes=first.size_bytes, format=first.format)


def _memory(name: str, runs: Sequence[Sequence[LedgerPhase]], found: Metrics, missing: Reasons) -> None:
    """The larger of a run's phases: each is a process of its own."""
    peaks = [[entry.peak_memory_bytes for entry in run if entry.peak_memory_bytes is not None] for run in runs]
    if all(len(known) == len(run) for known, run in zip(peaks, runs, strict=True)):
        found[name] = metric_from_runs(name, [[float(max(known))] for known in peaks])
    else:
        missing[name] = Missing(reason="the system does not tell it")


def _joules(
    name: str,
    runs: Sequence[Sequence[LedgerPhase]],
    start: StartRecord,
    found: Metrics,
    missing: Reasons,
) -> None:
    """Gross joules of a run's phases by probe, with 1 sigma of the mean; the widest scope also without suffix."""
    labels = labels_of((probe.name, probe.scope) for probe in start.probes)
    measured: list[str] = []
    for (probe, scope), label in labels.items():
        if not all(label in entry.energy for run in runs for entry in run):
            told = (entry.missing[label].reason for run in runs for entry in run if label in entry.missing)
            reason = next(told, f"{probe} did not measure all phases of compressing")
            missing[f"{name}.{label}"] = Missing(reason=reason)
            continue
        measured.append(label)
        parts = [[entry.energy[label] for entry in run] for run in runs]
        sigma = math.hypot(*(part.uncertainty_j for run in parts for part in run)) / len(runs)
        found[f"{name}.{label}"] = metric_from_runs(
            name,
            [[sum(part.energy_j for part in run)] for run in parts],
            scope=scope,
            probe=probe,
            uncertainty=sigma,
        )
    if (label_of_all := widest(measured)) is not None:
        found[name] = found[f"{name}.{label_of_all}"]
        return
    missing[name] = missing[f"{name}.{next(iter(labels.values()))}"] if labels else no_source(start)
