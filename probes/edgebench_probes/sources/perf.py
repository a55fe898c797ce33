"""The probe `perf`: RAPL through the kernel's `power` PMU, which extends the counter so that it does not wrap.

Layout of perf_event_attr and of the values read: linux/perf_event.h; the first 64 bytes (PERF_ATTR_SIZE_VER0) are
understood by every kernel.
"""

from __future__ import annotations

import ctypes
import errno
import math
import os
import platform
import re
import struct
from dataclasses import dataclass
from pathlib import Path

from edgebench_probes.base import ProbeError, Scope, WindowInvalid
from edgebench_probes.counter import Counter
from edgebench_probes.summed import CounterProbe

PMU = "bus/event_source/devices/power"
EVENTS = {
    "energy-pkg": Scope.PACKAGE,
    "energy-cores": Scope.CORE,
    "energy-gpu": Scope.UNCORE,
    "energy-ram": Scope.DRAM,
    "energy-psys": Scope.PSYS,
}
SYSCALLS = {"x86_64": 298, "i686": 336, "aarch64": 241, "riscv64": 241}
ATTR_BYTES = 64
READ_TIMES = 1 | 2  # PERF_FORMAT_TOTAL_TIME_ENABLED | PERF_FORMAT_TOTAL_TIME_RUNNING
CLOEXEC = 8  # PERF_FLAG_FD_CLOEXEC


@dataclass(frozen=True, slots=True)
class Event:
    """One energy event of the PMU: what to open, on which CPUs (one a socket), and J a count."""

    name: str
    scope: Scope
    type: int
    config: int
    joules: float
    cpus: tuple[int, ...]


def cpu_list(text: str) -> tuple[int, ...]:
    """CPUs of a kernel list such as `0,18-19`; ValueError on anything else."""
    cpus: list[int] = []
    for part in text.strip().split(","):
        if not re.fullmatch(r"\d{1,5}(-\d{1,5})?", part):
            raise ValueError(f"{text.strip()!r} is no list of CPUs")
        first, _, last = part.partition("-")
        cpus.extend(range(int(first), int(last or first) + 1))
    return tuple(cpus)


def events(sysfs: Path, vendor: str = "") -> list[Event]:
    """Energy events of this machine; OSError when there is no such PMU, ProbeError when it is not as documented.

    AMD's `energy-cores`, where present, covers one core only and is dropped, as in powercap.
    """
    folder = sysfs / PMU
    kind = folder / "type"
    found: list[Event] = []
    try:
        number, cpus = int(_text(kind)), cpu_list(_text(folder / "cpumask"))
        for name, scope in EVENTS.items():
            file = folder / "events" / name
            if not file.exists() or (scope is Scope.CORE and vendor == "AuthenticAMD"):
                continue
            terms = dict(term.partition("=")[::2] for term in _text(file).split(","))
            scale, unit = float(_text(file.with_name(f"{name}.scale"))), _text(file.with_name(f"{name}.unit"))
            if unit != "Joules" or not (scale > 0 and math.isfinite(scale)):
                raise ProbeError(f"{file} has the scale {scale} and the unit {unit!r}, not a number of Joules")
            where = cpus[:1] if scope is Scope.PSYS else cpus  # the platform is one, however many sockets it has
            found.append(Event(name, scope, number, int(terms["event"], 0), scale, where))
    except (KeyError, ValueError) as error:
        raise ProbeError(f"{folder} is not what the kernel documents: {error}") from None
    return found


def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8").strip()


def perf_event_open(event: Event, cpu: int) -> int:
    """Open one CPU-wide event; returns its descriptor or raises OSError."""
    number = SYSCALLS.get(platform.machine())
    if number is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    attr = struct.pack("IIQQQQQIIQ", event.type, ATTR_BYTES, event.config, 0, 0, READ_TIMES, 0, 0, 0, 0)
    libc = ctypes.CDLL(None, use_errno=True)
    # Every argument as a long: a variadic C function must not find garbage in a register's upper half.
    arguments = (ctypes.c_long(value) for value in (-1, cpu, -1, CLOEXEC))
    fd: int = libc.syscall(ctypes.c_long(number), attr, *arguments)
    if fd < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return fd


class EventCounter(Counter):
    """One energy event on one CPU."""

    def __init__(self, event: Event, cpu: int) -> None:
        self.name = event.name if len(event.cpus) == 1 else f"{event.name} of cpu {cpu}"
        self.joules = event.joules
        self._event = event
        self._cpu = cpu
        self._fd = -1
        self._seen = (0, 0, 0)
        self._count = 0

    def open(self) -> None:
        """Open the event; raises ProbeError, whose `reason` is what the kernel said."""
        try:
            self._fd = perf_event_open(self._event, self._cpu)
        except OSError as error:
            raise ProbeError(f"the kernel refuses {self._event.name} on cpu {self._cpu}: {error.strerror}") from error
        self._seen, self._count = (0, 0, 0), 0

    def learn(self) -> None:
        """Find the LSB: the kernel shifts it up to units of 2^-32 J, so all counts share it as a divisor."""
        values = self.sample()
        self.step = float(math.gcd(*values)) if len(values) >= 8 else 1.0

    def close(self) -> None:
        """Close the event."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def read(self) -> int:
        """Present count, scaled by time_enabled / time_running where the event had to share the hardware."""
        try:
            data = os.read(self._fd, 24)
        except OSError as error:
            raise WindowInvalid(f"{self.name}: the event could not be read: {error.strerror}") from None
        if len(data) != 24:
            raise WindowInvalid(f"{self.name}: the event has stopped, its CPU may be offline")
        self._count += scaled(self._seen, now := struct.unpack("QQQ", data), self.name)
        self._seen = now
        return self._count


def scaled(before: tuple[int, int, int], now: tuple[int, ...], name: str) -> int:
    """Counts between two readings (value, time enabled, time running); WindowInvalid when the event never ran."""
    value, enabled, running = (b - a for a, b in zip(before, now, strict=True))
    if running == enabled:
        return value
    if running <= 0:
        raise WindowInvalid(f"{name}: the event never ran, other perf events hold its counter")
    return round(value * enabled / running)


class PerfProbe(CounterProbe):
    """One energy event, summed over sockets."""

    def __init__(self, event: Event) -> None:
        cpus = ",".join(map(str, event.cpus))
        source = f"perf power/{event.name}/ cpu {cpus}"
        super().__init__("perf", source, event.scope, [EventCounter(event, cpu) for cpu in event.cpus])
