"""Figures on axes and beside marks, in words."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial

from edgebench.render.units import quantity, share
from edgebench.report.catalogue import METRICS

# Metrics of unit 1 that are a share of something, shown in per cent.
SHARES = frozenset(
    {
        "accuracy_top1",
        "agreement_top1",
        "agreement_map50",
        "map50",
        "miou",
        "pixel_accuracy",
        "roofline_fraction",
    }
)


def words_of(metric: str) -> Callable[[float], str]:
    """Return how a metric's values are said; of a metric that is not in the catalogue, as bare numbers."""
    name = metric.partition(".")[0]
    if name in SHARES:
        return share
    info = METRICS.get(name)
    return partial(_quantity, unit="1" if info is None else info.unit)


def on_axis(words: Callable[[float], str]) -> Callable[[float], str]:
    """Return the same words without the zeros that only precision needs: ``10 ms`` for ``10.0 ms``."""

    def shown(value: float) -> str:
        return re.sub(r"(?<=\d)\.0+(?!\d)|(\.\d*?[1-9])0+(?!\d)", r"\1", words(value))

    return shown


def _quantity(value: float, unit: str) -> str:
    return quantity(value, unit)
