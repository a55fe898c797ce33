"""Any power the kernel's hwmon and power_supply classes offer (Documentation/hwmon/sysfs-interface.rst).

What a channel covers stands in `chips.py`.
"""

from __future__ import annotations

import re
from collections import Counter as Tally
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from edgebench_probes.base import ProbeError, Scope
from edgebench_probes.sampling.source import SourceLost
from edgebench_probes.sources.chips import DIRECTED, OWN, PAIRS, REPEATED, Meaning, meaning
from edgebench_probes.sources.rails import MICRO, MILLI, Measuring, Rail, RailSource, interval_s, text
from edgebench_probes.sources.sysfs import FileCounter

Key = tuple[str, str]  # chip, as `amdgpu` or `amdgpu@0000:03:00.0`, and channel
RATE_HZ = {"powerz": 50.0}  # the driver asks the meter at each read
DEFAULT_RATE_HZ = 10.0  # most chips convert about this often; more would only repeat values


@dataclass(frozen=True, slots=True)
class Channel:
    """One power channel of one chip: the rail, the driver's name and folder, and what it covers."""

    rail: Rail
    driver: str
    folder: Path
    meaning: Meaning


class HwmonSource(RailSource):
    """One channel of a chip, such as `powerz/in0*curr1` or `amdgpu/power1`; found by the chip's name anew each time."""

    def __init__(self, sysfs: Path, chip: str, channel: str, scope: Scope, rate_hz: float | None = None) -> None:
        super().__init__(f"hwmon:{chip}/{channel}", scope)
        self._sysfs, self._chip, self._channel, self._rate_hz = sysfs, chip, channel, rate_hz

    def locate(self) -> tuple[list[Rail], Measuring]:
        """Find the channel; raises ProbeError."""
        found = channels(self._sysfs).get((self._chip, self._channel))
        if found is None:
            raise ProbeError(f"hwmon has no {self._chip}/{self._channel}", "plug it in, or load its driver")
        rate_hz = self._rate_hz or RATE_HZ.get(found.driver, DEFAULT_RATE_HZ)
        averaging = found.folder / f"{self._channel}_average_interval"  # of ACPI meters
        averaged_s = interval_s(averaging)
        notes: list[tuple[str, str]] = []
        if averaged_s is None and averaging.exists():
            notes.append(("averaging", "the meter does not tell over which time it averages"))
        if found.meaning.why:
            notes.append(("covers", found.meaning.why))
        period_s = max(1 / rate_hz, interval_s(found.folder / "update_interval") or 0.0)
        directed = found.driver in DIRECTED
        return [found.rail], Measuring(period_s, averaged_s or 0.0, directed=directed, notes=tuple(notes))


class SupplySource(RailSource):
    """A battery or charger of /sys/class/power_supply; its voltage and current are in uV and uA.

    A battery's sign is its driver's choice (Documentation/ABI/testing/sysfs-class-power wants a discharge negative):
    `status` says whether it feeds the machine, and is looked at with each value.
    """

    def __init__(self, sysfs: Path, name: str, rate_hz: float | None = None, scope: Scope = Scope.BOARD_DC) -> None:
        super().__init__(f"power_supply:{name}", scope)
        self._sysfs, self._supply, self._rate_hz = sysfs, name, rate_hz

    def locate(self) -> tuple[list[Rail], Measuring]:
        """Find the supply; raises ProbeError, also for a battery at rest while the charger feeds the machine."""
        folder = self._sysfs / "class/power_supply" / self._supply
        if peripheral(folder):
            raise ProbeError(f"{self._supply} is the battery of a peripheral, not the machine's", "use another probe")
        rail = supplies(self._sysfs).get(self._supply)
        if rail is None:
            raise ProbeError(f"{folder} tells no power", "use another probe")
        self._check()
        return [rail], Measuring(1 / (self._rate_hz or 1.0), directed=True)

    def poll(self) -> float:
        """Power now; raises SourceLost, also once the battery does not feed the machine any more."""
        try:
            self._check()
        except ProbeError as error:
            raise SourceLost(error.reason, error.fix) from None
        return super().poll()

    def _check(self) -> None:
        """Raise ProbeError unless this supply, and no other beside it, feeds the machine and nothing else."""
        folder = self._sysfs / "class/power_supply" / self._supply
        batteries = {
            other.name: text(other / "status")
            for other in folder.parent.glob("*")
            if other.name != self._supply and text(other / "type") == "Battery" and not peripheral(other)
        }
        if text(folder / "type") != "Battery":
            charging = sorted(name for name, status in batteries.items() if status == "Charging")
            if charging:
                raise ProbeError(
                    f"the supply {self._supply} charges {', '.join(charging)}, too", "wait until it is full"
                )
            if text(folder / "online") == "0":
                raise ProbeError(
                    f"the supply {self._supply} is not online, so it does not feed the machine", "plug it in"
                )
            return
        status = text(folder / "status")
        if status in ("", "Unknown"):
            said = f"its status is {status!r}" if status else "it has no status"
            raise ProbeError(f"whether the battery {self._supply} feeds the machine is not told: {said}", "use a meter")
        if status != "Discharging":
            raise ProbeError(
                f"the battery {self._supply} does not feed the machine (status {status!r}), so its power is not the"
                " machine's",
                "unplug the charger",
            )
        others = sorted(name for name, status in batteries.items() if status == "Discharging")
        if others:
            raise ProbeError(
                f"the battery {self._supply} feeds the machine together with {', '.join(others)}, and is a part of it",
                "take the others out, or use a meter",
            )


