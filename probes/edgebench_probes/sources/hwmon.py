"""Any power the kernel's hwmon and power_supply classes offer (Documentation/hwmon/sysfs-interface.rst)."""

from __future__ import annotations

import os
import re
from itertools import pairwise
from pathlib import Path

from edgebench_probes.base import ProbeError, Scope, WindowInvalid
from edgebench_probes.counter import Counter
from edgebench_probes.sources.rails import Measuring, Rail, RailSource, number, text

# What the joules of a chip cover, where its driver's document says so.
SCOPES = {
    "powerz": Scope.BOARD_DC,  # ChargerLAB POWER-Z meters, in the USB supply
    "amdgpu": Scope.GPU,
    "nouveau": Scope.GPU,
    "xe": Scope.GPU,
    "i915": Scope.GPU,
    "power_meter": Scope.WALL_AC,  # ACPI 4 power meter: the input of the machine
    "zenpower": Scope.PACKAGE,
}
PAIRS = {"powerz": ("in0", "curr1")}  # VBUS; elsewhere inN goes with currN
OWN = ("ina3221", "ina3221x")  # has a probe of its own, which knows the rails
RATE_HZ = {"powerz": 50.0}  # the driver asks the meter at each read
DEFAULT_RATE_HZ = 10.0  # most chips convert about this often; more would only repeat values


class HwmonSource(RailSource):
    """One channel of a chip, such as `powerz/in0*curr1` or `amdgpu/power1`; found by the chip's name anew each time."""

    def __init__(self, sysfs: Path, chip: str, channel: str, scope: Scope, rate_hz: float | None = None) -> None:
        super().__init__("hwmon", scope)
        self._sysfs, self._chip, self._channel, self._rate_hz = sysfs, chip, channel, rate_hz

    def locate(self) -> tuple[list[Rail], Measuring]:
        """Find the channel; raises ProbeError."""
        rail = channels(self._sysfs).get((self._chip, self._channel))
        if rail is None:
            raise ProbeError(f"hwmon has no {self._chip}/{self._channel}", "plug it in, or load its driver")
        rate_hz = self._rate_hz or RATE_HZ.get(self._chip, DEFAULT_RATE_HZ)
        interval_ms = number(rail.files[0].parent / "update_interval") or 0.0
        # power1_average_interval (ms) is the averaging of ACPI meters
        averaged_ms = number(rail.files[0].parent / "power1_average_interval") or 0.0
        return [rail], Measuring(max(1 / rate_hz, interval_ms / 1e3), averaged_ms / 1e3)


class SupplySource(RailSource):
    """A battery or charger of /sys/class/power_supply; its voltage and current are in uV and uA."""

    def __init__(self, sysfs: Path, name: str, rate_hz: float | None = None, scope: Scope = Scope.BOARD_DC) -> None:
        super().__init__("power_supply", scope)
        self._sysfs, self._supply, self._rate_hz = sysfs, name, rate_hz

    def locate(self) -> tuple[list[Rail], Measuring]:
        """Find the supply; raises ProbeError, also for a battery at rest while the charger feeds the machine."""
        folder = self._sysfs / "class/power_supply" / self._supply
        if text(folder / "type") == "Battery" and text(folder / "status") not in ("Discharging", ""):
            raise ProbeError(
                f"the battery {self._supply} does not feed the machine, so its power is not the machine's",
                "unplug the charger",
            )
        rail = supplies(self._sysfs).get(self._supply)
        if rail is None:
            raise ProbeError(f"{folder} tells no power", "use another probe")
        return [rail], Measuring(1 / (self._rate_hz or 1.0))


def channels(sysfs: Path) -> dict[tuple[str, str], Rail]:
    """Every power channel: (chip, channel) to its rail. Two chips of one name are `name` and `name@DEVICE`."""
    found: dict[tuple[str, str], Rail] = {}
    for folder in sorted((sysfs / "class/hwmon").glob("hwmon*"), key=_device):
        chip = text(folder / "name")
        if not chip or chip in OWN:
            continue
        if any(known == chip for known, _ in found):
            chip = f"{chip}@{_device(folder)}"
        files = {file.name for file in folder.iterdir()} if folder.is_dir() else set()
        for name in sorted(files):
            power = re.fullmatch(r"(power\d+)_(input|average)", name)
            volts = re.fullmatch(r"in(\d+)_input", name)
            if power and not (power[2] == "average" and f"{power[1]}_input" in files):
                found[chip, power[1]] = Rail(f"{chip}/{power[1]}", (folder / name,), 1e-6)
            elif volts:
                pair = PAIRS.get(chip, (f"in{volts[1]}", f"curr{volts[1]}"))
                if pair[0] == f"in{volts[1]}" and f"{pair[1]}_input" in files:
                    channel = "*".join(pair)
                    paths = (folder / f"{pair[0]}_input", folder / f"{pair[1]}_input")
                    found[chip, channel] = Rail(f"{chip}/{channel}", paths, 1e-6)
    return found


def supplies(sysfs: Path) -> dict[str, Rail]:
    """Every power supply that tells its power; UCSI ports state what was negotiated, not what flows."""
    found: dict[str, Rail] = {}
    for folder in sorted((sysfs / "class/power_supply").glob("*")):
        if folder.name.startswith("ucsi-source-psy"):
            continue
        if (folder / "power_now").exists():
            found[folder.name] = Rail(folder.name, (folder / "power_now",), 1e-6)
        elif (folder / "voltage_now").exists() and (folder / "current_now").exists():
            found[folder.name] = Rail(folder.name, (folder / "voltage_now", folder / "current_now"), 1e-12)
    return found


def _device(folder: Path) -> str:
    """A name that outlives renumbering: that of the device behind the chip."""
    return (folder / "device").resolve().name if (folder / "device").exists() else folder.name


class EnergyCounter(Counter):
    """A hwmon `energyN_input`, in uJ: the driver extends it to 64 bits, so it does not wrap in practice."""

    joules = 1e-6

    def __init__(self, file: Path) -> None:
        self.name = f"{text(file.parent / 'name')}/{file.name.removesuffix('_input')}"
        self._file = file
        self._fd = -1

    def open(self) -> None:
        """Open the counter; raises ProbeError."""
        try:
            self._fd = os.open(self._file, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise ProbeError(
                f"{self._file} cannot be opened: {error.strerror}", f"run as root, or `sudo chmod o+r {self._file}`"
            ) from None

    def close(self) -> None:
        """Close it."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def read(self) -> int:
        """Present reading in uJ; raises WindowInvalid."""
        try:
            return int(os.pread(self._fd, 32, 0))
        except (OSError, ValueError) as error:
            raise WindowInvalid(f"{self.name}: the counter could not be read: {error}") from None

    def learn(self) -> None:
        """Take the smallest step seen as the LSB."""
        values = sorted(set(self.sample(8)))
        self.step = min((b - a for a, b in pairwise(values)), default=1)


def energies(sysfs: Path) -> dict[tuple[str, str], Path]:
    """Every hwmon energy counter: (chip, channel) to its file."""
    found: dict[tuple[str, str], Path] = {}
    for folder in sorted((sysfs / "class/hwmon").glob("hwmon*"), key=_device):
        for file in sorted(folder.glob("energy*_input")):
            found[text(folder / "name"), file.name.removesuffix("_input")] = file
    return found
