"""Power from sysfs files: rails of voltage and current, or of power, read through descriptors that stay open."""

from __future__ import annotations

import math
import os
from abc import abstractmethod
from dataclasses import dataclass
from pathlib import Path

from edgebench_probes.base import ProbeError, ProbeInfo, Scope
from edgebench_probes.sampling.source import PolledSource, SourceInfo, SourceLost


@dataclass(frozen=True, slots=True)
class Rail:
    """One rail. `files` is one file of power or two of voltage and current, `unit_w` the W of their product.

    `lsb` is one step of the last file's quantity, in that file's unit.
    """

    label: str
    files: tuple[Path, ...]
    unit_w: float
    lsb: float = 1.0


@dataclass(frozen=True, slots=True)
class Measuring:
    """How rails are measured: the time between values, the averaging, and the accuracy with the document it is from."""

    period_s: float
    smoothing_s: float = 0.0
    accuracy: float = 0.0
    accuracy_source: str = ""


class RailSource(PolledSource):
    """The sum of some rails; a subclass locates them, anew at each opening, as hwmon numbers change."""

    shared = True

    def __init__(self, name: str, scope: Scope) -> None:
        self.name, self.scope = name, scope
        self.period_s = 0.02
        self._fds: list[tuple[float, tuple[int, ...]]] = []
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
        """Open all files, and read each once."""
        rails, measuring = self.locate()
        self.close()
        try:
            for rail in rails:
                fds: list[int] = []
                self._fds.append((rail.unit_w, ()))
                for file in rail.files:
                    fds.append(os.open(file, os.O_RDONLY | os.O_CLOEXEC))
                    self._fds[-1] = (rail.unit_w, tuple(fds))
            steps = [
                rail.unit_w * rail.lsb * (_read(fds[0]) if len(fds) > 1 else 1)
                for rail, (_, fds) in zip(rails, self._fds, strict=True)
            ]
        except PermissionError as error:
            self.close()
            raise ProbeError(
                f"{error.filename} may not be read by this user",
                f"run `sudo chmod o+r {error.filename}` (until the next boot), or run as root",
            ) from None
        except (OSError, ValueError) as error:
            self.close()
            raise ProbeError(f"{self.name} cannot be read: {_why(error)}") from None
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
        self._info = SourceInfo(info, measuring.smoothing_s, accuracy_source=measuring.accuracy_source)

    def poll(self) -> float:
        """Sum of all rails now; raises SourceLost: a failed read is no zero."""
        power_w = 0.0
        try:
            for unit_w, fds in self._fds:
                watts = unit_w
                for fd in fds:
                    watts *= int(os.pread(fd, 32, 0))
                power_w += watts
        except (OSError, ValueError) as error:
            raise SourceLost(f"{self.name} could not be read: {_why(error)}") from None
        return power_w

    def close(self) -> None:
        """Close all files."""
        for _, fds in self._fds:
            for fd in fds:
                os.close(fd)
        self._fds = []


def _read(fd: int) -> int:
    return int(os.pread(fd, 32, 0))


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


def number(file: Path) -> float | None:
    """The number in a file, None when there is none."""
    try:
        return float(text(file))
    except ValueError:
        return None
