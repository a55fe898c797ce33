"""The arithmetic of an energy window: pure functions, no clock and no file. The formulas stand in docs/energy.md."""

from __future__ import annotations

import math

from edgebench_probes.base import ProbeInfo, WindowEnergy, WindowInvalid

# A window below these counts of refreshes or samples tells neither a frozen counter from an idle one nor a mean power.
MIN_REFRESHES = 50
MIN_SAMPLES = 20
AGE_S = 0.005  # a reading may be this old before it proves anything: parts refresh late when they sleep
UNSEEN_REFRESHES = 3  # a fault that the watch over a counter cannot tell from the counter's own refresh


def counter_delta(before: float, after: float, *, modulus: float, ceiling: float) -> float:
    """Counts between two readings of a counter that wraps at `modulus`.

    `modulus` is the counter's range plus one LSB (math.inf: it never wraps); `ceiling` is the largest difference that
    the part can have produced since the first reading; all in the counter's own unit. Raises WindowInvalid for a
    reading outside [0, modulus), for a difference above the ceiling (a reset, which is no wrap), and for a ceiling of a
    whole modulus or more, as a wrap may then have been missed.
    """
    if not (0 <= before < modulus and 0 <= after < modulus):
        raise WindowInvalid(f"the counter reads {after:.0f}, outside its range of {modulus:.0f}")
    if ceiling >= modulus:
        raise WindowInvalid("the counter was read too late, it may have wrapped unseen")
    if after >= before:
        delta = after - before
    elif math.isinf(modulus):
        raise WindowInvalid(f"the counter went back from {before:.0f} to {after:.0f}: it was reset")
    else:
        delta = modulus - before + after
    if delta > ceiling:
        raise WindowInvalid(f"the counter went from {before:.0f} to {after:.0f}, more than the part can draw: a reset")
    return delta


def quantisation_j(resolution_j: float) -> float:
    """Return one sigma of the difference of two readings, each cut to a multiple of the resolution (two uniforms)."""
    return resolution_j / math.sqrt(6)


def uniform_sigma(width: float) -> float:
    """One sigma of a quantity known only to lie within an interval of this width."""
    return width / math.sqrt(12)


def bound_sigma(bound: float) -> float:
    """One sigma of a quantity known only to lie within `bound` on either side."""
    return uniform_sigma(2 * bound)


def shortest_window_s(info: ProbeInfo, power_w: float, target: float) -> float:
    """Shortest window (s) whose relative random uncertainty (one sigma) at this power stays within `target`.

    Counter: quantisation of both readings, conservatively both edges unsynchronised within one refresh, and a fault of
    three refreshes and steps that no watch can see; at least 50 refreshes. Power: quantisation averaged over the
    samples; at least 20 samples. ValueError unless both are > 0.
    """
    if not (power_w > 0 and target > 0):
        raise ValueError(f"power ({power_w} W) and target ({target}) must be above zero")
    if info.kind == "counter":
        edges_s = math.sqrt(2) * uniform_sigma(info.refresh_s)
        unseen_j = UNSEEN_REFRESHES * (power_w * info.refresh_s + info.resolution)
        sigma_j = math.hypot(quantisation_j(info.resolution), power_w * edges_s, bound_sigma(unseen_j))
        return max(sigma_j / (power_w * target), MIN_REFRESHES * info.refresh_s)
    samples = (uniform_sigma(info.resolution) / (power_w * target)) ** 2
    return max(samples, MIN_SAMPLES) * info.refresh_s


def per_inference(window: WindowEnergy, passes: int) -> tuple[float, float]:
    """Gross energy of one inference and its uncertainty (J, one sigma)."""
    _check(passes)
    return window.energy_j / passes, window.uncertainty_j / passes


def net_per_inference(
    window: WindowEnergy, passes: int, idle_w: float, idle_sigma_w: float, sigma_t_s: float = 0.0
) -> tuple[float, float]:
    """Energy of one inference above idle and its uncertainty (J, one sigma).

    sigma^2 = (sigma_E^2 + T^2 sigma_Pidle^2 + P_idle^2 sigma_T^2) / N^2; give `sigma_t_s` only where the duration has
    an error of its own, that of the counter's edges is in sigma_E. A net energy may be negative: that is a finding.
    """
    _check(passes)
    net_j = window.energy_j - window.seconds * idle_w
    sigma_j = math.hypot(window.uncertainty_j, window.seconds * idle_sigma_w, idle_w * sigma_t_s)
    return net_j / passes, sigma_j / passes


def _check(passes: int) -> None:
    if passes < 1:
        raise ValueError(f"a window needs at least one pass, not {passes}")
