"""Closure: its interval holds what it says."""

from __future__ import annotations

import numpy as np
import pytest

from edgebench.report.figures.closure import closure
from edgebench_probes.base import WindowEnergy


def window(energy_j: float, uncertainty_j: float = 0.0, systematic_j: float = 0.0) -> WindowEnergy:
    return WindowEnergy(energy_j, 1.0, uncertainty_j, {}, systematic_j, 2, 1.0, 1.0)


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(3)
    hits = 0
    for _ in range(500):
        whole = rng.uniform(5, 15, 8)
        part = 0.7 * whole + rng.normal(0, 0.1, 8)
        found = closure([window(e) for e in part], [window(e) for e in whole])
        hits += found.low <= 0.7 <= found.high
    assert 0.92 < hits / 500 < 0.98


def test_windows_that_agree_better_than_they_can_do_not_narrow_the_interval() -> None:
    found = closure([window(6.0, 0.06)] * 4, [window(10.0, 0.0, 0.2)] * 4)
    assert found.ratio == pytest.approx(0.6)
    assert found.high - 0.6 == pytest.approx(1.96 * 0.06 * 2 / 40, rel=1e-3)
    assert found.systematic == pytest.approx(0.02)


@pytest.mark.parametrize(("part", "whole"), [(3, 4), (2, 2)])
def test_too_little_is_refused(part: int, whole: int) -> None:
    with pytest.raises(ValueError, match="closure needs"):
        closure([window(1.0)] * part, [window(1.0)] * whole)
    with pytest.raises(ValueError, match="energy in the whole"):
        closure([window(1.0)] * 3, [window(0.0)] * 3)
