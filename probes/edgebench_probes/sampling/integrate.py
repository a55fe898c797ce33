"""Energy of a window from samples of power: pure. The formulas and where they come from stand in docs/energy.md."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgebench_probes.base import WindowEnergy, WindowInvalid
from edgebench_probes.sampling import drawn
from edgebench_probes.sampling.source import SourceInfo
from edgebench_probes.window import MIN_SAMPLES, bound_sigma, uniform_sigma

if TYPE_CHECKING:
    from numpy.typing import NDArray

SMOOTHINGS = 10  # a window shorter than this many smoothing times is mostly what came before it
MAX_GAP_REFRESHES = 5
COVERED_REFRESHES = 2  # a stretch between two samples counts as seen up to this
MOSTLY = 0.5  # a source that changes this often may have stood still where it did not change
HOST_CLOCK = 1e-4  # CLOCK_MONOTONIC is a crystal's, within 100 ppm of the second


@dataclass(frozen=True, slots=True)
class Timing:
    """How well the samples' times are known: one sigma of offset (s), and of rate (relative)."""

    residual_s: float = 0.0
    rate_sigma: float = 0.0


def integrate(
    t_s: NDArray[Any],
    power_w: NDArray[Any],
    start_s: float,
    end_s: float,
    info: SourceInfo,
    timing: Timing | None = None,
) -> WindowEnergy:
    """Trapezoid over the samples, with the power interpolated at both edges from the samples that bracket them.

    Times strictly increasing (s), power in W. Raises WindowInvalid for: fewer than 20 samples inside, a window shorter
    than 10 smoothing times, a gap above 5 refreshes, an edge without a sample on either side, values that no machine
    draws.
    """
    import numpy as np

    seconds, refresh_s = end_s - start_s, info.info.refresh_s
    inside = int(np.count_nonzero((t_s >= start_s) & (t_s <= end_s)))
    if not seconds > 0 or seconds < SMOOTHINGS * info.smoothing_s:
        raise WindowInvalid(
            f"the window of {seconds:.3f} s is shorter than 10 times the {info.smoothing_s:.3g} s over which the source"
            " averages"
        )
    if inside < MIN_SAMPLES:
        raise WindowInvalid(f"there are {inside} samples in the window, and {MIN_SAMPLES} are needed")
    first, last = int(np.searchsorted(t_s, start_s, "right")) - 1, int(np.searchsorted(t_s, end_s, "left"))
    if first < 0 or last >= len(t_s):
        raise WindowInvalid(f"no sample lies {'before' if first < 0 else 'after'} the window")
    near = slice(first, last + 1)
    times, powers = t_s[near], power_w[near]
    steps, rises = np.diff(times), np.diff(powers)
    gap = float(steps.max())
    if gap > MAX_GAP_REFRESHES * refresh_s:
        raise WindowInvalid(f"there is a gap of {gap * 1e3:.0f} ms between samples that come every {refresh_s:.3g} s")
    p_start, p_end = np.interp([start_s, end_s], times, powers)
    t = np.concatenate(([start_s], times[1:-1], [end_s]))
    p = np.concatenate(([p_start], powers[1:-1], [p_end]))
    dt = np.diff(t)
    energy = float(np.sum((p[1:] + p[:-1]) / 2 * dt))
    drawn.check(power_w, near, np.concatenate(([dt[0]], dt[1:] + dt[:-1], [dt[-1]])) / 2, info.info.scope)

    reach = info.smoothing_s + refresh_s
    edge_w = math.hypot(_span(t_s, power_w, start_s, reach), _span(t_s, power_w, end_s, reach))
    known = timing or Timing()
    parts = {
        "resolution": _resolution(p, dt, info.info.resolution),
        "timing": edge_w * math.hypot(uniform_sigma(refresh_s), info.smoothing_s / 2, known.residual_s),
        "spread": _spread(steps, rises, (float(times[1]) - start_s, end_s - float(times[-2]))),
        "standing": _standing(steps, rises, power_w, near),
        "lone": bound_sigma(drawn.lone_j(power_w, near, refresh_s)),
        "clock": math.hypot(
            abs(energy) * uniform_sigma(2 * HOST_CLOCK), edge_w * math.hypot(info.clock_s, known.rate_sigma * seconds)
        ),
    }
    return WindowEnergy(
        energy_j=energy,
        seconds=seconds,
        uncertainty_j=math.hypot(*parts.values()),
        parts=parts,
        systematic_j=info.info.accuracy * abs(energy),
        samples=inside,
        max_gap_s=gap,
        coverage=float(np.sum(np.minimum(dt, COVERED_REFRESHES * refresh_s))) / seconds,
    )


