"""INA3221 of the Jetson boards: the right total, by its label, from live files."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from tests.simulators.board import board
from tests.simulators.powercap import unavailable
from tests.simulators.sysfs import plant

from edgebench_probes.base import ProbeError, Scope
from edgebench_probes.catalogue.discover import examine
from edgebench_probes.host import Host
from edgebench_probes.sampling.source import SourceLost
from edgebench_probes.sources.ina3221 import Ina3221Source
from edgebench_probes.sources.jetson import clocks, power_mode

pytestmark = pytest.mark.skipif(unavailable() is not None, reason=unavailable() or "")
STEP_W = 0.008 * 4.984
JETSON = Host("aarch64", "", virtual=False, container=False, paranoid=2, perfmon=False, board="NVIDIA Jetson Orin Nano")


@pytest.mark.parametrize(
    ("kind", "rails", "rate"),
    [
        ("orin-nx", ["VDD_IN"], 50),
        ("xavier-nx-iio", ["VDD_IN"], 50),
        ("agx-orin", ["VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0", "VDDQ_VDD2_1V8AO"], 12.5),
    ],
)
def test_the_total_of_each_board(tmp_path: Path, kind: str, rails: list[str], rate: float) -> None:
    with board(tmp_path / "sys", kind, 9.0) as simulator:
        source = Ina3221Source(simulator.root)
        source.open()
        try:
            info = source.describe().info
            assert info.scope is Scope.MODULE
            assert info.source == "sysfs " + " + ".join(rails)
            assert 1 / info.refresh_s == pytest.approx(rate)
            assert info.resolution == pytest.approx(STEP_W * len(rails) ** 0.5)
            assert info.accuracy == 0.005
            assert "SBOS576" in source.describe().accuracy_source
            assert source.read()[0].power_w == pytest.approx(9.0, abs=STEP_W * len(rails) / 2 + 1e-9)
            simulator.control("power 4")
            assert source.read()[0].power_w == pytest.approx(4.0, abs=STEP_W * len(rails) / 2 + 1e-9)
            for fault, text in (("eio", "Input/output error"), ("vanish", "No such device"), ("garble", "no number")):
                simulator.control(fault)
                with pytest.raises(SourceLost, match=text):
                    source.read()
                simulator.control("ok")
        finally:
            source.close()


def test_a_board_without_the_driver_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(ProbeError, match="there is no INA3221"):
        Ina3221Source(tmp_path).open()
    with board(tmp_path / "sys", "no-driver") as simulator, pytest.raises(ProbeError, match="no driver") as caught:
        Ina3221Source(simulator.root).open()
    assert "modprobe ina3221" in (caught.value.fix or "")


def test_power_mode_and_clocks_are_read_and_nothing_is_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert power_mode() is None
    assert clocks() == {}
    calls = tmp_path / "calls"
    for name, output in {
        "nvpmodel": "NV Power Mode: 15W\n2\n",
        "jetson_clocks": "SOC family:tegra234  Machine:Orin NX\nOnline CPUs: 0-7\n"
        "cpu0: Online=1 Governor=schedutil MinFreq=729600 MaxFreq=1984000 CurrentFreq=1190400 IdleStates: WFI=1\n"
        "GPU MinFreq=306000000 MaxFreq=918000000 CurrentFreq=306000000\n",
    }.items():
        (tmp_path / name).write_text(f'#!/bin/sh\necho "{name} $@" >> {calls}\ncat <<END\n{output}END\n')
        (tmp_path / name).chmod(0o755)
    assert power_mode() == "15W"
    assert set(clocks()) == {"cpu0", "GPU"}
    assert "CurrentFreq=306000000" in clocks()["GPU"]
    assert set(calls.read_text().splitlines()) == {"nvpmodel -q", "jetson_clocks --show"}


# Boards of plain files


def monitor(root: Path, address: str, rails: dict[str, tuple[int, int]], name: str = "ina3221") -> Path:
    """A bound INA3221: label (or `in1` and so on for none) to mV and mA."""
    files: dict[str, object] = {"name": name, "in7_label": "sum of shunt voltages", "in7_input": 1}
    for index, (label, (millivolts, milliamps)) in enumerate(rails.items(), 1):
        files |= {f"in{index}_input": millivolts, f"curr{index}_input": milliamps, f"in{index}_enable": 1}
        files |= {} if label == f"in{index}" else {f"in{index}_label": label}
    plant(root, f"bus/i2c/devices/{address}", {"name": name})
    return plant(root, f"bus/i2c/devices/{address}/hwmon/hwmon{address[-1]}", files)


def refused(root: Path) -> ProbeError:
    with pytest.raises(ProbeError) as caught:
        Ina3221Source(root).open()
    return caught.value


def test_one_label_on_two_chips_is_two_rails(tmp_path: Path) -> None:
    monitor(tmp_path, "1-0040", {"VDD_A": (5000, 1000), "SAME": (5000, 1000), "NC": (0, 0)})
    monitor(tmp_path, "1-0041", {"VDD_B": (5000, 1000), "SAME": (5000, 2000), "ASYNC_5V": (5000, 100)})
    source = Ina3221Source(tmp_path)
    source.open()
    assert source.read()[0].power_w == pytest.approx(25.5)
    assert source.describe().info.source == "sysfs VDD_A + SAME@1-0040 + VDD_B + SAME@1-0041 + ASYNC_5V"
    source.close()


def test_a_converter_at_the_end_of_its_range_tells_no_current(tmp_path: Path) -> None:
    folder = monitor(tmp_path, "1-0040", {"VDD_IN": (5000, 32_752)})
    source = Ina3221Source(tmp_path)
    source.open()
    assert source.poll() == pytest.approx(163.76)
    (folder / "curr1_input").write_text("32760\n")  # 4095 steps of 8 mA
    with pytest.raises(SourceLost, match="the end of the range"):
        source.poll()
    source.close()


def test_a_total_on_two_chips_is_none(tmp_path: Path) -> None:
    for address in ("1-0040", "1-0041"):
        monitor(tmp_path, address, {"VDD_IN": (5000, 1000)})
    assert "2 rails say" in refused(tmp_path).reason


def test_rails_without_names_are_no_missing_driver(tmp_path: Path) -> None:
    monitor(tmp_path, "1-0040", {"in1": (5000, 500), "in2": (5000, 100)})
    error = refused(tmp_path)
    assert "1-0040 names no rail" in error.reason
    assert "modprobe" not in (error.fix or "")
    monitor(tmp_path, "1-0041", {"VDD_SOC": (5000, 100)})
    error = refused(tmp_path)
    assert "1-0040 names no rail" in error.reason
    assert "the sum of the others would be too low" in error.reason
    unbound = plant(tmp_path, "bus/i2c/devices/1-0042", {"name": "ina3221"})
    monitor(tmp_path, "1-0040", {"NC": (0, 0), "VDD_GPU": (5000, 500)})
    assert refused(tmp_path).reason.startswith("the INA3221 1-0042 has no driver")
    (unbound / "name").unlink()
    monitor(tmp_path, "1-0043", {"NC": (0, 0)})  # nothing connected is nothing missing
    assert "sum" not in str(Ina3221Source(tmp_path).locate())
    monitor(tmp_path, "1-0041", {"VDD_IN": (5000, 1200)})
    source = Ina3221Source(tmp_path)  # the module's input is the total, whatever the other chip says
    source.open()
    assert source.poll() == pytest.approx(6.0)
    source.close()


def test_a_part_of_a_thor_is_not_its_module(tmp_path: Path) -> None:
    monitor(tmp_path, "2-0040", {"VDD_GPU": (5000, 4000), "VDD_CPU_SOC_MSS": (5000, 3000)})
    monitor(tmp_path, "2-0044", {}, "ina238")
    plant(tmp_path, "class/hwmon/hwmon9", {"name": "ina238", "power1_input": 61_000_000})
    error = refused(tmp_path)
    assert "some of its rails only" in error.reason
    (whole,) = examine(["hwmon:ina238?scope=board_dc"], tmp_path, JETSON)
    assert whole.reading_w == 61.0
    thor = dataclasses.replace(JETSON, board="NVIDIA Jetson AGX Thor Developer Kit")
    (part,) = examine(["ina3221"], tmp_path / "without", thor)
    assert "some of its rails only" in (part.reason or "")


def test_a_board_without_the_chip_is_not_told_to_load_its_driver(tmp_path: Path) -> None:
    nano = dataclasses.replace(JETSON, board="NVIDIA Jetson Nano 2GB Developer Kit")
    for name in ("ina3221", "jtop"):
        (found,) = examine([name], tmp_path, nano)
        assert found.reason == "NVIDIA Jetson Nano 2GB Developer Kit has no power monitor"
        assert "attach a power meter" in (found.fix or "")
