"""The sampler's process: `python -m edgebench.machine.sampling FD JOB` writes its samples to a shared memory file.

A process of its own at the lowest priority, so that the session's threads, and the workload's, never wait for a read.
It writes lines of JSON: first what it has, then a sample a line. Nobody has to read them while something is measured.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import msgspec

from edgebench.machine import power, readers
from edgebench.machine.child import die_with_parent
from edgebench.machine.readers import Absent, Reader, SeriesInfo, Values, Why
from edgebench_probes.base import ProbeError

NICEST = 19


@dataclass(frozen=True, slots=True)
class SamplerJob:
    """What the sampler is asked: samples a second, the probes to glance at, and where sysfs is mounted."""

    rate_hz: float
    specs: tuple[str, ...] = ()
    sysfs: str = "/sys"


@dataclass(frozen=True, slots=True)
class SamplerClock:
    """One moment on both clocks: the monotonic one starts anew with each boot."""

    monotonic_s: float
    unix_s: float


@dataclass(frozen=True, slots=True)
class SamplerHead:
    """The sampler's first line: its series in the order of the values, and why others are missing."""

    series: tuple[SeriesInfo, ...]
    missing: Mapping[str, Why]
    clock: SamplerClock


def find_readers(specs: tuple[str, ...], sysfs: Path, session: int) -> tuple[list[Reader], dict[str, Why]]:
    """Return every reader this machine has a source for, and by series the reasons of those it has none for."""
    wanted: tuple[tuple[str, Callable[[], Reader]], ...] = (
        ("cpu_percent", readers.Processors),
        ("workload_cpu_percent", lambda: readers.Workload(session)),
        ("memory_bytes", readers.Memory),
        ("temperature_c", lambda: readers.temperature(sysfs)),
        ("cpu_frequency_hz", lambda: readers.frequency(sysfs)),
        ("throttle_count", lambda: readers.throttling(sysfs)),
    )
    found: list[Reader] = []
    missing: dict[str, Why] = {}
    for name, make in wanted:
        try:
            found.append(make())
        except Absent as error:
            missing[name] = error.told()
        except (OSError, ValueError) as error:
            missing[name] = Absent(f"it cannot be read: {getattr(error, 'strerror', None) or error}").told()
    groups: tuple[Callable[[], tuple[list[Reader], dict[str, Why]]], ...] = (
        lambda: power.graphics(sysfs),
        lambda: power.power(specs, sysfs),
    )
    for group in groups:
        try:
            more, reasons = group()
        except ProbeError as error:
            more, reasons = [], {"power_w": Absent(error.reason, error.fix).told()}
        found += more
        missing |= reasons
    return found, missing


def samples(found: list[Reader], rate_hz: float) -> Iterator[list[float | None]]:
    """Yield ``[monotonic seconds, value, …]`` at the rate, for ever; a moment that was missed is not made up for."""
    period_s = 1 / rate_hz
    due_s = time.monotonic()
    while True:
        now_s = time.monotonic()
        if due_s > now_s:
            time.sleep(due_s - now_s)
        now_s = time.monotonic()
        # Never sooner than half a period after a late one: a counter's mean over a moment would be all quantisation.
        due_s = max(due_s + period_s, now_s + period_s / 2)
        row: list[float | None] = [round(now_s, 4)]
        for reader in found:
            row += _read(reader, now_s)
        yield row


def _read(reader: Reader, now_s: float) -> Values:
    try:
        values = reader.read(now_s)
    except (OSError, ValueError):
        return (None,) * len(reader.infos)
    return tuple(None if value is None else float(f"{value:.10g}") for value in values)


def main(file: int, job: SamplerJob) -> None:
    """Sample until stopped, or until the session is gone."""
    die_with_parent()
    with contextlib.suppress(OSError):
        os.nice(NICEST)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # ctrl-C is the session's, which stops this process in its own time
    signal.signal(signal.SIGTERM, _stop)
    found, missing = find_readers(job.specs, Path(job.sysfs), os.getppid())
    series = tuple(info for reader in found for info in reader.infos)
    clock = SamplerClock(time.monotonic(), time.time())
    with contextlib.suppress(SystemExit), os.fdopen(file, "ab", buffering=0) as out:
        out.write(_line(SamplerHead(series, missing, clock)))
        for row in samples(found, job.rate_hz):
            out.write(_line(row))


def _line(value: Any) -> bytes:
    return msgspec.json.encode(value) + b"\n"


def _stop(number: int, frame: FrameType | None) -> NoReturn:
    del number, frame
    raise SystemExit


if __name__ == "__main__":
    main(int(sys.argv[1]), msgspec.json.decode(sys.argv[2], type=SamplerJob))
