"""Figures on axes and beside marks, in words."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial

from edgebench.render.cells import is_share, unit_of
from edgebench.render.units import quantity, share

_DIGITS = 3
# More digits than this tell nothing apart that is worth an axis.
_MOST_DIGITS = 8


def words_of(metric: str) -> Callable[[float], str]:
    """Return how a metric's values are said; of a metric that is not in the catalogue, as bare numbers."""
    return partial(_said, metric=metric, digits=_DIGITS)


def on_axis(metric: str) -> Callable[[Sequence[float]], list[str]]:
    """Return how a metric's values are written on an axis: with the digits that tell them apart, ``10 ms``."""

    def shown(values: Sequence[float]) -> list[str]:
        texts: list[str] = []
        for digits in range(_DIGITS, _MOST_DIGITS):
            texts = [_said(value, metric, digits) for value in values]
            if len(set(texts)) == len(set(values)):
                break
        return [re.sub(r"(?<=\d)\.0+(?!\d)|(\.\d*?[1-9])0+(?!\d)", r"\1", text) for text in texts]

    return shown


def _said(value: float, metric: str, digits: int) -> str:
    return share(value, digits - 1) if is_share(metric) else quantity(value, unit_of(metric), digits)
