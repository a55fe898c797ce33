"""What a report says of its probes: what metering costs the workload, and how two scopes close on each other."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean
from typing import TYPE_CHECKING, Any

from edgebench.report.metric import SCOPES_BY_WIDTH, mean_interval
from edgebench.report.model import Closure, Metering
from edgebench_probes.base import WindowEnergy
from edgebench_probes.closure import MIN_WINDOWS, closure

if TYPE_CHECKING:
    from edgebench.log import Record


def metering(runs: Sequence[Record]) -> Metering | None:
    """Return the mean time of a pass inside energy windows against outside, over all runs; None without windows.

    Inside, the probes are open and a sampler runs; outside is the latency of the same process a moment before.
    """
    logs = []
    for run in runs:
        windows = (run["result"].get("energy") or {}).get("windows", [])
        inside = [window["seconds"] / window["passes"] for window in windows]
        if inside:
            logs.append(math.log(fmean(inside) / fmean(run["result"]["values"])))
    if not logs:
        return None
    interval = mean_interval(logs)
    return Metering(
        latency_ratio=math.exp(fmean(logs)),
        ci95=None if interval is None else (math.exp(interval[0]), math.exp(interval[1])),
        runs=len(logs),
    )


def sampler_share(runs: Sequence[Record], name: str, scope: str) -> float | None:
    """Return the mean share of a processor that a probe's sampler used; None for a probe without one."""
    shares = [run["result"]["energy"]["sampler_share"].get(f"{name}:{scope}") for run in runs if _measured(run)]
    known = [share for share in shares if share is not None]
    return fmean(known) if known else None


def closures(runs: Sequence[Record]) -> Iterator[Closure]:
    """Yield the ratio of every pair of probes of different sources over the session's windows, narrower to wider."""
    by_probe: dict[tuple[str, str], dict[tuple[int, int], WindowEnergy]] = {}
    for place, run in enumerate(runs):
        for window in run["result"]["energy"]["windows"] if _measured(run) else []:
            key = (window["probe"], window["scope"])
            by_probe.setdefault(key, {})[place, window["index"]] = whole_window([window])
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


def whole_window(windows: Sequence[Mapping[str, Any]]) -> WindowEnergy:
    """Return windows of one scope as one: random parts add in squares, what is systematic adds up."""
    return WindowEnergy(
        energy_j=sum(window["energy_j"] * window["passes"] for window in windows),
        seconds=sum(window["seconds"] for window in windows),
        uncertainty_j=math.hypot(*(window["uncertainty_j"] * window["passes"] for window in windows)),
        parts={
            name: math.hypot(*(window["parts_j"].get(name, 0.0) * window["passes"] for window in windows))
            for name in windows[0]["parts_j"]
        },
        systematic_j=sum(window["systematic_j"] * window["passes"] for window in windows),
        samples=min(window["samples"] for window in windows),
        max_gap_s=max(window["max_gap_s"] for window in windows),
        coverage=min(window["coverage"] for window in windows),
    )


def _measured(run: Record) -> bool:
    return run["result"].get("energy") is not None
