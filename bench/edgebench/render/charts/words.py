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
    """Return how a metric's values are written on an axis: with as many digits as they have, ``10.25 ms``."""

    def shown(values: Sequence[float]) -> list[str]:
        texts = _all_said(values, metric, _DIGITS)
        for digits in range(_DIGITS + 1, _MOST_DIGITS):
            finer = _all_said(values, metric, digits)
            # What one more digit changes was rounded: steps of 0.25 would read 0.2 and 0.3.
            if finer == texts and len(set(texts)) == len(set(values)):
                break
            texts = finer
        return texts

    return shown


def _all_said(values: Sequence[float], metric: str, digits: int) -> list[str]:
    """Return values in words without zeros at their end."""
    texts = (_said(value, metric, digits) for value in values)
    return [re.sub(r"(?<=\d)\.0+(?!\d)|(\.\d*?[1-9])0+(?!\d)", r"\1", text) for text in texts]


def _said(value: float, metric: str, digits: int) -> str:
    return share(value, digits - 1) if is_share(metric) else quantity(value, unit_of(metric), digits)
