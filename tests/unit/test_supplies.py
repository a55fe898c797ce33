"""Batteries and chargers: whose they are, whether they feed the machine, and which way their sign goes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from tests.simulators.sysfs import plant

from edgebench_probes.base import ProbeError
from edgebench_probes.catalogue.discover import examine
from edgebench_probes.host import Host
from edgebench_probes.sampling.source import SourceLost
from edgebench_probes.sources.hwmon import SupplySource, supplies

METAL = Host(machine="aarch64", vendor="", virtual=False, container=False, paranoid=2, perfmon=False)
QCOM = {"type": "Battery", "status": "Discharging", "voltage_now": 11_800_000, "current_now": -512_000}
MOUSE = {**QCOM, "scope": "Device", "voltage_now": 3_900_000, "current_now": 12_000}


def battery(root: Path, changes: Mapping[str, object], name: str = "BAT0") -> Path:
    return plant(root, f"class/power_supply/{name}", {**QCOM, **changes})


@pytest.mark.parametrize("changes", [{"power_now": -6_041_000}, {"power_now": 6_041_000}, {}, {"current_now": 512_000}])
def test_a_discharge_has_the_sign_its_driver_gives_it(tmp_path: Path, changes: dict[str, int]) -> None:
    battery(tmp_path, changes, "qcom-battmgr-bat")
    (found,) = examine(["power_supply"], tmp_path, METAL)
    assert found.name == "power_supply:qcom-battmgr-bat"
    assert found.reading_w == pytest.approx(6.0416, abs=1e-3)
    against = min(changes.get("power_now", changes.get("current_now", -1)), 0)  # the sign of what is read
    assert ("direction" in (found.notes or {})) == bool(against)


def test_a_battery_that_stops_feeding_the_machine_ends_the_stretch(tmp_path: Path) -> None:
    folder = battery(tmp_path, {})
    source = SupplySource(tmp_path, "BAT0", 100)
    source.open()
    assert source.read()[0].power_w == pytest.approx(6.0416)
    assert dict(source.describe().notes)["direction"]
    (folder / "current_now").write_text("2147483647\n")
    with pytest.raises(SourceLost, match="stands for no value"):
        source.read()
    (folder / "current_now").write_text("300000\n")
    with pytest.raises(SourceLost, match="turned round"):
        source.read()
    (folder / "status").write_text("Charging\n")
    with pytest.raises(SourceLost, match="does not feed the machine"):
        source.read()
    source.close()


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"status": "Full"}, "does not feed"),
        ({"status": "Not charging"}, "does not feed"),
        ({"status": "Unknown"}, "is not told"),
        ({"status": ""}, "has no status"),
        ({"scope": "Device"}, "peripheral"),
        ({"type": "USB", "online": 0}, "is not online"),
    ],
)
def test_a_supply_that_is_not_the_machine_s_says_why(tmp_path: Path, changes: dict[str, object], says: str) -> None:
    battery(tmp_path, changes)
    with pytest.raises(ProbeError, match=says) as caught:
        SupplySource(tmp_path, "BAT0").open()
    assert caught.value.fix


def test_a_supply_that_feeds_something_else_or_not_alone_is_not_the_machine_s(tmp_path: Path) -> None:
    battery(tmp_path, {})
    charger = {"type": "USB", "online": 1, "status": "", "current_now": 900_000, "voltage_now": 5_000_000}
    battery(tmp_path, charger, "usb")
    battery(tmp_path, MOUSE, "hidpp_battery_0")
    assert {found.name: found.usable for found in examine(["power_supply"], tmp_path, METAL)} == {
        "power_supply:BAT0": True,
        "power_supply:usb": True,
    }
    battery(tmp_path, {}, "BAT1")
    for found in examine(["power_supply:BAT0", "power_supply:BAT1"], tmp_path, METAL):
        assert "is a part of it" in (found.reason or "")
    battery(tmp_path, {"status": "Charging"}, "BAT1")
    (found,) = examine(["power_supply:usb"], tmp_path, METAL)
    assert "charges BAT1" in (found.reason or "")


def test_a_mouse_is_not_the_board(tmp_path: Path) -> None:
    battery(tmp_path, {"current_now": 800_000, "voltage_now": 7_600_000})
    plant(tmp_path, "class/power_supply/hidpp_battery_0", MOUSE)
    assert set(supplies(tmp_path)) == {"BAT0"}
    (found,) = examine(["power_supply"], tmp_path, METAL)
    assert found.name == "power_supply:BAT0"
    assert found.reading_w == pytest.approx(6.08)
    (refused,) = examine(["power_supply:hidpp_battery_0"], tmp_path, METAL)
    assert "peripheral" in (refused.reason or "")
