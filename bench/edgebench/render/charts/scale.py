"""Scales: where values stand along an axis, and the round values that are written on it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

# From this ratio of the largest to the least value on, an axis is logarithmic.
LOG_FROM = 20.0
# Figures beyond it stand at the edge: a difference of two of them must stay finite.
_MOST = 1e300


@dataclass(frozen=True, slots=True)
class Tick:
    """One value written on an axis: its place in per cent of the axis's length, and its words."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Scale:
    """From values to places in per cent of an axis; `low` and `high` are its ends (their logarithms where `log`)."""

    low: float
    high: float
    log: bool
    ticks: tuple[Tick, ...]

    def at(self, value: float) -> float:
        """Return the place of a value, 0 to 100; what lies beyond an end stands at that end."""
        return _at(self.low, self.high, value, log=self.log)


def scale(
    values: Iterable[float],
    words: Callable[[Sequence[float]], Sequence[str]],
    *,
    zero: bool = False,
    log: bool | None = None,
    pad: float = 0.06,
    most_ticks: int = 5,
) -> Scale:
    """Return a scale that holds all values, with a share `pad` of its length free at either end.

    It is logarithmic where all values are positive and the largest is 20 times the least, unless `log` says it; a
    linear one begins at `zero` (and has no room below it) where asked to. `words` names the values written on it.
    """
    known = [min(_MOST, max(-_MOST, value)) for value in values if not math.isnan(value)] or [0.0]
    low, high = min(known), max(known)
    if log is None:
        log = low > 0 and high / low >= LOG_FROM
    if log and low > 0:
        low, high = _padded(math.log10(low), math.log10(high), pad, least=0.3)
        chosen = _log_ticks(low, high, most_ticks)
    else:
        log = False
        if zero:
            low, high = min(0.0, low), max(0.0, high)
        from_zero = zero and low == 0
        low, high = _padded(low, high, pad, least=0.1 * abs(high) or 1.0)
        low = 0.0 if from_zero else low
        chosen = _ticks(low, high, most_ticks)
    places = (_at(low, high, value, log=log) for value in chosen)
    return Scale(low, high, log, tuple(map(Tick, places, words(chosen))))


def _at(low: float, high: float, value: float, *, log: bool) -> float:
    if log:
        if value <= 0:
            return 0.0
        value = math.log10(value)
    # Clamped first, so that no difference overflows.
    share = (min(high, max(low, value)) - low) / (high - low)
    return round(100 * share, 2)


def _padded(low: float, high: float, pad: float, least: float) -> tuple[float, float]:
    room = (high - low) * pad if high > low else least / 2
    if not low < low + room or not high - room < high:  # the room is below what a float tells apart
        room = 1.0
    return low - room, high + room


def _ticks(low: float, high: float, most: int) -> list[float]:
    """Return round values inside a range, at most so many; the ends of a range that has no round ones."""
    raw = (high - low) / most
    if not 1e-290 < raw < 1e290:
        return [low, high]
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10, 20) if power * factor >= raw * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [step * index for index in range(first, last + 1)]


def _log_ticks(low: float, high: float, most: int) -> list[float]:
    decades = range(math.floor(low), math.ceil(high) + 1)
    for factors, every in (((1, 2, 5), 1), ((1, 3), 1), *(((1,), every) for every in (1, 2, 3, 5, 10, 20, 50, 200))):
        found = _within(decades, factors, every, low, high)
        if len(found) <= most:
            return found
    return []


def _within(decades: Sequence[int], factors: Sequence[int], every: int, low: float, high: float) -> list[float]:
    return [
        float(f"{factor}e{decade}")
        for decade in decades
        if decade % every == 0 and -308 < decade < 308
        for factor in factors
        if low <= decade + math.log10(factor) <= high
    ]
