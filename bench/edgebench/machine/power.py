"""Readers of power, a graphics unit's load, and its memory."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edgebench.machine.readers import Absent, Files, Reader, SeriesInfo, Values, Why
from edgebench_probes.base import ProbeError
from edgebench_probes.glance import Glance, open_glances
from edgebench_probes.labels import labels_of
from edgebench_probes.sources import nvml

# Names of a Jetson's integrated graphics unit under class/devfreq: TX2, Xavier, Orin, Nano, Thor.
_JETSON_UNITS = ("gp10b", "gv11b", "ga10b", "gm20b", "gb10b", "gpu", "nvgpu")


class Power(Reader):
    """Power of one scope from a probe that is glanced at; `label` tells it from others of the same scope."""

    def __init__(self, glance: Glance, label: str) -> None:
        info = glance.info
        how = "mean since the last sample" if info.kind == "counter" else "at the moment of the sample"
        self.infos = (SeriesInfo("power_w", "W", f"{info.name}, {info.source}: {how}", label),)
        self._glance = glance

    def read(self, now_s: float) -> Values:
        """Watts; none for a window that the source declares invalid."""
        del now_s
        with contextlib.suppress(ProbeError):
            return (self._glance.power_w(),)
        return (None,)


def power(specs: tuple[str, ...], sysfs: Path) -> tuple[list[Reader], dict[str, Why]]:
    """Return a reader a probe and scope, and the reasons of the scopes that have none by series."""
    glances, missing = open_glances(specs, sysfs)
    reasons = {
        f"power_w.{found.scope or found.name}": Absent(f"{found.name}: {found.reason}", found.fix).told()
        for found in missing
        if found.reason
    }
    if not glances and not reasons:
        reasons["power_w"] = Absent("no energy source was found on this machine").told()
    of = [(glance.info.name, str(glance.info.scope)) for glance in glances]
    labels = labels_of(of)
    return [Power(glance, labels[own]) for glance, own in zip(glances, of, strict=True)], reasons


class Nvml(Reader):
    """The first NVIDIA graphics unit, by its driver's library."""

    def __init__(self) -> None:
        try:
            self._nvml: Any = nvml.load()
            if not nvml.count():
                raise Absent("NVIDIA's driver finds no graphics unit")
        except ProbeError as error:
            raise Absent(error.reason, error.fix) from None
        self._unit = self._nvml.nvmlDeviceGetHandleByIndex(0)
        name = self._nvml.nvmlDeviceGetName(self._unit)
        asked = {
            SeriesInfo("gpu_percent", "%", f"NVML utilisation of {name}"): self._load,
            SeriesInfo("gpu_memory_bytes", "B", f"NVML memory in use of {name}"): self._memory,
            SeriesInfo("gpu_temperature_c", "degC", f"NVML temperature of {name}"): self._temperature,
        }
        self._calls = {info: call for info, call in asked.items() if self._ask(call) is not None}
        self.infos = tuple(self._calls)

    def read(self, now_s: float) -> Values:
        """Each value, or none where the driver does not tell."""
        del now_s
        return tuple(self._ask(call) for call in self._calls.values())

    def _ask(self, call: Any) -> float | None:
        try:
            return float(call())
        except (self._nvml.NVMLError, AttributeError):
            return None

    def _load(self) -> float:
        return float(self._nvml.nvmlDeviceGetUtilizationRates(self._unit).gpu)

    def _memory(self) -> float:
        return float(self._nvml.nvmlDeviceGetMemoryInfo(self._unit).used)

    def _temperature(self) -> float:
        return float(self._nvml.nvmlDeviceGetTemperature(self._unit, self._nvml.NVML_TEMPERATURE_GPU))


def jetson_load(sysfs: Path) -> Reader:
    """Return a reader of a Jetson's graphics load (per mille in sysfs)."""
    for folder in _devfreq(sysfs):
        load = folder / "device/load"
        if load.is_file():
            info = SeriesInfo("gpu_percent", "%", f"sysfs load of {folder.name}")
            return Files(info, [load], lambda per_mille: per_mille[0] / 10)
    raise Absent(f"{sysfs} has no Jetson's graphics unit")


def jetson_frequency(sysfs: Path) -> Reader:
    """Return a reader of a Jetson's graphics clock."""
    for folder in _devfreq(sysfs):
        if (folder / "cur_freq").is_file():
            info = SeriesInfo("gpu_frequency_hz", "Hz", f"devfreq {folder.name}")
            return Files(info, [folder / "cur_freq"], lambda hertz: hertz[0])
    raise Absent(f"{sysfs} has no Jetson's graphics unit")


def graphics(sysfs: Path) -> tuple[list[Reader], dict[str, Why]]:
    """Return the readers of the graphics unit, NVML first, else a Jetson's files; and the reasons of what has none."""
    readers: list[Reader] = []
    reasons: dict[str, Why] = {}
    try:
        readers.append(Nvml())
    except Absent as error:
        reasons["gpu_percent"] = error.told()
    told = {info.name for reader in readers for info in reader.infos}
    if "gpu_percent" not in told:
        for make in (jetson_load, jetson_frequency):
            with contextlib.suppress(Absent, OSError, ValueError):
                readers.append(make(sysfs))
                reasons.pop("gpu_percent", None)
    told = {info.name for reader in readers for info in reader.infos}
    if "gpu_percent" in told and "gpu_memory_bytes" not in told:
        shared = Absent("this graphics unit shares the processor's memory", "see memory_bytes")
        reasons["gpu_memory_bytes"] = shared.told()
    elif "gpu_percent" not in told:
        reasons["gpu_memory_bytes"] = reasons["gpu_percent"]
    return readers, reasons


def _devfreq(sysfs: Path) -> Iterator[Path]:
    for folder in sorted((sysfs / "class/devfreq").glob("*")):
        if any(name in folder.name for name in _JETSON_UNITS):
            yield folder
