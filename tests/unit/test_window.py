"""The arithmetic of windows and the grammar of specifications."""

from __future__ import annotations

import math
import string

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from edgebench_probes.base import ProbeError, ProbeInfo, Scope, WindowEnergy, WindowInvalid
from edgebench_probes.catalogue.discover import Spec, parse_spec
from edgebench_probes.window import counter_delta, net_per_inference, per_inference, shortest_window_s

COUNTS = st.integers(2, 2**62)


def window(energy_j: float, seconds: float, sigma_j: float) -> WindowEnergy:
    return WindowEnergy(energy_j, seconds, sigma_j, {}, 0.0, 2, seconds, 1.0)


@given(COUNTS, st.data())
def test_a_difference_within_the_ceiling_is_exact_through_a_wrap(modulus: int, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, modulus - 1))
    true = data.draw(st.integers(0, modulus - 1))
    ceiling = data.draw(st.integers(true, modulus - 1))
    assert counter_delta(start, (start + true) % modulus, modulus=modulus, ceiling=ceiling) == true


@given(COUNTS, st.data())
def test_a_difference_is_the_shortest_way_round_or_a_reset(modulus: int, data: st.DataObject) -> None:
    before, after = data.draw(st.integers(0, modulus - 1)), data.draw(st.integers(0, modulus - 1))
    ceiling = data.draw(st.integers(0, modulus - 1))
    true = (after - before) % modulus
    if true > ceiling:
        with pytest.raises(WindowInvalid, match="reset"):
            counter_delta(before, after, modulus=modulus, ceiling=ceiling)
    else:
        assert counter_delta(before, after, modulus=modulus, ceiling=ceiling) == true


def test_the_modulus_is_the_range_plus_one_step() -> None:
    range_uj, step_uj = 262143328850, 61.035  # an N100's
    delta = counter_delta(262143328850, 0, modulus=range_uj + step_uj, ceiling=1e9)
    assert delta == pytest.approx(step_uj, abs=1e-4)


@pytest.mark.parametrize(
    ("before", "after", "modulus", "ceiling"),
    [(0, 100, 100, 10), (-1, 5, 100, 10), (5, 6, 100, 100), (5, 4, math.inf, 1e9), (5, 90, math.inf, 10)],
)
def test_readings_that_prove_nothing_are_refused(before: float, after: float, modulus: float, ceiling: float) -> None:
    with pytest.raises(WindowInvalid):
        counter_delta(before, after, modulus=modulus, ceiling=ceiling)


@given(st.floats(0.05, 500), st.floats(0.001, 0.2), st.floats(1e-6, 1e-2), st.floats(1e-4, 0.1))
def test_the_shortest_window_reaches_its_target(power_w: float, target: float, step_j: float, refresh_s: float) -> None:
    info = ProbeInfo("rapl", "x", Scope.PACKAGE, "counter", step_j, refresh_s)
    seconds = shortest_window_s(info, power_w, target)
    unseen_j = 3 * (power_w * refresh_s + step_j)
    variance = step_j**2 / 6 + 2 * (power_w * refresh_s) ** 2 / 12 + unseen_j**2 / 3
    assert math.sqrt(variance) / (power_w * seconds) <= target * (1 + 1e-9)
    assert seconds >= 50 * refresh_s


def test_a_sampled_source_needs_twenty_samples() -> None:
    info = ProbeInfo("meter", "x", Scope.BOARD_DC, "power", 0.001, 0.5)
    assert shortest_window_s(info, 5.0, 0.01) == pytest.approx(10.0)
    with pytest.raises(ValueError, match="above zero"):
        shortest_window_s(info, 0.0, 0.01)


def test_net_energy_carries_the_idle_uncertainty() -> None:
    assert per_inference(window(70.0, 10.0, 0.7), 100) == pytest.approx((0.7, 0.007))
    net, sigma = net_per_inference(window(70.0, 10.0, 0.7), 100, idle_w=3.0, idle_sigma_w=0.1, sigma_t_s=0.2)
    assert net == pytest.approx(0.4)
    assert sigma == pytest.approx(math.sqrt(0.7**2 + (10 * 0.1) ** 2 + (3 * 0.2) ** 2) / 100)
    with pytest.raises(ValueError, match="at least one pass"):
        per_inference(window(1.0, 1.0, 0.1), 0)


def parsed_or_error(text: str) -> Spec | ProbeError:
    try:
        return parse_spec(text)
    except ProbeError as error:
        return error


@given(st.text(max_size=500))
@example("rapl?scope=package\n")
@example("rapl?")
@example("rapl:")
@example("a" * 401)
def test_any_text_is_a_specification_or_a_sentence(text: str) -> None:
    outcome = parsed_or_error(text)
    if isinstance(outcome, ProbeError):
        assert "\n" not in str(outcome)
        assert outcome.fix
    else:
        assert text.lower().startswith(outcome.name)
        assert all(key and value for key, value in outcome.options.items())


WORD = st.text(string.ascii_lowercase + string.digits, min_size=1, max_size=8)


@given(
    WORD.map(lambda word: f"p{word}"),
    st.none() | st.text(string.ascii_letters + string.digits + "/:.-_[]", min_size=1, max_size=30),
    st.dictionaries(WORD.map(lambda word: f"o{word}"), WORD, max_size=3),
)
def test_what_is_written_is_what_is_parsed(name: str, address: str | None, options: dict[str, str]) -> None:
    text = name + (f":{address}" if address else "")
    text += "?" + "&".join(f"{key}={value}" for key, value in options.items()) if options else ""
    spec = parse_spec(text)
    assert (spec.name, spec.address, dict(spec.options)) == (name, address, options)


def test_the_design_s_examples() -> None:
    assert parse_spec("shizuku:/dev/ttyACM0").address == "/dev/ttyACM0"
    assert parse_spec("tcp://meterhost:8765").address == "//meterhost:8765"
