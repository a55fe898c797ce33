"""Generic hwmon and power supplies, against a live tree."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.simulators.board import Simulator, board
from tests.simulators.powercap import unavailable
from tests.simulators.sysfs import chip

from edgebench_probes.base import ProbeError, Scope
from edgebench_probes.plausible import MOST_W
from edgebench_probes.sources.hwmon import EnergyCounter, HwmonSource, SupplySource, channels, energies, supplies
from edgebench_probes.summed import CounterProbe

pytestmark = [pytest.mark.quiet, pytest.mark.skipif(unavailable() is not None, reason=unavailable() or "")]


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    kinds = "orin-nx,powerz,amdgpu,ina219,energy,battery"
    with board(tmp_path_factory.mktemp("board"), kinds, 6.0) as simulator:
        yield simulator


def test_every_channel_once_and_none_that_has_its_own_probe(tree: Simulator) -> None:
    assert set(channels(tree.root)) == {("powerz", "in0*curr1"), ("amdgpu", "power1"), ("ina219", "power1")}
    assert set(energies(tree.root)) == {("amd_energy", "energy1")}
    assert set(supplies(tree.root)) == {"BAT0"}


@pytest.mark.parametrize(("chip", "channel"), [("powerz", "in0*curr1"), ("amdgpu", "power1"), ("ina219", "power1")])
def test_power_in_watts(tree: Simulator, chip: str, channel: str) -> None:
    source = HwmonSource(tree.root, chip, channel, Scope.BOARD_DC)
    source.open()
    assert source.read()[0].power_w == pytest.approx(6.0, rel=2e-3)
    assert source.describe().info.resolution == pytest.approx(0.005 if chip == "powerz" else 1e-6, rel=0.01)
    source.close()


def test_a_battery_counts_only_while_it_feeds_the_machine(tree: Simulator, tmp_path: Path) -> None:
    source = SupplySource(tree.root, "BAT0")
    source.open()
    assert source.read()[0].power_w == pytest.approx(6.0, rel=2e-3)
    source.close()
    folder = tmp_path / "class/power_supply/BAT0"
    folder.mkdir(parents=True)
    for name, value in {"type": "Battery", "status": "Charging", "power_now": "15000000"}.items():
        (folder / name).write_text(value)
    with pytest.raises(ProbeError, match="does not feed the machine"):
        SupplySource(tmp_path, "BAT0").open()


def test_an_energy_counter_is_a_counter(tree: Simulator) -> None:
    (file,) = energies(tree.root).values()
    with CounterProbe("hwmon", "hwmon", Scope.PACKAGE, [EnergyCounter(file)]) as probe:
        start = probe.mark()
        time.sleep(0.2)
        window = probe.energy(start, probe.mark())
    assert window.power_w == pytest.approx(6.0, rel=0.02)


NUMBERS = st.integers(-(10**40), 10**40).map(str) | st.text(max_size=40) | st.floats().map(repr)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(volts=NUMBERS, amps=NUMBERS, power=NUMBERS, interval=NUMBERS)
def test_whatever_the_files_say_a_source_gives_a_power_or_its_own_error(
    tmp_path: Path, volts: str, amps: str, power: str, interval: str
) -> None:
    chip(tmp_path, 1, "powerz", in0_input=volts, curr1_input=amps, update_interval=interval)
    chip(tmp_path, 2, "power_meter", power1_average=power, power1_average_interval=interval)
    for name, channel in (("powerz", "in0*curr1"), ("power_meter", "power1")):
        source = HwmonSource(tmp_path, name, channel, Scope.BOARD_DC, 1000)
        try:
            source.open()
        except ProbeError as error:
            assert error.fix  # noqa: PT017 - most files hold no power, but some do
            continue
        assert source.describe().info.refresh_s <= 3600
        assert 0 <= source.read()[0].power_w <= MOST_W[Scope.BOARD_DC]
        source.close()


def test_a_chip_that_is_renumbered_is_found_again(tmp_path: Path) -> None:
    folder = tmp_path / "class/hwmon/hwmon3"
    folder.mkdir(parents=True)
    (folder / "name").write_text("amdgpu\n")
    (folder / "power1_input").write_text("4000000\n")
    source = HwmonSource(tmp_path, "amdgpu", "power1", Scope.GPU, 100)
    source.open()
    assert source.poll() == 4.0
    folder.rename(folder.with_name("hwmon8"))
    source.close()
    source.open()
    assert source.poll() == 4.0
    source.close()
