"""INA3221 power monitors of NVIDIA Jetson boards, through hwmon (JetPack 5 and later) or iio (JetPack 4).

Kernel: Documentation/hwmon/ina3221.rst. Rails are found by their labels, never by a number.
"""

from __future__ import annotations

import re
from collections import Counter as Tally
from dataclasses import replace
from pathlib import Path

from edgebench_probes.base import ProbeError, Scope
from edgebench_probes.sources.rails import MILLI, Measuring, Rail, RailSource, interval_s, number, text

# Rails that are the input of the whole module; the others lie behind them. (Jetson Nano and TX1: POM_5V_IN.)
TOTALS = ("VDD_IN", "POM_5V_IN")
SHUNT_LSB_UV = 40.0  # data sheet SBOS576: shunt voltage in steps of 40 uV, bus voltage of 8 mV
FULL_SCALE_LSB = 4095  # of 12 bits and a sign: 163.8 mV
LSB_MA = 8.0  # 40 uV over 5 mOhm, as on the NX and Nano modules: where the board does not tell its shunt
ACCURACY = 0.005
ACCURACY_SOURCE = (
    "INA3221 data sheet SBOS576: gain error 0.25 % of shunt and of bus voltage, added; the shunt's own tolerance is not"
    " published"
)
RAIL_S = 0.02  # one read may wait for a conversion of a cycle of 6.6 ms: 50 Hz for one rail, less for a sum
NOT_CONNECTED = re.compile(r"(?<![A-Za-z])NC(?![A-Za-z])")
MODPROBE = "run `sudo modprobe ina3221` on the board"


class Ina3221Source(RailSource):
    """The module's total: its input rail, or where the board has none the sum of all its rails."""

    def __init__(self, sysfs: Path, rate_hz: float | None = None) -> None:
        super().__init__("ina3221", Scope.MODULE)
        self._sysfs, self._rate_hz = sysfs, rate_hz

    def locate(self) -> tuple[list[Rail], Measuring]:
        """Find the rails; raises ProbeError."""
        chips = monitors(self._sysfs)
        found = [(chip, _hwmon(folder) or _iio(folder)) for chip, folder in chips]
        rails = _named(found)
        if not rails:
            raise self._none(chips)
        totals = [rail for _, own in found for rail in own if rail.label in TOTALS]
        if len(totals) > 1:
            raise ProbeError(
                f"{len(totals)} rails say that they are the input of the module",
                "attach a power meter before the board",
            )
        if not totals and (whole := _vin(self._sysfs)) is not None:
            raise partial_sum(whole)
        if not totals and (mute := [(chip, folder) for chip, folder in chips if not _labelled(folder)]):
            error = self._none(mute)
            raise ProbeError(f"{error.reason}, and the sum of the others would be too low", error.fix)
        chosen = totals or rails
        cycle_s = max(interval_s(rail.files[0].parent / "update_interval") or 0.0 for rail in chosen)
        period_s = max(1 / self._rate_hz if self._rate_hz else RAIL_S * len(chosen), cycle_s)
        return chosen, Measuring(period_s, cycle_s, ACCURACY, ACCURACY_SOURCE)

    def _none(self, chips: list[tuple[str, Path]]) -> ProbeError:
        """Why no rail was found: no chip, one without a driver, or one whose rails have no names."""
        if not chips:
            return ProbeError(
                f"there is no INA3221 under {self._sysfs}/bus/i2c/devices",
                f"{MODPROBE} if it has the chip, else attach a power meter",
            )
        bound = [chip for chip, folder in chips if any(_inputs(folder))]
        if bound:
            return ProbeError(
                f"the INA3221 {', '.join(bound)} names no rail, so which of them is the module's is not known",
                "give the rails labels in the device tree (ti,ina3221.yaml), or attach a power meter",
            )
        return ProbeError(f"the INA3221 {', '.join(chip for chip, _ in chips)} has no driver", MODPROBE)


def monitors(sysfs: Path) -> list[tuple[str, Path]]:
    """Every chip and folder of its driver's devices, in the order of their bus addresses."""
    return [
        (chip.name, folder)
        for chip in _chips(sysfs, ("ina3221", "ina3221x"))
        for folder in sorted([*chip.glob("hwmon/hwmon*"), *chip.glob("iio:device*")]) or [chip]
    ]


def _chips(sysfs: Path, names: tuple[str, ...]) -> list[Path]:
    try:
        return sorted(chip for chip in (sysfs / "bus/i2c/devices").iterdir() if text(chip / "name").lower() in names)
    except OSError:
        return []


def _vin(sysfs: Path) -> str | None:
    """The monitor of a carrier board's whole input: a Thor's INA238 (github.com/rbonghi/jetson_stats, pull 900)."""
    return next((f"the INA238 {chip.name} (VIN)" for chip in _chips(sysfs, ("ina238",))), None)


def partial_sum(whole: str = "an INA238 (VIN)") -> ProbeError:
    """Why a Jetson Thor's INA3221 is not its module."""
    return ProbeError(
        f"the INA3221 of this board sees some of its rails only, and the whole input is read by {whole}",
        "use `--probe 'hwmon:ina238?scope=board_dc'` or `--probe jtop`",
    )


def _named(found: list[tuple[str, list[Rail]]]) -> list[Rail]:
    """All rails; two chips may use one label, for two rails."""
    times = Tally(rail.label for _, rails in found for rail in rails)
    return [
        rail if times[rail.label] == 1 else replace(rail, label=f"{rail.label}@{chip}")
        for chip, rails in found
        for rail in rails
    ]


def _inputs(folder: Path) -> list[Path]:
    return [*folder.glob("in[1-3]_input"), *folder.glob("in_voltage*_input")]


def _labelled(folder: Path) -> bool:
    return any(any(folder.glob(pattern)) for pattern in ("in[1-3]_label", "rail_name_*"))


def _hwmon(folder: Path) -> list[Rail]:
    rails = []
    for file in sorted(folder.glob("in[1-3]_label")):  # in7 is the sum of the shunts, and no voltage
        label, index = text(file), re.sub(r"\D", "", file.name)
        if not label or NOT_CONNECTED.search(label) or text(folder / f"in{index}_enable") == "0":
            continue
        shunt = number(folder / f"shunt{index}_resistor")
        lsb_ma = SHUNT_LSB_UV / shunt * 1e3 if shunt else LSB_MA
        files = (folder / f"in{index}_input", folder / f"curr{index}_input")
        rails.append(Rail(label, files, MILLI, lsb_ma, lsb_ma * FULL_SCALE_LSB))
    return rails


def _iio(folder: Path) -> list[Rail]:
    rails = []
    for file in sorted(folder.glob("rail_name_*")):
        label, index = text(file), file.name.rpartition("_")[2]
        if label and not NOT_CONNECTED.search(label):
            files = (folder / f"in_voltage{index}_input", folder / f"in_current{index}_input")
            rails.append(Rail(label, files, MILLI, LSB_MA))
    return rails
