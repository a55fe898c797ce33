"""Our special functions against SciPy's, which only the tests have."""

from __future__ import annotations

import math

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import special

from edgebench.report import student

DEGREES = st.floats(-1.5, 6.3).map(lambda power: 10**power)


@given(DEGREES, st.floats(-100, 100))
@example(4000.0, 8.0)  # on either side of the change of method
@example(4000.1, 8.0)
@example(1.0, 1e9)
@example(1e6, 30.0)
@example(math.inf, 2.0)
@settings(max_examples=500)
def test_tails_of_t_agree(df: float, t: float) -> None:
    expected = 0.5 * math.erfc(t / math.sqrt(2)) if math.isinf(df) else float(special.stdtr(df, -t))
    assert student.upper_tail(t, df) == pytest.approx(expected, rel=1e-9, abs=1e-240)


@given(DEGREES.filter(lambda df: df > 0.3), st.floats(1e-9, 1 - 1e-9))
@example(1.0, 0.975)
@example(4.0, 0.975)
@example(math.inf, 0.975)
@settings(max_examples=500)
def test_quantiles_of_t_agree(df: float, p: float) -> None:
    expected = float(special.ndtri(p) if math.isinf(df) else special.stdtrit(df, p))
    # Beside the middle a quantile is the difference of two chances near a half, which both sides round.
    assert student.quantile(df, p) == pytest.approx(expected, rel=1e-9, abs=1e-9)


@given(st.floats(-3, 6).map(lambda power: 10**power))
def test_the_digamma_family_agrees(x: float) -> None:
    assert student.digamma(x) == pytest.approx(float(special.psi(x)), rel=1e-9, abs=1e-12)
    assert student.trigamma(x) == pytest.approx(float(special.polygamma(1, x)), rel=1e-9)
    assert student.tetragamma(x) == pytest.approx(float(special.polygamma(2, x)), rel=1e-9)


def test_what_has_no_answer_is_no_number() -> None:
    for t, df in ((1.0, 0.0), (1.0, -2.0), (1.0, math.nan), (math.nan, 3.0)):
        assert math.isnan(student.upper_tail(t, df))
    for df, p in ((0.0, 0.975), (math.nan, 0.975), (3.0, 1.0), (3.0, math.nan)):
        assert math.isnan(student.quantile(df, p))
