"""Figures on axes and beside marks, in words."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial

from edgebench.render.cells import is_share, unit_of
from edgebench.render.units import quantity, share


def words_of(metric: str) -> Callable[[float], str]:
    """Return how a metric's values are said; of a metric that is not in the catalogue, as bare numbers."""
    return share if is_share(metric) else partial(_quantity, unit=unit_of(metric))


def on_axis(words: Callable[[float], str]) -> Callable[[float], str]:
    """Return the same words without the zeros that only precision needs: ``10 ms`` for ``10.0 ms``."""

    def shown(value: float) -> str:
        return re.sub(r"(?<=\d)\.0+(?!\d)|(\.\d*?[1-9])0+(?!\d)", r"\1", words(value))

    return shown


def _quantity(value: float, unit: str) -> str:
    return quantity(value, unit)
