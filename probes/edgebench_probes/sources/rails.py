"""Power from sysfs files: rails of voltage and current, or of power, read through descriptors that stay open."""

from __future__ import annotations

import math
import os
from abc import abstractmethod
from dataclasses import dataclass, replace
from pathlib import Path

from edgebench_probes.base import ProbeError, ProbeInfo, Scope
from edgebench_probes.plausible import Direction, Implausible, electrical_power, without_value
from edgebench_probes.sampling.source import UNKNOWN, PolledSource, SourceInfo, SourceLost


@dataclass(frozen=True, slots=True)
class Rail:
    """One rail: `files` is one file of power, or one of voltage and one of current.

    A whole number read is worth `units[i]` W, or V and A. `lsb` is one step of the last file's quantity, in its unit,
    and `end` the end of its range: a converter that says so may have seen any more.
    """

    label: str
    files: tuple[Path, ...]
    units: tuple[float, ...] = (1e-6,)
    lsb: float = 1.0
    end: float = math.inf


@dataclass(frozen=True, slots=True)
class Measuring:
    """How rails are measured: the time between values, the averaging, and the accuracy with the document it is from.

    `directed`: a sign is the direction of the flow, not a fault; `notes` are for the report.
    """

    period_s: float
    smoothing_s: float = 0.0
    accuracy: float = 0.0
    accuracy_source: str = UNKNOWN
    directed: bool = False
    notes: tuple[tuple[str, str], ...] = ()


LONGEST_MS = 3.6e6  # no sensor takes an hour: it is the end of a register
MILLI = (1e-3, 1e-3)  # hwmon: mV and mA
MICRO = (1e-6, 1e-6)  # power_supply: uV and uA


class RailSource(PolledSource):
    """The sum of some rails; a subclass locates them, anew at each opening, as hwmon numbers change."""

    shared = True

    def __init__(self, name: str, scope: Scope) -> None:
        self.name, self.scope = name, scope
        self.period_s = 0.02
        self._open: list[tuple[Rail, list[int]]] = []
        self._info: SourceInfo | None = None

    @abstractmethod
    def locate(self) -> tuple[list[Rail], Measuring]:
        """Rails to add, and how they are measured; raises ProbeError with cause and fix."""

    def describe(self) -> SourceInfo:
        """What this source is; to be called once it is open."""
        if self._info is None:
            raise ProbeError(f"the source {self.name} is not open")
        return self._info

    def open(self) -> None:
        """Open all files, and read each once; raises ProbeError, also for what reads no power."""
        rails, measuring = self.locate()
        self.close()
        try:
            for rail in rails:
                fds: list[int] = []
                self._open.append((rail, fds))
                for file in rail.files:
                    fds.append(os.open(file, os.O_RDONLY | os.O_CLOEXEC))  # noqa: PERF401 - the next one may fail
            steps = [_step_w(rail, [_read(fd) for fd in fds]) for rail, fds in self._open]
            self.period_s = measuring.period_s
            info = ProbeInfo(
                name=self.name,
                source="sysfs " + " + ".join(rail.label for rail in rails),
                scope=self.scope,
                kind="power",
                resolution=math.hypot(*steps),
                refresh_s=measuring.period_s,
                accuracy=measuring.accuracy,
            )
            known = SourceInfo(info, measuring.smoothing_s, accuracy_source=measuring.accuracy_source)
            self._info = known
            self.direction = Direction(self.scope) if measuring.directed else None
            self.passed(self.poll())
            turned = self.direction.notes if self.direction else ()
            self._info = replace(known, notes=(*measuring.notes, *turned))
        except PermissionError as error:
            self.close()
            raise ProbeError(
                f"{error.filename} may not be read by this user",
                f"run `sudo chmod o+r {error.filename}` (until the next boot), or run as root",
            ) from None
        except (OSError, ValueError) as error:
            self.close()
            raise ProbeError(
                f"{self.name} cannot be read: {_why(error)}", "see `sudo dmesg | tail` for its driver"
            ) from None
        except ProbeError as error:
            self.close()
            raise ProbeError(error.reason, error.fix) from None

    def poll(self) -> float:
        """Sum of all rails now; raises SourceLost: a failed read is no zero."""
        try:
            return math.fsum(_power_w(rail, [_read(fd) for fd in fds]) for rail, fds in self._open)
        except (OSError, ValueError) as error:
            raise SourceLost(f"{self.name} could not be read: {_why(error)}") from None
        except Implausible as error:
            raise SourceLost(error.reason, error.fix) from None

    def close(self) -> None:
        """Close all files."""
        for _, fds in self._open:
            for fd in fds:
                os.close(fd)
        self._open = []


def _read(fd: int) -> int:
    return int(os.pread(fd, 32, 0))


def _power_w(rail: Rail, raw: list[int]) -> float:
    """Power (W) of a rail from what its files say; raises Implausible."""
    for value in raw:
        if without_value(value):
            raise Implausible(f"{rail.label} reads {value}, which stands for no value")
    if abs(raw[-1]) >= rail.end:
        raise Implausible(f"{rail.label} reads {raw[-1]}, the end of the range of its converter")
    values = [value * unit for value, unit in zip(raw, rail.units, strict=True)]
    if len(values) == 1:
        return values[0]
    try:
        return electrical_power(*values)
    except Implausible as error:
        raise Implausible(f"{rail.label}: {error.reason}") from None


def _step_w(rail: Rail, raw: list[int]) -> float:
    """One step (W) of a rail: of its power, or of its current at its voltage."""
    return math.prod(rail.units) * rail.lsb * (abs(raw[0]) if len(raw) > 1 else 1)


def _why(error: Exception) -> str:
    if isinstance(error, OSError):
        return error.strerror or "it failed"
    return "it holds no number"


def text(file: Path) -> str:
    """Contents of a small file, "" when it cannot be read."""
    try:
        return file.read_text(encoding="utf-8", errors="replace").strip("\0\n ")
    except OSError:
        return ""


def interval_s(file: Path) -> float | None:
    """Return the time (s) in a file of milliseconds; None where there is none that a sensor can have."""
    milliseconds = number(file)
    return milliseconds / 1e3 if milliseconds is not None and 0 <= milliseconds <= LONGEST_MS else None


def number(file: Path) -> float | None:
    """The number in a file, None when there is none."""
    try:
        found = float(text(file))
    except ValueError:
        return None
    return found if math.isfinite(found) else None
