"""The time that is left follows the machine's own speed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgebench.render.eta import Eta


@given(steps=st.lists(st.floats(1.0, 1e4), min_size=2, max_size=20), slower=st.floats(0.1, 20.0))
def test_a_machine_of_another_speed_is_known_from_its_first_steps(steps: list[float], slower: float) -> None:
    eta = Eta(sum(steps))
    now_s = 0.0
    assert eta.left_s(0.0) is None
    for index, step in enumerate(steps):
        now_s += step * slower
        eta.advance(step, now_s)
        left_s = eta.left_s(now_s)
        if left_s is not None:
            assert left_s == pytest.approx(slower * sum(steps[index + 1 :]), rel=1e-6, abs=1e-3)
    assert eta.left_s(now_s) == pytest.approx(0.0, abs=1e-3)


def test_it_counts_down_between_steps_and_never_below_zero() -> None:
    eta = Eta(100.0)
    eta.advance(10.0, 30.0)
    assert eta.left_s(30.0) == pytest.approx(270.0)
    assert eta.left_s(40.0) == pytest.approx(260.0)
    assert eta.left_s(4000.0) == 0.0


def test_what_a_resumed_session_need_not_do_is_no_time_left() -> None:
    eta = Eta(100.0)
    eta.spare(40.0)
    eta.advance(10.0, 20.0)
    assert eta.left_s(20.0) == pytest.approx(100.0)
