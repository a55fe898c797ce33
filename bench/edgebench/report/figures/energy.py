"""What a report says of its probes: what metering costs the workload, and how two scopes close on each other."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from statistics import fmean, stdev
from typing import TYPE_CHECKING

from edgebench.measure.results import InferenceResult, place
from edgebench.report.figures.closure import MIN_WINDOWS, closure
from edgebench.report.metric import (
    SCOPES_BY_WIDTH,
    Metrics,
    Reasons,
    mean_interval,
    metric_from_runs,
    widest,
)
from edgebench.report.model import Closure, Metering
from edgebench.report.quantity import Metric, Missing
from edgebench.report.records import of_kind
from edgebench_probes.base import WindowEnergy
from edgebench_probes.labels import labels_of
from edgebench_probes.window import net_per_inference, per_inference

if TYPE_CHECKING:
    from edgebench.measure.ledger import IdlePower
    from edgebench.measure.results import Window, Windows
    from edgebench.plan.plan import Benchmark
    from edgebench.report.records import RunRecord, StartRecord


def metering(runs: Sequence[RunRecord]) -> Metering | None:
    """Return the mean time of a pass inside energy windows against outside, over all runs; None without windows.

    Inside, the probes are open and a sampler runs; outside is the latency of the same process a moment before.
    """
    logs = []
    for result in of_kind(runs, InferenceResult):
        inside = [window.pass_s for window in result.energy.windows]
        if inside:
            logs.append(math.log(fmean(inside) / fmean(result.values)))
    if not logs:
        return None
    interval = mean_interval(logs)
    return Metering(
        latency_ratio=math.exp(fmean(logs)),
        ci95=None if interval is None else (math.exp(interval[0]), math.exp(interval[1])),
        runs=len(logs),
    )


def sampler_share(runs: Sequence[RunRecord], name: str, scope: str) -> float | None:
    """Return the mean share of a processor that a probe's sampler used; None for a probe without one."""
    key = place(name, scope)
    told = [result.energy.sampler_share for result in of_kind(runs, InferenceResult)]
    known = [shares[key] for shares in told if key in shares]
    return fmean(known) if known else None


def closures(runs: Sequence[RunRecord]) -> Iterator[Closure]:
    """Yield the ratio of every pair of probes of different sources over the session's windows, narrower to wider."""
    by_probe: dict[tuple[str, str], dict[tuple[int, int], WindowEnergy]] = {}
    for turn, result in enumerate(of_kind(runs, InferenceResult)):
        for window in result.energy.windows:
            key = (window.probe, window.scope)
            by_probe.setdefault(key, {})[turn, window.index] = whole_window([window])
    probes = sorted(by_probe, key=lambda probe: SCOPES_BY_WIDTH.index(probe[1]), reverse=True)
    for number, part in enumerate(probes):
        for whole in probes[number + 1 :]:
            common = sorted(by_probe[part].keys() & by_probe[whole].keys())
            if part[0] == whole[0] or len(common) < MIN_WINDOWS:
                continue
            found = closure([by_probe[part][key] for key in common], [by_probe[whole][key] for key in common])
            yield Closure(
                part=f"{part[0]}:{part[1]}",
                whole=f"{whole[0]}:{whole[1]}",
                ratio=found.ratio,
                ci95=(found.low, found.high),
                systematic=found.systematic,
                windows=found.windows,
            )


def whole_window(windows: Sequence[Window]) -> WindowEnergy:
    """Return windows of one probe as one: random parts add in squares, what is systematic adds up."""
    return WindowEnergy(
        energy_j=sum(window.energy_j for window in windows),
        seconds=sum(window.seconds for window in windows),
        uncertainty_j=math.hypot(*(window.uncertainty_j for window in windows)),
        parts={name: math.hypot(*(window.parts_j.get(name, 0.0) for window in windows)) for name in windows[0].parts_j},
        systematic_j=sum(window.systematic_j for window in windows),
        samples=min(window.samples for window in windows),
        max_gap_s=max(window.max_gap_s for window in windows),
        coverage=min(window.coverage for window in windows),
    )


def joules_a_pass(window: Window, idle_w: float = 0.0) -> float:
    """Return the joules of one inference in a window, above an idle power; the one place that divides by passes."""
    return (window.energy_j - idle_w * window.seconds) / window.passes


def no_source(start: StartRecord) -> Missing:
    """Say why there is no energy at all on a machine without a probe."""
    if not start.probes_missing:
        return Missing(reason="no energy source: none was found on this machine")
    first = start.probes_missing[0]
    return Missing(reason=f"no energy source: {first.reason}", fix=first.fix)


