"""NVIDIA graphics units through NVML and the package nvidia-ml-py (the extra `nvml`)."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable
from importlib import import_module
from itertools import pairwise
from typing import Any

from edgebench_probes.advice import extra
from edgebench_probes.base import ProbeError, ProbeInfo, Scope
from edgebench_probes.sampling.source import UNKNOWN, PolledSource, Sample, SourceInfo, SourceLost

POLL_S = 0.01
POWER_S = 0.1  # nvmlDeviceGetPowerUsage is refreshed ten times a second or so
WATCH_S = 1.0  # the energy counter's own refresh is measured for this long when it is opened
ENERGY_STEPS = 8
AVERAGED_S = (
    1.0  # NVML reference, nvmlDeviceGetPowerUsage: "averaged over 1 sec interval" on Ampere (not GA100) or newer
)
AMPERE, GA100 = 7, (8, 0)  # NVML_DEVICE_ARCH_AMPERE; the compute capability of the GA100
OLD_ARCHITECTURES = (2,)  # NVML_DEVICE_ARCH_KEPLER; Fermi has no number, and no driver any more
OLD_ACCURACY = 0.05
OLD_ACCURACY_SOURCE = "NVML reference, nvmlDeviceGetPowerUsage: within +/- 5 % on Fermi and Kepler"


class NvmlSource(PolledSource):
    """One graphics unit: differences of its energy counter (mJ), or its power where it counts no energy.

    Each change of the counter gives one sample: the mean power since the change before, stamped with their middle.
    """

    shared = True

    def __init__(self, index: int = 0) -> None:
        self._index = index
        self._handle: Any = None
        self._counts = False
        self._last: tuple[int, int] | None = None  # mJ, ns of the last change
        self._info: SourceInfo | None = None
        self.period_s = POLL_S

    def describe(self) -> SourceInfo:
        """What this source is; to be called once it is open."""
        if self._info is None:
            raise ProbeError("NVML is not open")
        return self._info

    def open(self) -> None:
        """Load the library, find the unit, and see what it tells; raises ProbeError."""
        nvml = load()
        self._handle = _ask(lambda: nvml.nvmlDeviceGetHandleByIndex(self._index), f"graphics unit {self._index}")
        name = _ask(lambda: nvml.nvmlDeviceGetName(self._handle), "its name")
        self._last = None
        try:
            nvml.nvmlDeviceGetTotalEnergyConsumption(self._handle)
            self._counts = True
        except nvml.NVMLError:
            self._counts = False
            _ask(lambda: nvml.nvmlDeviceGetPowerUsage(self._handle), "its power")
        self.period_s = POLL_S if self._counts else POWER_S
        refresh_s = self._refresh() if self._counts else POWER_S
        how = "energy counter" if self._counts else "power"
        architecture, averaged_s = self._architecture(), 0.0 if self._counts else self._averaged_s()
        old = architecture in OLD_ARCHITECTURES and not self._counts
        info = ProbeInfo(
            name=f"nvml:{self._index}",
            source=f"NVML {how} of {name}",
            scope=Scope.GPU,
            kind="power",
            resolution=1e-3 / refresh_s if self._counts else 1e-3,
            refresh_s=refresh_s,
            accuracy=OLD_ACCURACY if old else 0.0,  # of others none is published
        )
        self._info = SourceInfo(info, averaged_s, accuracy_source=OLD_ACCURACY_SOURCE if old else UNKNOWN)
        if not self._counts:
            self.passed(self.poll())  # a value that is no power is refused here, with its reason

    def _architecture(self) -> int | None:
        """NVML's number of the unit's architecture; None where this library does not tell."""
        nvml = load()
        try:
            return int(nvml.nvmlDeviceGetArchitecture(self._handle))
        except (nvml.NVMLError, AttributeError):
            return None

    def _averaged_s(self) -> float:
        """How long the power is averaged; where the architecture is not told, as by the newer ones."""
        nvml = load()
        architecture = self._architecture()
        if architecture is not None and architecture < AMPERE:
            return 0.0
        try:
            capability = tuple(nvml.nvmlDeviceGetCudaComputeCapability(self._handle))
        except (nvml.NVMLError, AttributeError):
            return AVERAGED_S
        return 0.0 if capability == GA100 else AVERAGED_S

    def _refresh(self) -> float:
        """Time between two changes of the energy counter: the longest of a few; an idle second counts as 0.1 s."""
        changes: list[int] = []
        end = time.monotonic() + WATCH_S
        while time.monotonic() < end and len(changes) < ENERGY_STEPS:
            changes += [sample.t_ns for sample in self._changed()]
        steps = [(b - a) / 1e9 for a, b in pairwise(changes)]
        return max([*steps, POLL_S]) if steps else POWER_S

    def poll(self) -> float:
        """Present power in W; raises SourceLost."""
        nvml = load()
        return float(_ask(lambda: nvml.nvmlDeviceGetPowerUsage(self._handle), "its power", SourceLost)) / 1e3

    def read(self) -> list[Sample]:
        """Wait for the next poll, and give a sample where the counter moved."""
        if not self._counts:
            return super().read()
        return [sample._replace(power_w=self.passed(sample.power_w)) for sample in self._changed()]

    def _changed(self) -> list[Sample]:
        """Wait for the next poll of the counter."""
        nvml = load()
        now = self._wait()
        energy_mj = int(
            _ask(lambda: nvml.nvmlDeviceGetTotalEnergyConsumption(self._handle), "its energy counter", SourceLost)
        )
        last, moved = self._last, self._last is None or energy_mj != self._last[0]
        if moved:
            self._last = (energy_mj, now)
        if last is None or not moved:
            return []
        if energy_mj < last[0]:
            raise SourceLost("the energy counter went back: the driver was loaded again")
        return [Sample((last[1] + now) // 2, (energy_mj - last[0]) * 1e6 / (now - last[1]))]

    def close(self) -> None:
        """Drop the unit; the library stays loaded, as unloading it may end other users' handles."""
        self._handle = None


def load() -> Any:
    """Import the package and initialise the library, which is harmless when done again; raises ProbeError."""
    if importlib.util.find_spec("pynvml") is None:
        raise ProbeError("the package nvidia-ml-py is not installed", extra("nvml"))
    pynvml = import_module("pynvml")
    _ask(pynvml.nvmlInit, "the driver's library")
    return pynvml


def count() -> int:
    """Number of graphics units; raises ProbeError."""
    nvml = load()
    return int(_ask(nvml.nvmlDeviceGetCount, "its graphics units"))


def _ask(call: Callable[[], Any], what: str, kind: type[ProbeError] = ProbeError) -> Any:
    """Call NVML, and map its errors."""
    pynvml = import_module("pynvml")  # ships no types
    try:
        return call()
    except pynvml.NVMLError_LibraryNotFound:
        raise kind(
            "NVIDIA's driver library libnvidia-ml.so.1 is not here",
            "install the driver; in a container add `--gpus all`",
        ) from None
    except pynvml.NVMLError_DriverNotLoaded:
        raise kind("NVIDIA's driver is not loaded", "run `sudo modprobe nvidia`") from None
    except pynvml.NVMLError_NoPermission:
        raise kind("NVML refuses this user", "run as root, or join the group of /dev/nvidiactl") from None
    except pynvml.NVMLError as error:
        raise kind(f"NVML cannot tell {what}: {error}", "on a Jetson use `ina3221` or `jtop`, else a meter") from None
