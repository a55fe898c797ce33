"""What the sampler reads: processor, memory, frequency, temperature, throttle counters, the workload's own processes.

Straight from procfs and sysfs, through descriptors that stay open where the kernel allows it: a sample must cost a
fraction of a millisecond. A reader that this machine has no source for says why.
"""

from __future__ import annotations

import contextlib
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
# Sensors of the processor by driver, best first; then any thermal zone.
_CPU_SENSORS = ("coretemp", "k10temp", "cpu_thermal", "soc_thermal")
_CPU_ZONES = ("x86_pkg_temp", "cpu-thermal", "cpu_thermal", "CPU-therm", "soc-thermal", "acpitz")
# Bits of the Pi firmware's `get_throttled` that say what is so now: under-voltage, capped, throttled, soft limit.
_PI_NOW = 0b1111

Values = tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class Why:
    """Why a series is not there, and what would bring it."""

    reason: str
    fix: str | None = None


class Absent(Exception):  # noqa: N818 - says what is so
    """This machine has no source for a reader: `reason`, and the `fix` where there is one."""

    def __init__(self, reason: str, fix: str | None = None) -> None:
        super().__init__(reason)
        self.reason, self.fix = reason, fix

    def told(self) -> Why:
        """Return reason and fix."""
        return Why(self.reason, self.fix or None)


@dataclass(frozen=True, slots=True)
class SeriesInfo:
    """One series: its name with the unit in it, the unit (%, B, Hz, degC, W, 1), where it is from, its scope."""

    name: str
    unit: str
    source: str
    scope: str | None = None


class Reader(ABC):
    """Some series that are read together."""

    infos: tuple[SeriesInfo, ...]

    @abstractmethod
    def read(self, now_s: float) -> Values:
        """Values at `now_s` (monotonic), one a series; None for what cannot be told now. Raises OSError, ValueError."""


class Processors(Reader):
    """/proc/stat: what all processors did since the last look; 100 % is one processor."""

    def __init__(self) -> None:
        self.infos = (
            SeriesInfo("cpu_percent", "%", "/proc/stat: busy processors, 100 % is one"),
            SeriesInfo("steal_percent", "%", "/proc/stat: taken by the hypervisor, 100 % is one processor"),
        )
        self._fd = os.open("/proc/stat", os.O_RDONLY | os.O_CLOEXEC)
        self._last: tuple[float, float, float] | None = None

    def read(self, now_s: float) -> Values:
        """Percent busy and stolen since the last call."""
        user, nice, system, _idle, _wait, irq, softirq, steal = map(int, os.pread(self._fd, 512, 0).split()[1:9])
        busy_s, steal_s = (user + nice + system + irq + softirq) / TICKS_PER_S, steal / TICKS_PER_S
        last, self._last = self._last, (now_s, busy_s, steal_s)
        if last is None or now_s <= last[0]:
            return None, None
        seconds = now_s - last[0]
        return 100 * max(0.0, busy_s - last[1]) / seconds, 100 * max(0.0, steal_s - last[2]) / seconds


class Memory(Reader):
    """/proc/meminfo: what is not available to new programs."""

    def __init__(self) -> None:
        self.infos = (SeriesInfo("memory_bytes", "B", "/proc/meminfo: MemTotal less MemAvailable"),)
        self._fd = os.open("/proc/meminfo", os.O_RDONLY | os.O_CLOEXEC)
        self.read(0.0)

    def read(self, now_s: float) -> Values:
        """Bytes in use."""
        del now_s
        text = os.pread(self._fd, 4096, 0)
        total, available = (int(text[text.index(key) :].split(None, 2)[1]) for key in (b"MemTotal:", b"MemAvailable:"))
        return (1024.0 * (total - available),)


