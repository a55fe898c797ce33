"""A series as one line of block characters."""

from __future__ import annotations

import math
from itertools import pairwise
from statistics import median

from edgebench.report.course import ResourceSeries


def sparkline(series: ResourceSeries, width: int) -> str:
    """Return a series as one line of block characters from its least to its highest value; a gap is a blank."""
    blocks = "▁▂▃▄▅▆▇█"
    if not series.t_s:
        return ""
    low, high = min(series.value), max(series.value)
    begin_s, end_s = series.t_s[0], series.t_s[-1]
    found: dict[int, list[float]] = {}
    for at, value in zip(series.t_s, series.value, strict=True):
        spot = 0 if end_s <= begin_s else min(width - 1, int(width * (at - begin_s) / (end_s - begin_s)))
        found.setdefault(spot, []).append(value)
    if len(series.t_s) < width:  # fewer points than columns: each is drawn to the next one
        columns = sorted(found)
        step = median([b - a for a, b in pairwise(columns)]) if len(columns) > 1 else 1
        for column in columns:
            for further in range(column + 1, min(width, column + math.ceil(step))):
                found.setdefault(further, found[column])
    shown = ""
    for column in range(width):
        values = found.get(column)
        if values is None:
            shown += " "
        else:
            level = 0.5 if high == low else (sum(values) / len(values) - low) / (high - low)
            shown += blocks[min(7, int(8 * level))]
    return shown.rstrip()