def _span(t_s: NDArray[Any], power_w: NDArray[Any], edge_s: float, reach_s: float) -> float:
    """How much the power changes near an edge: what a wrong time there costs."""
    import numpy as np

    low = max(0, int(np.searchsorted(t_s, edge_s - reach_s)) - 1)
    near = power_w[low : int(np.searchsorted(t_s, edge_s + reach_s, "right")) + 1]
    return float(near.max() - near.min())


def _resolution(p: NDArray[Any], dt: NDArray[Any], resolution_w: float) -> float:
    """Quantisation: uniform over one step, the same error as long as the value stands, a new one when it changes."""
    import numpy as np

    weights = np.concatenate(([dt[0]], dt[1:] + dt[:-1], [dt[-1]])) / 2
    runs = np.cumsum(np.concatenate(([0], np.abs(np.diff(p)) > resolution_w / 2)).astype(int))
    return uniform_sigma(resolution_w) * float(np.sqrt(np.sum(np.bincount(runs, weights) ** 2)))


def _standing(steps: NDArray[Any], rises: NDArray[Any], power_w: NDArray[Any], near: slice) -> float:
    """What values that stand may hide, of a source that changes mostly.

    The step after k equal values may have come at any time while they stood: they then are all too low or all too high,
    by h |dP| for each of the k - 1. And the noise of the first is that of all. More of them than chance gives may hide
    any power that the window has.
    """
    import numpy as np

    lengths = drawn.run_lengths(power_w)
    hidden = 0.0
    if drawn.change_share(power_w[near]) >= MOSTLY:
        hidden = float(np.sum(((lengths[near][:-1] - 1) * steps * rises) ** 2)) / 3
        hidden += bound_sigma(drawn.hidden_w(power_w, near) * float(np.max(steps))) ** 2
    longest_s = float(np.max(lengths[near])) * float(np.max(steps))
    if np.max(lengths[near]) >= drawn.STANDING:
        hidden += drawn.noise_w2(power_w, near) * min(longest_s, float(np.sum(steps))) ** 2
    return math.sqrt(hidden)


def _spread(steps: NDArray[Any], rises: NDArray[Any], edges_s: tuple[float, float]) -> float:
    """What the power may have done between samples.

    Between two samples a step may lie anywhere: sigma = h |dP| / sqrt(12). At an edge only the share f of the interval
    lies in the window: h |dP| sqrt(f^3/3 - f^4/4) if the step lies anywhere, and h dP f^2 / 2 if it lies at the edge
    itself, as when a load starts with the window: both are counted. Noise, white from sample to sample, shows as a
    negative product of successive differences: n h^2 s^2, of which the first term holds one sixth already.
    """
    import numpy as np

    h2 = (steps * rises) ** 2
    variance = float(np.sum(h2[1:-1])) / 12
    at_edge = 0.0
    for index, part_s, sign in ((0, edges_s[0], 1), (-1, edges_s[1], -1)):
        f = min(1.0, part_s / float(steps[index]))
        variance += float(h2[index]) * (f**3 / 3 - f**4 / 4)
        at_edge += sign * float(steps[index] * rises[index]) * f * f / 2
    noise_w2 = drawn.white_w2(rises)
    variance += 5 / 6 * noise_w2 * float(np.sum(steps**2))
    return math.sqrt(variance + at_edge**2)
