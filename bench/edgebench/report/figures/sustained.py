"""A sustained run in the report: throughput and joules cold and hot, its course by the second, and its throttling."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from statistics import fmean
from typing import TYPE_CHECKING, Any

from edgebench.report.figures import inference as figures
from edgebench.report.figures.energy import energy, whole_window
from edgebench.report.figures.throttling import Evidence, Verdict, judge, ratio
from edgebench.report.figures.timeline import Line, binned
from edgebench.report.metric import metric_from_runs, single_value
from edgebench.report.model import Change, Missing, Sustained

if TYPE_CHECKING:
    from edgebench.plan.plan import Benchmark
    from edgebench.report.figures.timeline import Points, Timeline
    from edgebench.report.log import Record
    from edgebench.report.metric import Metrics, Reasons

PHASES = ("cold", "hot")
# Of the session's samples, those that tell why throughput changed.
_BESIDE = ("temperature_c", "cpu_frequency_hz", "throttle_count", "throttled", "gpu_temperature_c", "gpu_frequency_hz")


def metrics(
    cell: Benchmark,
    runs: Sequence[Record],
    artifact: Mapping[str, Any] | None,
    idle: Sequence[Mapping[str, Any]],
    start: Record,
    seen: Timeline | None,
) -> tuple[Metrics, Reasons]:
    """Return the metrics of a sustained benchmark; ``.cold`` and ``.hot`` come after a scope: ``power_w.core.hot``."""
    results = [run["result"] for run in runs]
    found: Metrics = {"latency_s": metric_from_runs("latency_s", [result["values"] for result in results])}
    missing: Reasons = {}
    blocks = [result["sustained"] for result in results]
    batch = cell.params.batch
    found["throughput_per_s"] = metric_from_runs(
        "throughput_per_s", [[batch * sum(one["passes"]) / (one["edges_s"][-1] - one["edges_s"][0])] for one in blocks]
    )
    for phase in PHASES:
        found[f"throughput_per_s.{phase}"] = metric_from_runs(
            "throughput_per_s", [[fmean(_phase_rates(one, phase, batch))] for one in blocks]
        )
    figures.of_process(results, start, found, missing)
    if artifact is not None:
        found["size_bytes"] = single_value("size_bytes", artifact["size_bytes"])
    _energy(cell, blocks, idle, start, found, missing)
    verdicts = [verdict(cell, run, seen) for run in runs]
    onsets = [one.onset_s for one in verdicts]
    known = [onset for onset in onsets if onset is not None]
    if len(known) == len(onsets):
        found["onset_s"] = metric_from_runs("onset_s", [[onset] for onset in known])
    else:
        missing["onset_s"] = Missing(reason=next(one.text for one in verdicts if one.onset_s is None))
    return found, missing


def blocks(cell: Benchmark, runs: Sequence[Record], seen: Timeline | None) -> Iterator[Sustained]:
    """Yield the course of each run."""
    for run in runs:
        one = run["result"]["sustained"]
        edges = one["edges_s"]
        told = verdict(cell, run, seen)
        middles = [(a + b) / 2 - edges[0] for a, b in pairwise(edges)]
        rates = _rates(one, cell.params.batch)
        lines = [Line("throughput_per_s", "1/s", "passes in each bin", None, list(zip(middles, rates, strict=True)))]
        for power in one["power"]:
            points = [(at, watts) for at, watts in zip(middles, power["power_w"], strict=True) if watts is not None]
            if points:
                source = f"{power['probe']}: mean of each bin"
                lines.append(Line("power_w", "W", source, power["scope"], points))
        for key in _BESIDE:
            if points := _during(key, run, seen):
                origin = seen.lines[key] if seen is not None else None
                lines.append(Line(key, origin.unit if origin else "1", origin.source if origin else "", None, points))
        cold, hot = (_edges_of(one, phase) for phase in PHASES)
        yield Sustained(
            seconds=edges[-1] - edges[0],
            passes=sum(one["passes"]),
            bin_s=(edges[-1] - edges[0]) / len(one["passes"]),
            longest_pass_s=max(one["longest_s"]),
            begin_s=_begin_s(run, seen),
            cold=(edges[cold[0]] - edges[0], edges[cold[1]] - edges[0]),
            hot=(edges[hot[0]] - edges[0], edges[hot[1]] - edges[0]),
            series=tuple(binned(line) for line in lines),
            hot_over_cold=dict(_changes(one, cell.params.batch)),
            verdict=told.verdict,
            verdict_text=told.text,
            onset_s=told.onset_s,
            fall=told.fall,
        )


def verdict(cell: Benchmark, run: Record, seen: Timeline | None) -> Verdict:
    """Judge one run by its throughput, and by what the session's sampler saw meanwhile."""
    one = run["result"]["sustained"]
    lengths = [b - a for a, b in zip(one["edges_s"], one["edges_s"][1:], strict=False)]
    counts = [run["state"][when]["throttle_count"] for when in ("before", "after")]
    limits = any(run["state"][when].get("limits") for when in ("before", "after"))
    counted = None if None in counts and not limits else limits or counts[1] > counts[0]
    busy, own, stolen = (
        dict(_during(key, run, seen)) for key in ("cpu_percent", "workload_cpu_percent", "steal_percent")
    )
    others = [(at, (busy[at] - own[at] + stolen.get(at, 0.0)) / 100) for at in busy if at in own]
    evidence = Evidence(
        given=[used / length for used, length in zip(one["cpu_s"], lengths, strict=True)],
        frequency_hz=_during("cpu_frequency_hz", run, seen),
        events=_during("throttle_count", run, seen) or _during("throttled", run, seen),
        others=others,
        counted=counted,
        disturbed=run["disturbed"],
    )
    return judge(_rates(one, cell.params.batch), lengths, cell.params.threads, evidence)


