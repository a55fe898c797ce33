"""The one rule for a reading of power: pure, and where every source passes it."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.simulators.sysfs import chip

from edgebench_probes.base import ProbeError, Scope
from edgebench_probes.glance import open_glances
from edgebench_probes.plausible import (
    MAX_AMPS,
    MAX_VOLTS,
    MOST_W,
    TURN_W,
    Direction,
    Implausible,
    electrical_power,
    plausible,
    without_value,
)
from edgebench_probes.sampling.source import SourceLost
from edgebench_probes.sources.hwmon import HwmonSource

SCOPES = st.sampled_from(list(Scope))


@given(st.floats() | st.integers(-(10**300), 10**300).map(float), SCOPES)
def test_a_power_is_finite_not_negative_and_within_what_its_scope_can_draw(power_w: float, scope: Scope) -> None:
    if math.isfinite(power_w) and 0 <= power_w <= MOST_W[scope]:
        assert plausible(power_w, scope) == power_w
        return
    with pytest.raises(Implausible, match=r"^it gave") as caught:
        plausible(power_w, scope)
    assert caught.value.fix


def test_every_scope_has_a_bound() -> None:
    assert set(MOST_W) == set(Scope)


@given(st.floats(TURN_W, 999), st.lists(st.tuples(st.floats(TURN_W, 999), st.sampled_from([1, -1])), min_size=1))
def test_a_direction_gives_magnitudes_until_it_turns_round(first_w: float, rest: list[tuple[float, int]]) -> None:
    flow = Direction(Scope.BOARD_DC)
    assert flow(-first_w) == first_w
    assert flow.notes[0][0] == "direction"
    for power_w, sign in rest:
        if sign > 0:
            with pytest.raises(Implausible, match="turned round"):
                flow(power_w)
            return
        assert flow(-power_w) == power_w


@given(st.lists(st.floats(-TURN_W, TURN_W, exclude_min=True, exclude_max=True)))
def test_an_offset_about_zero_is_no_direction(offsets_w: list[float]) -> None:
    flow = Direction(Scope.BOARD_DC)
    assert [flow(offset_w) for offset_w in offsets_w] == [abs(offset_w) for offset_w in offsets_w]
    assert flow.notes == ()


@pytest.mark.parametrize("power_w", [math.nan, math.inf, -math.inf, 1e9, -1e9])
def test_no_direction_makes_a_power_of_what_is_none(power_w: float) -> None:
    with pytest.raises(Implausible):
        Direction(Scope.WALL_AC)(power_w)


@given(st.floats(), st.floats())
def test_voltage_and_current_give_a_power_with_the_sign_of_the_current(volts: float, amps: float) -> None:
    if 0 <= volts <= MAX_VOLTS and abs(amps) <= MAX_AMPS:
        assert electrical_power(volts, amps) == volts * amps
    else:
        with pytest.raises(Implausible, match="cannot be"):
            electrical_power(volts, amps)


@pytest.mark.parametrize(
    "raw", [2**32 - 1, (2**32 - 1) * 1000, 2**31 - 1, -(2**31), 2**64 - 1, 2**63 - 1, -(2**63), (2**64 - 1) * 1000]
)
def test_a_register_without_a_value_is_known(raw: int) -> None:
    assert without_value(raw)


@pytest.mark.parametrize("raw", [0, 1, -1, 2**16 - 1, 6_000_000, 2**32, 2**32 - 2])
def test_other_numbers_are_values(raw: int) -> None:
    assert not without_value(raw)


@pytest.mark.parametrize(
    ("driver", "raw", "says"),
    [
        ("power_meter", 4_294_967_295_000, "stands for no value"),
        ("amdgpu", 2**31 - 1, "stands for no value"),
        ("amdgpu", -5_000_000, "below zero"),
        ("amdgpu", 4_294_967_000_000, "more than gpu can draw"),
        ("nouveau", 10**31, "more than gpu can draw"),
    ],
)
def test_a_chip_without_a_value_is_refused_when_it_is_opened_and_when_it_happens_later(
    tmp_path: Path, driver: str, raw: int, says: str
) -> None:
    folder = chip(tmp_path, 1, driver, power1_average=raw)
    source = HwmonSource(tmp_path, driver, "power1", Scope.GPU, 100)
    with pytest.raises(ProbeError, match=says):
        source.open()
    (folder / "power1_average").write_text("7000000\n")
    source.open()
    assert source.read()[0].power_w == 7.0
    (folder / "power1_average").write_text(f"{raw}\n")
    with pytest.raises(SourceLost, match=says):
        source.read()
    source.close()


def test_a_meter_the_other_way_round_gives_its_magnitude_and_says_so(tmp_path: Path) -> None:
    folder = chip(tmp_path, 1, "powerz", in0_input=5200, curr1_input=-600)
    source = HwmonSource(tmp_path, "powerz", "in0*curr1", Scope.BOARD_DC, 100)
    source.open()
    assert source.read()[0].power_w == pytest.approx(3.12)
    assert dict(source.describe().notes)["direction"]
    (folder / "curr1_input").write_text("600\n")
    with pytest.raises(SourceLost, match="turned round"):
        source.read()
    source.close()
    source.open()
    assert source.read()[0].power_w == pytest.approx(3.12)
    assert source.describe().notes == ()
    (folder / "in0_input").write_text("-5200\n")
    with pytest.raises(SourceLost, match="cannot be"):
        source.read()
    source.close()


def test_a_current_monitor_is_read_by_its_power_whichever_way_it_flows(tmp_path: Path) -> None:
    for number, raw in enumerate((-8_000_000, 8_000_000)):
        root = tmp_path / str(number)
        chip(root, 1, "ina219", power1_input=raw, in0_input=1, in1_input=5000, curr1_input=raw // 5000)
        source = HwmonSource(root, "ina219", "power1", Scope.BOARD_DC)
        source.open()
        assert source.read()[0].power_w == 8.0
        source.close()


def test_a_second_reader_gets_what_the_windows_get(tmp_path: Path) -> None:
    folder = chip(tmp_path, 1, "powerz", in0_input=5200, curr1_input=-600)
    glances, missing = open_glances(["hwmon:powerz"], tmp_path)
    assert missing == []
    assert glances[0].power_w() == pytest.approx(3.12)
    (folder / "curr1_input").write_text("-4294967295\n")
    with pytest.raises(ProbeError, match="stands for no value"):
        glances[0].power_w()
    glances[0].close()
