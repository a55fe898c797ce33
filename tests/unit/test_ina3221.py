"""INA3221 of the Jetson boards: the right total, by its label, from live files."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.simulators.board import board
from tests.simulators.powercap import unavailable

from edgebench_probes.base import ProbeError, Scope
from edgebench_probes.sampling.source import SourceLost
from edgebench_probes.sources.ina3221 import Ina3221Source
from edgebench_probes.sources.jetson import clocks, power_mode

pytestmark = pytest.mark.skipif(unavailable() is not None, reason=unavailable() or "")
STEP_W = 0.008 * 4.984


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
