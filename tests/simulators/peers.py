"""How other tools turn the same readings into joules: their published behaviour as small references, no code of theirs.

`python -m tests.simulators.peers` prints the table of docs/evidence.md.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from edgebench_probes.base import ProbeInfo, Scope, WindowInvalid
from edgebench_probes.sampling.integrate import integrate
from edgebench_probes.sampling.source import SourceInfo
from edgebench_probes.window import counter_delta

Array = NDArray[np.float64]
Sampled = Callable[[Array, Array, float, float], float]
IDLE_W, LOAD_W, BURST_W, HALF_W = 3.0, 12.0, 8.0, 7.0


def ours(t: Array, p: Array, start: float, end: float) -> float:
    """Trapezoid with interpolated edges."""
    info = ProbeInfo("x", "x", Scope.MODULE, "power", 0.04, float(np.median(np.diff(t))))
    return integrate(t, p, start, end, SourceInfo(info)).energy_j


def last_power(t: Array, p: Array, start: float, end: float) -> float:
    """codecarbon where it has power only: power now times the time since the last look, every 15 s and at the stop."""
    looks = [*np.arange(start + 15, end, 15), end]
    powers = p[np.searchsorted(t, looks, "right") - 1]
    return float(np.sum(np.diff([start, *looks]) * powers))


def stale_edges(t: Array, p: Array, start: float, end: float) -> float:
    """zeus on a Jetson: a poller adds power times period; each edge reads the sum as it last stood."""
    total = np.concatenate(([0.0], np.cumsum(p[:-1] * np.diff(t))))
    at = np.searchsorted(t, [start, end], "right") - 1
    return float(total[at[1]] - total[at[0]])


def running_average(t: Array, p: Array, start: float, end: float) -> float:
    """jtop's `avg` at the end, an exponential average with one half, times the duration."""
    first, last = np.searchsorted(t, [start, end], "right") - 1
    average = p[first]
    for power in p[first + 1 : last + 1]:
        average = (average + power) / 2
    return float(average * (end - start))


def mean_of_samples(t: Array, p: Array, start: float, end: float) -> float:
    """Scripts around tegrastats: the mean of the samples inside, times the duration."""
    return float(p[(t >= start) & (t <= end)].mean() * (end - start))


SAMPLED: dict[str, Sampled] = {
    "edgebench": ours,
    "mean of samples (tegrastats scripts)": mean_of_samples,
    "stale edges (zeus on Jetson)": stale_edges,
    "running average (jtop `avg`)": running_average,
    "last power, every 15 s (codecarbon)": last_power,
}


def counter_peers(values: list[float | None], modulus: float) -> dict[str, float | str]:
    """Joules of a window over these readings of a counter (None: a read that failed), as each tool takes them."""
    known = [value for value in values if value is not None]
    zeroed = [value or 0.0 for value in values]
    steps = [b - a if b >= a else modulus - a + b for a, b in pairwise(zeroed)]
    ends = known[-1] - known[0]
    try:
        mine: float | str = sum(counter_delta(a, b, modulus=modulus, ceiling=modulus / 2) for a, b in pairwise(known))
    except WindowInvalid:
        mine = "invalid"
    return {
        "edgebench": "invalid" if None in values else mine,
        "difference of the ends (pyRAPL, EnergiBridge)": ends,
        "one wrap at most (pyJoules)": ends if ends >= 0 else ends + modulus,
        "failed read is 0 (codecarbon)": sum(steps),
    }


def sampled_errors(rate: float, count: int = 400) -> dict[str, tuple[float, float]]:
    """RMS and worst error (relative) over windows of about 5 s, at random phases of the sampling.

    Idle, then a load that works in bursts of 0.2 s, its last second at half power, then idle.
    """
    rng = np.random.default_rng(11)
    errors: dict[str, list[float]] = {name: [] for name in SAMPLED}
    for _ in range(count):
        start, seconds = 10 + rng.uniform(0, 1), rng.uniform(4.5, 5.5)
        end = start + seconds
        edges = [start, *np.arange(start + 0.2, end - 1, 0.17), end - 1, end]
        powers = [LOAD_W if index % 2 == 0 else BURST_W for index in range(len(edges) - 2)] + [HALF_W]
        t = np.arange(0, end + 10, 1 / rate)
        p = np.concatenate(([IDLE_W], powers, [IDLE_W]))[np.searchsorted(edges, t, "right")]
        truth = float(np.sum(np.diff(edges) * powers))
        for name, rule in SAMPLED.items():
            errors[name].append(rule(t, p, start, end) / truth - 1)
    return {name: (float(np.sqrt(np.mean(np.square(e)))), max(e, key=abs)) for name, e in errors.items()}


def main() -> None:
    """Print both tables."""
    slow, fast = sampled_errors(10), sampled_errors(100)
    for name in SAMPLED:
        cells = " | ".join(f"{100 * rms:.2f} % | {100 * worst:+.2f} %" for rms, worst in (slow[name], fast[name]))
        print(f"| {name} | {cells} |")  # noqa: T201 - its purpose
    cases = {
        "one wrap": counter_peers([950.0, 10.0, 70.0], 1000),
        "two wraps": counter_peers([900.0, 300.0, 700.0, 100.0, 150.0], 1000),
        "failed read": counter_peers([100.0, None, 200.0], 1000),
    }
    for name in cases["one wrap"]:
        print(f"| {name} |", " | ".join(str(case[name]) for case in cases.values()), "|")  # noqa: T201


if __name__ == "__main__":
    main()
