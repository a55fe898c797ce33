"""Contrasts: honest intervals, checked against other formulas and by coverage; never NaN."""

from __future__ import annotations

import math
import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgebench.report.intervals import (
    exact_ratio,
    interval,
    middle,
    paired_difference,
    paired_ratio,
    spread_of,
    wilson,
)

positive = st.floats(1e-12, 1e12)
runs = st.lists(st.lists(positive, min_size=1, max_size=5), min_size=1, max_size=10)
counts = st.integers(0, 10_000)


@given(runs, runs)
def test_a_ratio_is_finite_and_inside_its_interval(base: list[list[float]], head: list[list[float]]) -> None:
    estimate = paired_ratio(base, head)
    assert estimate is not None
    assert math.isfinite(estimate.value)
    assert estimate.pairs == min(len(base), len(head))
    if estimate.ci95 is not None:
        low, high = estimate.ci95
        assert 0 <= low <= estimate.value * (1 + 1e-9)
        assert estimate.value <= high * (1 + 1e-9) < math.inf
        turned = paired_ratio(head, base)
        assert turned is not None
        assert turned.value == pytest.approx(1 / estimate.value)


def test_the_ratio_is_that_of_the_two_figures_and_pairs_cancel_drift() -> None:
    rng = np.random.default_rng(7)
    drift = rng.lognormal(0, 0.2, 12)
    base = [[float(value)] for value in drift]
    head = [[float(value)] for value in 0.9 * drift * rng.lognormal(0, 0.01, 12)]
    estimate = paired_ratio(base, head)
    assert estimate is not None
    assert estimate.ci95 is not None
    assert estimate.value == pytest.approx(middle(head) / middle(base), rel=1e-12)
    assert estimate.ci95[0] < 0.9 < estimate.ci95[1]
    assert estimate.ci95[1] - estimate.ci95[0] < 0.03, "the drift of 20 % must not widen the interval"


@given(st.lists(st.floats(1e-9, 1e9), min_size=1, max_size=40), st.floats(0, 1e9))
def test_an_interval_is_ordered_positive_and_holds_its_median(values: list[float], sigma: float) -> None:
    found = interval(values, sigma)
    if found is not None:
        assert len(values) >= 5
        assert 0 <= found[0] <= statistics.median(values) * (1 + 1e-9)
        assert statistics.median(values) <= found[1] * (1 + 1e-9)
        bare = interval(values)
        assert bare is not None
        assert found[0] <= bare[0] * (1 + 1e-9)
        assert bare[1] <= found[1] * (1 + 1e-9)


def test_the_interval_is_of_order_statistics() -> None:
    # Six values: the least and the highest cover 96.9 %, the second and the fifth 78.1 %; 95 % lies between.
    ends = interval([6.0, 1.0, 5.0, 2.0, 4.0, 3.0])
    assert ends is not None
    assert 1.0 < ends[0] < 1.4
    assert 5.5 < ends[1] < 6.0
    assert interval([1.0, 2.0, 3.0, 2.5]) is None
    assert interval([-1.0, 3.0, 0.5, 2.0, -2.0, 1.0]) is not None, "net energy may be negative"


def kinds(values: list[float]) -> set[str]:
    return {remark.kind for remark in spread_of([[value] for value in values]).remarks}


def test_what_runs_do_is_recognised() -> None:
    quiet = [1.003, 0.997, 1.001, 1.004, 0.996, 0.999, 1.002, 0.998]
    assert kinds(quiet) == set()
    assert kinds(quiet[:4]) == {"few"}
    assert kinds([*quiet[:3], 1.3, *quiet[3:]]) == {"outlying"}
    assert kinds([1.0, 1.28, 1.281, 1.002, 1.279, 0.999, 1.001, 1.282]) == {"bimodal"}
    climbing = [1.0 + 0.01 * step for step in range(8)]
    assert kinds(climbing) == {"trending"}
    drifting = spread_of([[value] for value in climbing])
    assert (drifting.ci95, drifting.range, drifting.runs) == (None, (1.0, 1.07), 8)
    assert drifting.value == pytest.approx(1.035)
    with pytest.raises(ValueError, match="no runs"):
        spread_of([])


def test_a_pair_is_a_run_and_its_values_do_not_add_certainty() -> None:
    few = paired_ratio([[1.0], [1.1]], [[0.9], [1.05]])
    many = paired_ratio([[1.0] * 100, [1.1] * 100], [[0.9] * 100, [1.05] * 100])
    assert few == many


def test_what_has_no_interval_or_no_ratio_says_so() -> None:
    single = paired_ratio([[1.0, 1.2]], [[0.5]])
    assert single is not None
    assert (single.ci95, single.pairs) == (None, 1)
    same = paired_ratio([[2.0], [4.0], [8.0]], [[1.0], [2.0], [4.0]])
    assert same is not None
    assert same.value == pytest.approx(0.5)
    assert same.ci95 is None
    assert paired_ratio([], []) is None
    assert paired_ratio([[1.0]], [[-0.1]]) is None
    assert paired_ratio([[0.0]], [[1.0]]) is None
    assert exact_ratio(0, 5) is None
    size = exact_ratio(8_760_000, 8_730_000)
    assert size is not None
    assert size.value == pytest.approx(0.99657534)
    assert (size.ci95, size.method) == (None, "exact")


@given(counts, counts, counts, counts)
def test_a_difference_is_inside_its_interval_and_mirrors(both: int, base: int, head: int, neither: int) -> None:
    if both + base + head + neither == 0:
        with pytest.raises(ValueError, match="at least one image"):
            paired_difference(both, base, head, neither)
        return
    estimate = paired_difference(both, base, head, neither)
    turned = paired_difference(both, head, base, neither)
    assert estimate.ci95 is not None
    assert turned.ci95 is not None
    low, high = estimate.ci95
    assert -1 <= low <= estimate.value + 1e-12
    assert estimate.value - 1e-12 <= high <= 1
    assert (low, high) == pytest.approx((-turned.ci95[1], -turned.ci95[0]), abs=1e-9)


@pytest.mark.parametrize("shares", [(0.95, 0.02, 0.02), (0.85, 0.05, 0.06), (0.70, 0.10, 0.15)])
def test_the_paired_difference_covers_the_truth(shares: tuple[float, float, float]) -> None:
    rng = np.random.default_rng(3)
    truth = shares[2] - shares[1]
    tables = rng.multinomial(360, [*shares, 1 - sum(shares)], size=1500)
    covered = 0
    for table in tables:
        low, high = paired_difference(*(int(count) for count in table)).ci95 or (0.0, 0.0)
        covered += low <= truth <= high
    assert 0.93 <= covered / len(tables) <= 0.99


def test_wilson_agrees_with_a_published_example() -> None:
    # Newcombe (1998), Statistics in Medicine 17:857, table I: 81 of 263.
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson(0, 10)[0] == 0
    assert wilson(10, 10)[1] == 1