class Workload(Reader):
    """The session's processes: their processor time, and the resident memory of those that do the work.

    `session` is the session's process. The sampler itself is left out of both, the session out of the memory. The
    time of a process that ended is its parent's, so nothing is lost between two looks.
    """

    def __init__(self, session: int) -> None:
        self.infos = (
            SeriesInfo("workload_cpu_percent", "%", "/proc/PID/stat of the session's processes, 100 % is one"),
            SeriesInfo("workload_memory_bytes", "B", "/proc/PID/statm: resident memory of the processes that work"),
        )
        self._session = session
        self._self = os.getpid()
        self._last: tuple[float, float] | None = None
        if not Path(f"/proc/{session}/task/{session}/children").exists():
            raise Absent("this kernel does not list the children of a process (CONFIG_PROC_CHILDREN)")

    def read(self, now_s: float) -> Values:
        """Percent of a processor since the last call, and bytes; no bytes while nothing works."""
        used_s, resident, working = 0.0, 0, 0
        for pid in self._tree(self._session):
            with contextlib.suppress(OSError, ValueError, IndexError):  # it ended meanwhile
                fields = _content(f"/proc/{pid}/stat").rpartition(b")")[2].split()
                used_s += sum(map(int, fields[11:15])) / TICKS_PER_S
                if pid != self._session and (pages := int(_content(f"/proc/{pid}/statm").split()[1])):
                    resident += pages * PAGE_BYTES  # one that is ending has none
                    working += 1
        last, self._last = self._last, (now_s, used_s)
        percent = None
        if last is not None and now_s > last[0]:
            percent = 100 * max(0.0, used_s - last[1]) / (now_s - last[0])
        return percent, float(resident) if working else None

    def _tree(self, pid: int) -> Iterator[int]:
        if pid == self._self:
            return
        yield pid
        with contextlib.suppress(OSError):
            for task in Path(f"/proc/{pid}/task").iterdir():
                for child in _content(f"{task}/children").split():
                    yield from self._tree(int(child))


class Files(Reader):
    """A number that is made of one file or several: the mean, the highest or the sum, in the series' unit."""

    def __init__(self, info: SeriesInfo, files: list[Path], of: Callable[[list[float]], float]) -> None:
        self.infos = (info,)
        self._fds = [os.open(file, os.O_RDONLY | os.O_CLOEXEC) for file in files]
        self._of = of
        self.read(0.0)

    def read(self, now_s: float) -> Values:
        """The value now."""
        del now_s
        return (self._of([float(os.pread(fd, 64, 0)) for fd in self._fds]),)


def temperature(sysfs: Path) -> Reader:
    """Return a reader of the processor's temperature: the hottest sensor of the best driver."""
    chips = {_text(folder / "name"): folder for folder in (sysfs / "class/hwmon").glob("hwmon*")}
    for name in _CPU_SENSORS:
        if name in chips and (files := sorted(chips[name].glob("temp*_input"))):
            return _celsius(files, f"hwmon {name}")
    zones = {_text(folder / "type"): folder / "temp" for folder in (sysfs / "class/thermal").glob("thermal_zone*")}
    known = [name for name in _CPU_ZONES if name in zones] or sorted(zones)[:1]
    if not known:
        raise Absent(f"{sysfs} has no thermal sensor of the processor (a virtual machine has none)")
    return _celsius([zones[known[0]]], f"thermal zone {known[0]}")


def _celsius(files: list[Path], source: str) -> Reader:
    info = SeriesInfo("temperature_c", "degC", source)
    return Files(info, files, lambda milli: max(milli) / 1000)


def frequency(sysfs: Path) -> Reader:
    """Return a reader of the mean frequency of the processors."""
    files = sorted((sysfs / "devices/system/cpu").glob("cpu[0-9]*/cpufreq/scaling_cur_freq"))
    if not files:
        raise Absent(f"{sysfs} has no cpufreq (a virtual machine has none)")
    info = SeriesInfo("cpu_frequency_hz", "Hz", f"cpufreq scaling_cur_freq, mean of {len(files)} processors")
    return Files(info, files, lambda khz: 1000 * sum(khz) / len(khz))


def throttling(sysfs: Path) -> Reader:
    """Return a reader of what says that the processor is held back: the kernel's counters, or a Pi's firmware."""
    files = sorted((sysfs / "devices/system/cpu").glob("cpu[0-9]*/thermal_throttle/*_throttle_count"))
    if files:
        return Files(SeriesInfo("throttle_count", "1", "thermal_throttle: events since boot"), files, sum)
    flags = [*(sysfs / "devices/platform/soc").glob("soc:firmware/get_throttled")]
    if flags:
        return Flags(flags[0])
    raise Absent(f"{sysfs} has no throttle counter, and no Pi's firmware")


class Flags(Reader):
    """A Pi's firmware: 1 while it holds the board back, else 0."""

    def __init__(self, file: Path) -> None:
        self.infos = (SeriesInfo("throttled", "1", "the Pi's firmware: 1 while voltage or heat limits the board"),)
        self._file = file
        self.read(0.0)

    def read(self, now_s: float) -> Values:
        """Whether any limit holds now."""
        del now_s
        return (float(bool(int(_content(str(self._file)), 16) & _PI_NOW)),)


def _content(path: str) -> bytes:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(fd, 65536)
    finally:
        os.close(fd)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
