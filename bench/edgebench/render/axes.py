"""Axes of a drawing: round ticks, labels that do not stand on each other, moments in words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

# At most so many moments along an axis of time.
TICKS = 8


def apart(heights: Sequence[float], height: float, least: float = 13.0) -> list[float]:
    """Move labels apart that would stand on each other, and keep them within a panel of `height`."""
    order = sorted(range(len(heights)), key=lambda index: heights[index])
    placed = dict(enumerate(heights))
    for before, after in pairwise(order):
        placed[after] = max(placed[after], placed[before] + least)
    over = max(0.0, max(placed.values()) - (height + 4))
    return [round(placed[index] - over, 1) for index in range(len(heights))]


def round_ticks(low: float, high: float) -> list[float]:
    """Return two to four round values over a range; a range beyond all reason has its ends."""
    span = (high - low) or abs(high) or 1.0
    raw = span / 2.5
    if not 1e-300 < raw < 1e300:
        return [low, high]
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= raw)
    first = math.floor(low / step + 1e-9)
    last = math.ceil(high / step - 1e-9)
    return [step * index for index in range(first, max(last, first + 1) + 1)]


def moments(end_s: float) -> list[float]:
    """Return round moments from 0 to the end."""
    for step in (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400):
        if end_s / step <= TICKS:
            return [float(step * index) for index in range(int(end_s / step) + 1)]
    return [0.0, end_s]


def clock_words(seconds: float) -> str:
    """Return a moment on an axis in words: ``45 s``, ``2:30 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02d} min"
    return f"{whole // 3600}:{whole % 3600 // 60:02d} h"