def energy(
    cell: Benchmark,
    runs: Sequence[Windows],
    idle: Sequence[IdlePower],
    start: StartRecord,
    found: Metrics,
    missing: Reasons,
) -> None:
    """Add joules an inference and power of each probe, and of the widest scope's first probe without suffix.

    A run whose windows failed does not take away those of the others: the figure is over the runs that have some.
    """
    names = ("energy_gross_j", "energy_net_j", "power_w")
    labels = labels_of((probe.name, probe.scope) for probe in start.probes)
    if not labels or not cell.measure.energy_windows:
        why_none = Missing(reason="the suite asks for no energy windows") if labels else no_source(start)
        missing |= dict.fromkeys(names, why_none)
        return
    for (name, scope), label in labels.items():
        windows = [own for run in runs if (own := [w for w in run.windows if (w.probe, w.scope) == (name, scope)])]
        if not windows:
            missing |= {f"{metric}.{label}": _why_none(runs, name, scope) for metric in names}
            continue
        at_rest = [power for power in idle if (power.probe, power.scope) == (name, scope)]
        _probe_energy(cell, label, windows, at_rest, found, missing)
    if (label_of_all := widest(labels.values())) is not None:
        for metric in names:
            if (figure := found.get(f"{metric}.{label_of_all}")) is not None:
                found[metric] = figure
            elif (why_not := missing.get(f"{metric}.{label_of_all}")) is not None:
                missing[metric] = why_not


def _why_none(runs: Sequence[Windows], name: str, scope: str) -> Missing:
    """Say why no run has a window of a probe that was open when the session began."""
    places = (place(name, scope), name, name.partition(":")[0])
    told = (run.failed.get(one) for run in runs for one in places)
    lost = f"{name} was open when the session began and could not be opened by the measuring process"
    reason = next((reason for reason in told if reason), lost)
    return Missing(reason=reason, fix="see what it says now: edgebench probes")


def _probe_energy(
    cell: Benchmark,
    label: str,
    runs: Sequence[Sequence[Window]],
    idle: Sequence[IdlePower],
    found: Metrics,
    missing: Reasons,
) -> None:
    """Gross and net J/inference and power of one probe: each figure with 1 sigma of its mean, withheld above the limit.

    What measuring adds falls with the number of windows, what runs differ by with the number of runs; the idle power is
    one measurement for all of them.
    """
    windows = [window for run in runs for window in run]
    whole = whole_window(windows)
    passes = sum(window.passes for window in windows)
    probe, scope, systematic = windows[0].probe, windows[0].scope, whole.systematic_j / passes
    gross = [[joules_a_pass(window) for window in run] for run in runs]
    cause, apart = _apart(gross)
    parts = {name: part / passes for name, part in whole.parts.items()} | {cause: apart}
    # The mean time of a pass in each window: energy over it is power, whatever the latency was at another moment.
    pass_s = [[window.pass_s for window in run] for run in runs]
    _, sigma = per_inference(whole, passes)
    figure = metric_from_runs(
        "energy_gross_j",
        gross,
        uncertainty=math.hypot(sigma, apart),
        parts=parts,
        pass_s=pass_s,
        windows={"samples": whole.samples, "max_gap_s": whole.max_gap_s, "coverage": whole.coverage},
        scope=scope,
        probe=probe,
        systematic=systematic,
    )
    _give(f"energy_gross_j.{label}", figure, sigma, cell.measure.energy_limit, found, missing)
    power = [[window.power_w for window in run] for run in runs]
    found[f"power_w.{label}"] = metric_from_runs("power_w", power, scope=scope, probe=probe)
    if not idle:
        missing[f"energy_net_j.{label}"] = Missing(reason="idle power was not measured in this session")
        return
    idle_w, idle_sigma_w = _idle_power(idle)
    net = [[joules_a_pass(window, idle_w) for window in run] for run in runs]
    _, sigma = net_per_inference(whole, passes, idle_w, idle_sigma_w)
    parts |= {"idle": whole.seconds * idle_sigma_w / passes}
    figure = metric_from_runs(
        "energy_net_j",
        net,
        uncertainty=math.hypot(sigma, apart),
        parts=parts,
        scope=scope,
        probe=probe,
        systematic=systematic,
    )
    _give(f"energy_net_j.{label}", figure, sigma, cell.measure.energy_limit, found, missing)


def _apart(runs: Sequence[Sequence[float]]) -> tuple[str, float]:
    """Return what a figure is unsure by as its runs differ (``runs``), 1 sigma of their mean.

    Windows of one process follow each other and are no independent runs: only where there is a single run do they
    stand in (``windows``), and then tell nothing of another run.
    """
    cause, values = "runs", [fmean(run) for run in runs]
    if len(values) == 1:
        cause, values = "windows", list(runs[0])
    return cause, stdev(values) / math.sqrt(len(values)) if len(values) > 1 else 0.0


def _idle_power(idle: Sequence[IdlePower]) -> tuple[float, float]:
    """Mean idle power and 1 sigma: the spread of its windows, and half of what before and after differ."""
    sigmas = [(entry.stdev_w or 0.0) / math.sqrt(entry.windows) for entry in idle]
    drift = abs(idle[0].power_w - idle[-1].power_w) / 2
    return fmean(entry.power_w for entry in idle), math.hypot(math.hypot(*sigmas) / len(sigmas), drift)


def _give(name: str, metric: Metric, sigma: float, limit: float, found: Metrics, missing: Reasons) -> None:
    """Publish a figure, or withhold it when measuring it (`sigma`: source, edges, idle) is less sure than the limit.

    What runs differ by is the workload's own spread, not doubt of the meter: it is published with the figure.
    """
    if sigma <= limit * abs(metric.mean):
        found[name] = metric
        return
    reason = f"withheld: its uncertainty (1 sigma) is above the limit of {limit:.0%} of the figure"
    missing[name] = Missing(reason=reason, fix="measure longer windows (energy_window_s) or more runs (--processes)")