def chips(sysfs: Path) -> list[tuple[str, Path]]:
    """Every hwmon chip that has no probe of its own, with its folder.

    It is known by its driver's name; several of one name are `name@DEVICE`, which outlives renumbering.
    """
    folders = [folder for folder in sorted((sysfs / "class/hwmon").glob("hwmon*"), key=_device) if folder.is_dir()]
    named = [(name, folder) for folder in folders if (name := text(folder / "name")) and name not in OWN]
    names = Tally(name for name, _ in named)
    devices = Tally((name, _device(folder)) for name, folder in named)
    found = []
    for name, folder in named:
        device = _device(folder)
        where = device if devices[name, device] == 1 else f"{device}.{folder.name}"  # two chips of one device
        found.append((name if names[name] == 1 else f"{name}@{where}", folder))
    return found


def channels(sysfs: Path) -> dict[Key, Channel]:
    """Every power channel, by (chip, channel)."""
    found: dict[Key, Channel] = {}
    for chip, folder in chips(sysfs):
        driver, files = text(folder / "name"), {file.name for file in folder.iterdir()}
        parts: dict[str, tuple[str, ...]] = {}
        for name in sorted(files):
            power = re.fullmatch(r"(power\d+)_(input|average)", name)
            if power and not (power[2] == "average" and f"{power[1]}_input" in files):
                parts[power[1]] = (name,)
        for pair in PAIRS.get(driver, ()):
            names = tuple(f"{part}_input" for part in pair)
            if files.issuperset(names):
                parts["*".join(pair)] = names
        for channel, names in parts.items():
            if (driver, channel) not in REPEATED:
                label = text(folder / f"{channel}_label")
                shown = f"{chip}/{channel}" + (f" ({label})" if label else "")
                rail = Rail(shown, tuple(folder / name for name in names), MILLI if len(names) > 1 else (1e-6,))
                found[chip, channel] = Channel(rail, driver, folder, meaning(driver, channel, folder))
    return found


def supplies(sysfs: Path) -> dict[str, Rail]:
    """Every power supply that tells its power, but for peripherals and UCSI ports, which state what was negotiated."""
    found: dict[str, Rail] = {}
    for folder in sorted((sysfs / "class/power_supply").glob("*")):
        if folder.name.startswith("ucsi-source-psy") or peripheral(folder):
            continue
        if (folder / "power_now").exists():
            found[folder.name] = Rail(folder.name, (folder / "power_now",))
        elif (folder / "voltage_now").exists() and (folder / "current_now").exists():
            found[folder.name] = Rail(folder.name, (folder / "voltage_now", folder / "current_now"), MICRO)
    return found


def peripheral(folder: Path) -> bool:
    """Whether a supply is that of a mouse, a keyboard or the like (POWER_SUPPLY_SCOPE_DEVICE, power_supply.h)."""
    return text(folder / "scope") == "Device"


def _device(folder: Path) -> str:
    """A name that outlives renumbering: that of the device behind the chip."""
    return (folder / "device").resolve().name if (folder / "device").exists() else folder.name


class EnergyCounter(FileCounter):
    """A hwmon `energyN_input`, in uJ: the driver extends it to 64 bits, so it does not wrap in practice."""

    def __init__(self, file: Path) -> None:
        super().__init__(f"{text(file.parent / 'name')}/{file.name.removesuffix('_input')}", file)

    def learn(self) -> None:
        """Take the smallest step seen as the LSB."""
        values = sorted(set(self.sample(8)))
        self.step = min((b - a for a, b in pairwise(values)), default=1)


def energies(sysfs: Path) -> dict[Key, Path]:
    """Every hwmon energy counter: (chip, channel) to its file."""
    return {
        (chip, file.name.removesuffix("_input")): file
        for chip, folder in chips(sysfs)
        for file in sorted(folder.glob("energy*_input"))
    }