def _during(key: str, run: Record, seen: Timeline | None) -> Points:
    """Return a series' points inside a run, in seconds from its first bin."""
    zero_s = _begin_s(run, seen)
    if seen is None or zero_s is None or key not in seen.lines:
        return []
    edges = run["result"]["sustained"]["edges_s"]
    end_s = zero_s + edges[-1] - edges[0]
    return [(at - zero_s, value) for at, value in seen.lines[key].points if zero_s <= at <= end_s]


def _begin_s(run: Record, seen: Timeline | None) -> float | None:
    """Return where a run's first bin begins on the axis of the session's samples, or None without any."""
    windows = [] if seen is None else seen.windows
    window = next((w for w in windows if (w.cell, w.turn) == (run["cell"], run["turn"])), None)
    if window is None:
        return None
    return float(run["result"]["sustained"]["edges_s"][0] + window.begin_s - run["result"]["clock"]["measuring"])


def _rates(one: Mapping[str, Any], batch: int) -> list[float]:
    edges = one["edges_s"]
    return [batch * n / (b - a) for n, a, b in zip(one["passes"], edges, edges[1:], strict=False)]


def _edges_of(one: Mapping[str, Any], phase: str) -> tuple[int, int]:
    """Return the first and the last edge of a phase: whole bins, at least one."""
    edges, phase_s = one["edges_s"], one["phase_s"] + 0.5
    last = len(edges) - 1
    if phase == "cold":
        return 0, max([1, *(i for i, edge in enumerate(edges) if edge - edges[0] <= phase_s)])
    return min([last - 1, *(i for i, edge in enumerate(edges) if edges[last] - edge <= phase_s)]), last


def _phase_rates(one: Mapping[str, Any], phase: str, batch: int) -> list[float]:
    """Return the throughput in each quarter of a phase."""
    first, last = _edges_of(one, phase)
    cuts = sorted({first + (last - first) * part // 4 for part in range(5)})
    edges = one["edges_s"]
    return [batch * sum(one["passes"][a:b]) / (edges[b] - edges[a]) for a, b in pairwise(cuts)]


def _changes(one: Mapping[str, Any], batch: int) -> Iterator[tuple[str, Change]]:
    """Yield hot over cold: throughput with its interval, joules an inference by scope with one sigma of measuring."""
    centre, interval = ratio(*(_phase_rates(one, phase, batch) for phase in PHASES))
    yield "throughput_per_s", Change(ratio=centre, ci95=interval)
    for power in one["power"]:
        scope = power["scope"]
        sides = [[w for w in one["windows"][phase] if w["scope"] == scope] for phase in PHASES]
        if not all(sides):
            continue
        wholes = [whole_window(side) for side in sides]
        each = [sum(window["passes"] for window in side) for side in sides]
        cold_j, hot_j = (whole.energy_j / passes for whole, passes in zip(wholes, each, strict=True))
        if cold_j <= 0:
            continue
        # The same probe on the same load: what its data sheet allows is in both, and cancels.
        sigma = math.hypot(*(whole.uncertainty_j / whole.energy_j for whole in wholes)) if hot_j > 0 else None
        _, interval = ratio(*([window["energy_j"] for window in side] for side in sides))
        change = Change(
            ratio=hot_j / cold_j, ci95=interval, uncertainty=None if sigma is None else sigma * hot_j / cold_j
        )
        yield f"energy_gross_j.{scope}", change


def _energy(
    cell: Benchmark,
    blocks: Sequence[Mapping[str, Any]],
    idle: Sequence[Mapping[str, Any]],
    start: Record,
    found: Metrics,
    missing: Reasons,
) -> None:
    """Joules an inference and power over the whole run and in each phase, as those of any benchmark."""
    for phase in ("all", *PHASES):
        results = [
            {
                "energy": {
                    "windows": [{**window} for window in one["windows"][phase]],
                    "failed": one["failed"][phase],
                }
            }
            for one in blocks
        ]
        of_phase: Metrics = {}
        reasons: Reasons = {}
        energy(cell, results, idle, start, of_phase, reasons)
        suffix = "" if phase == "all" else f".{phase}"
        found |= {f"{name}{suffix}": metric for name, metric in of_phase.items()}
        # A phase is missing for a reason of its own only where the whole is not missing for the same.
        missing |= {f"{name}{suffix}": why for name, why in reasons.items() if missing.get(name) != why}
