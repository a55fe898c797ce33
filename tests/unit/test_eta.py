"""The time that is left follows the machine's own speed, and what a stopped session did is not ahead."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from edgebench.render.eta import Eta
from edgebench.render.progress import LiveProgress, PlainProgress
from edgebench.report.metric import Watts


def take(eta: Eta, name: str, now_s: float, took_s: float) -> float:
    eta.begin(name, now_s)
    eta.advance(name, now_s + took_s)
    return now_s + took_s


@given(st.lists(st.floats(1.0, 1e4), min_size=2, max_size=20), st.floats(0.1, 20.0))
def test_the_estimate_holds_first_and_the_machines_own_speed_then(steps: list[float], slower: float) -> None:
    units = {f"cell{place}": seconds for place, seconds in enumerate(steps)}
    eta, now_s = Eta(units), 0.0
    assert eta.left_s(0.0) == pytest.approx(sum(steps))
    for name, seconds in list(units.items())[:-1]:
        now_s = take(eta, name, now_s, slower * seconds)
    done_s = sum(steps[:-1])
    assert eta.left_s(now_s) == pytest.approx(steps[-1] * (10 + slower * done_s) / (10 + done_s))
    now_s = take(eta, f"cell{len(steps) - 1}", now_s, slower * steps[-1])
    assert eta.left_s(now_s) == 0.0
    assert eta.share(now_s) == pytest.approx(1.0)


def test_preparing_from_a_cache_says_nothing_of_measuring() -> None:
    eta = Eta({"prepare a": 60.0, "a": 30.0})
    eta.expect({"prepare a": 1, "a": 10})
    now_s = take(eta, "prepare a", 0.0, 0.5)
    assert eta.left_s(now_s) == pytest.approx(300.0)
    now_s = take(eta, "a", now_s, 3.0)
    assert eta.left_s(now_s) == pytest.approx(9 * 3.0), "a run takes as long as the runs before it"
    eta.begin("a", now_s)
    assert eta.left_s(now_s + 2.0) == pytest.approx(9 * 3.0 - 2.0)
    assert eta.left_s(now_s + 500.0) == pytest.approx(8 * 3.0), "a long run shortens none of those after it"


def test_what_a_stopped_session_did_is_not_ahead() -> None:
    eta = Eta({"prepare a": 60.0, "a": 30.0})
    eta.expect({"prepare a": 0, "a": 2})
    assert eta.left_s(0.0) == pytest.approx(60.0)


def test_a_log_has_time_and_power_in_the_line_of_a_step() -> None:
    text = io.StringIO()
    progress = PlainProgress(Console(file=text, width=200), {"a": 120.0})
    progress.expect({"a": 3})
    progress.step("measure", "a run 1 of 3", "a")
    assert "measure: a run 1 of 3 (about 6 min left)" in text.getvalue()
    progress.power(Watts(4.2, "core"))
    progress.step("measure", "a run 2 of 3", "a")
    assert ", 4.2 W core)" in text.getvalue()
    progress.meter(lambda: Watts(11.0, "package"))
    progress.step("measure", "a run 3 of 3", "a")
    assert ", 11.0 W package)" in text.getvalue(), "what is read now counts, not what was measured"


def test_a_terminal_always_has_a_time() -> None:
    text = io.StringIO()
    with LiveProgress(Console(file=text, width=160, force_terminal=True), {"a": 120.0}) as progress:
        progress.expect({"a": 3})
        progress.meter(lambda: Watts(11.0, "package"))
        progress.step("measure", "a run 1 of 3", "a")
    assert "0:06:00 left 11.0 W package" in text.getvalue()
    assert "-:--:--" not in text.getvalue()
