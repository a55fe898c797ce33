"""INA3221 power monitors of NVIDIA Jetson boards, through hwmon (JetPack 5 and later) or iio (JetPack 4).

Kernel: Documentation/hwmon/ina3221.rst. Rails are found by their labels, never by a number.
"""

from __future__ import annotations

import re
from pathlib import Path

from edgebench_probes.base import ProbeError, Scope
from edgebench_probes.sources.rails import Measuring, Rail, RailSource, number, text

# Rails that are the input of the whole module; the others lie behind them. (Jetson Nano and TX1: POM_5V_IN.)
TOTALS = ("VDD_IN", "POM_5V_IN")
SHUNT_LSB_UV = 40.0  # data sheet SBOS576: shunt voltage in steps of 40 uV, bus voltage of 8 mV
LSB_MA = 8.0  # 40 uV over 5 mOhm, as on the NX and Nano modules: where the board does not tell its shunt
ACCURACY = 0.005
ACCURACY_SOURCE = (
    "INA3221 data sheet SBOS576: gain error 0.25 % of shunt and of bus voltage, added; the shunt's own tolerance is not"
    " published"
)
RAIL_S = 0.02  # one read may wait for a conversion of a cycle of 6.6 ms: 50 Hz for one rail, less for a sum
MODPROBE = "run `sudo modprobe ina3221` on the board"


class Ina3221Source(RailSource):
    """The module's total: its input rail, or where the board has none the sum of all its rails."""

    def __init__(self, sysfs: Path, rate_hz: float | None = None) -> None:
        super().__init__("ina3221", Scope.MODULE)
        self._sysfs, self._rate_hz = sysfs, rate_hz

    def locate(self) -> tuple[list[Rail], Measuring]:
        """Find the rails; raises ProbeError."""
        folders = monitors(self._sysfs)
        rails = {rail.label: rail for folder in folders for rail in _hwmon(folder) or _iio(folder)}
        if not rails:
            raise ProbeError(
                f"the INA3221 under {self._sysfs} has no driver"
                if folders
                else f"there is no INA3221 under {self._sysfs}/bus/i2c/devices",
                MODPROBE,
            )
        total = next((rails[label] for label in TOTALS if label in rails), None)
        chosen = [total] if total else list(rails.values())
        intervals_ms = [number(rail.files[0].parent / "update_interval") for rail in chosen]
        cycle_s = max((ms for ms in intervals_ms if ms), default=0.0) / 1e3
        period_s = max(1 / self._rate_hz if self._rate_hz else RAIL_S * len(chosen), cycle_s)
        return chosen, Measuring(period_s, cycle_s, ACCURACY, ACCURACY_SOURCE)


def monitors(sysfs: Path) -> list[Path]:
    """Folders of the driver's devices, in the order of their bus addresses."""
    devices = sysfs / "bus/i2c/devices"
    try:
        chips = sorted(entry for entry in devices.iterdir() if text(entry / "name") in ("ina3221", "ina3221x"))
    except OSError:
        return []
    return [
        folder for chip in chips for folder in sorted([*chip.glob("hwmon/hwmon*"), *chip.glob("iio:device*")]) or [chip]
    ]


def _hwmon(folder: Path) -> list[Rail]:
    rails = []
    for file in sorted(folder.glob("in[1-3]_label")):  # in7 is the sum of the shunts, and no voltage
        label, index = text(file), re.sub(r"\D", "", file.name)
        if not label or "NC" in label or text(folder / f"in{index}_enable") == "0":
            continue
        shunt = number(folder / f"shunt{index}_resistor")
        lsb_ma = SHUNT_LSB_UV / shunt * 1e3 if shunt else LSB_MA
        files = (folder / f"in{index}_input", folder / f"curr{index}_input")
        rails.append(Rail(label, files, 1e-6, lsb_ma))
    return rails


def _iio(folder: Path) -> list[Rail]:
    rails = []
    for file in sorted(folder.glob("rail_name_*")):
        label, index = text(file), file.name.rpartition("_")[2]
        if label and "NC" not in label:
            files = (folder / f"in_voltage{index}_input", folder / f"in_current{index}_input")
            rails.append(Rail(label, files, 1e-6, LSB_MA))
    return rails
