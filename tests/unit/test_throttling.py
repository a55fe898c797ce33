"""When a load slowed down: no onset in noise, the right second of a real step, and the cause before the claim."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgebench.report.figures.throttling import Evidence, judge, lasting_fall, ratio

SEEDS = st.integers(0, 2**32 - 1)
LENGTHS = st.integers(20, 600)


def noise(seed: int, count: int, sd: float, rho: float = 0.0) -> np.ndarray:
    generator = np.random.default_rng(seed)
    found = generator.normal(0, 1, count)
    for index in range(1, count):
        found[index] = rho * found[index - 1] + np.sqrt(1 - rho**2) * found[index]
    return np.asarray(np.exp(sd * found))


@given(SEEDS, LENGTHS, st.floats(0.0005, 0.15), st.floats(0, 0.5))
@settings(max_examples=120, deadline=None)
def test_stationary_noise_has_no_onset(seed: int, count: int, sd: float, rho: float) -> None:
    rates = 800 * noise(seed, count, sd, rho)
    assert lasting_fall(list(rates), [1.0] * count) is None


@given(SEEDS, st.integers(40, 600), st.floats(0.15, 0.7), st.floats(0.3, 0.7), st.floats(0.001, 0.03))
@settings(max_examples=80, deadline=None)
def test_a_real_step_is_found_within_two_seconds(seed: int, count: int, drop: float, where: float, sd: float) -> None:
    rates = 800 * noise(seed, count, sd)
    step = int(count * where)
    rates[step:] *= 1 - drop
    fall = lasting_fall(list(rates), [1.0] * count)
    assert fall is not None
    assert fall.begin_s == pytest.approx(step, abs=2)
    assert fall.share == pytest.approx(drop, abs=0.05)


def test_a_rise_after_warming_up_and_a_short_dip_are_no_onset() -> None:
    rates = 800 * noise(1, 120, 0.01)
    rates[:15] *= 0.8  # as a governor that rises slowly
    rates[60:64] *= 0.5  # four seconds of something else
    assert lasting_fall(list(rates), [1.0] * 120) is None
    rates[90:] *= 0.85
    assert lasting_fall(list(rates), [1.0] * 120).begin_s == pytest.approx(90, abs=2)  # type: ignore[union-attr]


def test_a_level_that_comes_back_is_told() -> None:
    rates = 800 * noise(3, 200, 0.01)
    rates[60:110] *= 0.8
    told = judge(list(rates), [1.0] * 200, 1, Evidence()).text
    assert told.startswith("throughput fell by 20% at 60 s: ")
    assert told.endswith("; it was back at 110 s")
    rates[110:] *= 0.8
    assert "back" not in judge(list(rates), [1.0] * 200, 1, Evidence()).text


def test_the_cause_comes_before_the_claim() -> None:
    rates = 800 * noise(2, 100, 0.01)
    rates[50:] *= 0.8
    seconds = [1.0] * 100
    both = [1.0] * 100
    clock = [(at, 3.4e9 if at < 50 else 2.7e9) for at in range(100)]
    steady = [(at, 3.4e9) for at in range(100)]
    counter = [(at, 7.0 if at < 48 else 9.0) for at in range(100)]
    taken = [(at, 0.0 if at < 50 else 0.5) for at in range(100)]
    slowed = judge(list(rates), seconds, 1, Evidence(given=both))
    assert slowed.verdict == "slowed"
    assert slowed.onset_s == pytest.approx(50, abs=2)
    assert "does not show its frequency" in slowed.text
    assert judge(list(rates), seconds, 1, Evidence(given=both, frequency_hz=steady)).verdict == "slowed"
    clocked = judge(list(rates), seconds, 1, Evidence(given=both, frequency_hz=clock))
    assert clocked.verdict == "throttled"
    assert "frequency by 21%" in clocked.text
    counted = judge(list(rates), seconds, 1, Evidence(given=both, events=counter))
    assert (counted.verdict, counted.onset_s) == ("throttled", 48)
    for seen in (
        Evidence(given=[1.0] * 50 + [0.8] * 50, frequency_hz=steady),
        Evidence(given=both, others=taken),
        Evidence(given=both, disturbed="other programs used 1.0 processors"),
    ):
        disturbed = judge(list(rates), seconds, 1, seen)
        assert (disturbed.verdict, disturbed.onset_s) == ("disturbed", None)
        assert disturbed.fall == pytest.approx(0.2, abs=0.02)
    quiet = judge([800.0] * 100, seconds, 1, Evidence())
    assert (quiet.verdict, quiet.onset_s, quiet.fall) == ("none", None, None)


@given(SEEDS, st.floats(0.5, 2))
@settings(max_examples=30, deadline=None)
def test_hot_over_cold_holds_the_truth_about_as_often_as_it_says(seed: int, truth: float) -> None:
    generator = np.random.default_rng(seed)
    held = 0
    for _ in range(200):
        cold, hot = generator.normal(100, 1, 4), truth * generator.normal(100, 2, 4)
        _, interval = ratio(list(cold), list(hot))
        assert interval is not None
        held += interval[0] <= truth <= interval[1]
    assert held >= 176  # 95 % of 200, less four sigma
