"""What hwmon channels cover: by their labels and their drivers' documents, never by a number."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.simulators.sysfs import chip, plant

from edgebench_probes.base import ProbeError, Scope
from edgebench_probes.catalogue.discover import Finding, closed_probes, examine, open_probes
from edgebench_probes.host import Host
from edgebench_probes.sources.chips import meaning
from edgebench_probes.sources.hwmon import HwmonSource, channels, energies
from edgebench_probes.summed import CounterProbe

METAL = Host(machine="x86_64", vendor="AuthenticAMD", virtual=False, container=False, paranoid=2, perfmon=False)
APU_METRICS, CARD_METRICS = bytes([128, 0, 2, 2]) + bytes(124), bytes([120, 0, 1, 3]) + bytes(116)


def found(spec: str, root: Path) -> list[Finding]:
    return examine([spec], root, METAL)


@pytest.mark.parametrize(
    ("files", "scope"),
    [
        ({"power1_label": "slowPPT"}, Scope.PACKAGE),
        ({"power1_label": "PPT", "in0_label": "vddgfx", "in1_label": "vddnb"}, Scope.PACKAGE),
        ({"power1_label": "PPT", "device/gpu_metrics": APU_METRICS}, Scope.PACKAGE),
        ({"power1_label": "PPT", "device/gpu_metrics": CARD_METRICS}, Scope.GPU),
        ({"power1_label": "PPT", "fan1_input": 900, "pwm1": 60}, Scope.GPU),
        ({"power1_label": "slowPPT", "freq1_label": "sclk", "freq2_label": "mclk"}, Scope.GPU),
        ({"power1_label": "PPT", "temp2_label": "junction"}, Scope.GPU),
        ({}, Scope.GPU),
    ],
)
def test_an_apu_is_told_from_a_card(tmp_path: Path, files: dict[str, Any], scope: Scope) -> None:
    chip(tmp_path, 3, "amdgpu", **{"power1_average": 28_000_000, **files})
    (probe,) = found("hwmon", tmp_path)
    assert (probe.name, probe.scope, probe.reading_w) == ("hwmon:amdgpu/power1", scope, 28.0)


def test_an_apu_is_no_gpu_whoever_says_so_and_where_nothing_tells_it_is_asked(tmp_path: Path) -> None:
    chip(tmp_path / "apu", 3, "amdgpu", power1_average=28_000_000, power1_label="slowPPT", power2_average=28_000_000)
    (probe,) = found("hwmon:amdgpu?scope=gpu", tmp_path / "apu")  # power2 shows the power of power1
    assert not probe.usable
    assert "includes the CPU" in (probe.reason or "")
    mi300 = bytes([0, 0, 1, 5]) + bytes(300)
    chip(tmp_path / "mi300", 3, "amdgpu", power1_input=90_000_000, **{"device/gpu_metrics": mi300})
    assert "card or an APU" in (found("hwmon", tmp_path / "mi300")[0].reason or "")
    chip(tmp_path / "unclear", 3, "amdgpu", power1_average=28_000_000, power1_label="PPT")
    (probe,) = found("hwmon", tmp_path / "unclear")
    assert "card or an APU" in (probe.reason or "")
    (probe,) = found("hwmon:amdgpu?scope=package", tmp_path / "unclear")
    assert (probe.scope, probe.reading_w) == (Scope.PACKAGE, 28.0)


def test_the_rails_of_zenpower_are_no_two_packages(tmp_path: Path) -> None:
    labels = {"power1_label": "SVI2_P_Core", "power2_label": "SVI2_P_SoC"}
    chip(tmp_path, 2, "zenpower", power1_input=40_000_000, power2_input=9_000_000, **labels, in1_input=1000)
    assert {(probe.name, probe.scope, probe.reading_w) for probe in found("hwmon", tmp_path)} == {
        ("hwmon:zenpower/power1", Scope.CORE, 40.0),
        ("hwmon:zenpower/power2", Scope.UNCORE, 9.0),
    }


CORSAIR = {
    "in0_input": 230_000,
    "in1_input": 12_109,
    "in2_input": 5016,
    "in3_input": 3328,
    "curr1_input": 500,
    "curr2_input": 6500,
    "curr3_input": 2000,
    "curr4_input": 1000,
    "power1_input": 98_000_000,
    "power1_label": "power total",
    "power2_input": 78_000_000,
    "power3_input": 10_000_000,
    "power3_label": "power +5v",
    "power4_input": 3_300_000,
}
PMBUS = {
    "in1_input": 12_000,
    "in1_label": "vin",
    "in2_input": 900,
    "in2_label": "vout1",
    "curr1_input": 20_000,
    "curr1_label": "iout1",
    "curr2_input": 2000,
    "curr2_label": "iin1",
}


def test_voltages_and_currents_of_one_number_are_no_rail(tmp_path: Path) -> None:
    chip(tmp_path, 4, "corsairpsu", **CORSAIR)
    chip(tmp_path, 5, "max16601", **PMBUS)
    chip(tmp_path, 6, "ltc4151", in1_input=12_000, in2_input=3300, curr1_input=500)
    assert {"/".join(key) for key in channels(tmp_path)} == {
        *(f"corsairpsu/power{number}" for number in range(1, 5)),
        "ltc4151/in1*curr1",
    }
    assert found("hwmon:corsairpsu/power3?scope=board_dc", tmp_path)[0].reading_w == 10.0
    assert found("hwmon:ltc4151?scope=board_dc", tmp_path)[0].reading_w == 6.0
    (absent,) = found("hwmon:corsairpsu/in2*curr2?scope=board_dc", tmp_path)
    assert "measures power" in (absent.reason or "")


def test_one_scope_is_not_given_to_several_channels(tmp_path: Path) -> None:
    chip(tmp_path, 4, "corsairpsu", **CORSAIR)
    refused = found("hwmon:corsairpsu?scope=board_dc", tmp_path)
    assert len(refused) == 4
    assert not any(probe.usable for probe in refused)
    assert "corsairpsu/power1 (power total)" in (refused[0].fix or "")


@pytest.mark.parametrize(
    ("first", "second", "names"),
    [
        (("amdgpu", None), ("xe", None), ["hwmon:amdgpu/power1", "hwmon:xe/power1"]),
        (
            ("amdgpu", "0000:03:00.0"),
            ("amdgpu", "0000:43:00.0"),
            ["hwmon:amdgpu@0000:03:00.0/power1", "hwmon:amdgpu@0000:43:00.0/power1"],
        ),
        (("xe", None), ("xe", None), ["hwmon:xe@hwmon1/power1", "hwmon:xe@hwmon2/power1"]),
        (("xe", "card"), ("xe", "card"), ["hwmon:xe@card.hwmon1/power1", "hwmon:xe@card.hwmon2/power1"]),
    ],
)
def test_two_cards_are_two_probes_with_an_address_each(
    tmp_path: Path, first: tuple[str, str | None], second: tuple[str, str | None], names: list[str]
) -> None:
    chip(tmp_path, 1, *first, power1_input=3_000_000)
    chip(tmp_path, 2, *second, power1_input=9_000_000)
    probes, missing = open_probes(["hwmon"], tmp_path, METAL)
    try:
        assert sorted(probe.info.name for probe in probes) == names
        assert missing == []
    finally:
        for probe in probes:
            probe.close()
    for name, power_w in zip(names, (3.0, 9.0), strict=True):
        (one,) = found(name, tmp_path)
        assert (one.name, one.reading_w) == (name, power_w)


def test_counters_of_two_cards_are_two_and_parts_of_a_card_are_no_card(tmp_path: Path) -> None:
    for number, device in ((1, "0000:03:00.0"), (2, "0000:43:00.0")):
        chip(tmp_path, number, "xe", device, energy1_input=number, energy2_input=number, energy2_label="pkg")
    assert set(energies(tmp_path)) == {
        (f"xe@0000:{bus}:00.0", f"energy{channel}") for bus in ("03", "43") for channel in (1, 2)
    }
    folder = tmp_path / "class/hwmon/hwmon1"
    assert meaning("xe", "energy1", folder).scope is Scope.GPU
    assert meaning("xe", "energy2", folder).scope is None
    assert "pkg" in meaning("xe", "energy2", folder).why


def test_the_whole_and_a_part_of_one_card_are_not_both_the_card(tmp_path: Path) -> None:
    chip(tmp_path, 1, "xe", energy1_input=5_000_000, energy2_input=3, energy2_label="pkg", power1_input=9_000_000)
    whole, part = found("hwmon:xe?scope=gpu", tmp_path)
    assert "frozen" in (whole.reason or "")  # a plain file is a counter that does not move
    assert "name one" in (part.fix or "")
    ((_, (card, rest)),) = closed_probes(["hwmon:xe"], tmp_path, METAL)
    assert isinstance(card, CounterProbe)  # the energy of channel 1, not its power as well
    assert isinstance(rest, Finding)
    (power,) = found("hwmon:xe/power1", tmp_path)
    assert power.reading_w == 9.0


def test_other_drivers_as_their_documents_say(tmp_path: Path) -> None:
    meter = chip(tmp_path, 1, "power_meter", power1_average=1, power1_is_battery=1)
    assert meaning("power_meter", "power1", meter).scope is None
    (meter / "power1_is_battery").write_text("0\n")
    assert meaning("power_meter", "power1", meter).scope is Scope.WALL_AC
    amd = chip(tmp_path, 2, "amd_energy", energy1_label="Ecore000", energy2_label="Esocket0")
    assert meaning("amd_energy", "energy1", amd).scope is None
    assert meaning("amd_energy", "energy2", amd).scope is Scope.PACKAGE
    (amd / "energy3_label").write_text("Esocket1\n")
    assert "one socket of 2" in meaning("amd_energy", "energy2", amd).why
    assert meaning("fam15h_power", "power1", amd).scope is Scope.PACKAGE
    assert meaning("nct6775", "power1", amd).scope is None


def test_an_averaging_time_that_is_not_told_is_not_136_years(tmp_path: Path) -> None:
    chip(tmp_path, 1, "power_meter", power1_average=5_000_000, power1_average_interval=2**32 - 1)
    source = HwmonSource(tmp_path, "power_meter", "power1", Scope.WALL_AC)
    source.open()
    assert source.describe().smoothing_s == 0
    assert "averaging" in dict(source.describe().notes)
    source.close()


def test_a_chip_that_was_named_alone_is_missed_when_it_goes(tmp_path: Path) -> None:
    source = HwmonSource(tmp_path, "amdgpu", "power1", Scope.GPU)
    with pytest.raises(ProbeError, match="has no amdgpu/power1"):
        source.open()
    plant(tmp_path, "class/hwmon/hwmon0", {"name": "ina3221", "power1_input": 5})
    assert channels(tmp_path) == {}
