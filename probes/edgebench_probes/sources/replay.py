"""Recorded traces: written from any probe, played back as a source. The format is documented in docs/energy.md."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from edgebench_probes.base import Mark, Probe, ProbeError, ProbeInfo, Scope
from edgebench_probes.sampling.probe import SampledProbe
from edgebench_probes.sampling.source import Sample, Source, SourceInfo, SourceLost

FORMAT = "edgebench.trace/1"
MAX_BYTES = 256 << 20
MAX_LINE = 1 << 16
MAX_SAMPLES = 1 << 20  # twice what a recorder holds; some hundred bytes of memory each
COUNTER_S = 0.1  # a counter is recorded as its mean power over stretches of this length
CHUNK = 256


@dataclass(frozen=True, slots=True)
class Trace:
    """A recorded trace: what the source was, and its samples in order of time."""

    info: SourceInfo
    samples: tuple[Sample, ...]


def save(path: Path, info: SourceInfo, samples: Iterable[Sample]) -> int:
    """Write a trace; returns the number of samples."""
    header = {
        "format": FORMAT,
        "clock": "CLOCK_MONOTONIC",
        "info": asdict(info.info),
        **{key: value for key, value in asdict(info).items() if key != "info"},
    }
    count = 0
    with path.open("w", encoding="utf-8") as file:
        file.write(json.dumps(header) + "\n")
        for sample in samples:
            file.write(
                json.dumps([sample.t_ns, sample.power_w, *([] if sample.device_s is None else [sample.device_s])])
                + "\n"
            )
            count += 1
    return count


def load(path: Path) -> Trace:
    """Read a trace; raises ProbeError for what is none."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ProbeError(f"{path} is larger than {MAX_BYTES >> 20} MiB", "record a shorter trace")
        with path.open(encoding="utf-8") as file:
            info = _header(_line(file.readline(MAX_LINE), path, 1), path)
            samples: list[Sample] = []
            for number, text in enumerate(iter(lambda: file.readline(MAX_LINE), ""), 2):
                if len(samples) == MAX_SAMPLES:
                    raise ProbeError(f"{path} holds more than {MAX_SAMPLES} samples", "record a shorter trace")
                samples.append(_sample(_line(text, path, number), path, number))
    except OSError as error:
        raise ProbeError(f"{path} cannot be read: {error.strerror}", "check the name of the trace") from None
    except UnicodeDecodeError:
        raise ProbeError(f"{path} is no text", "give a trace recorded with `edgebench probes --record`") from None
    if len(samples) < 2 or any(b.t_ns < a.t_ns for a, b in pairwise(samples)):
        raise ProbeError(f"{path} holds no two samples in order of time", "record it again")
    return Trace(info, tuple(samples))


def _line(text: str, path: Path, number: int) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise _broken(path, number) from None


def _broken(path: Path, number: int) -> ProbeError:
    return ProbeError(f"line {number} of {path} is not of a trace", f"it must be JSON lines of {FORMAT}")


def _header(value: Any, path: Path) -> SourceInfo:
    try:
        if value["format"] != FORMAT:
            raise _broken(path, 1)
        info = dict(value["info"], scope=Scope(value["info"]["scope"]))
        numbers = [info["resolution"], info["refresh_s"], info["accuracy"], value["smoothing_s"], value["clock_s"]]
        if info["kind"] != "power" or not all(_finite(n) and n >= 0 for n in numbers) or not info["refresh_s"] > 0:
            raise _broken(path, 1)
        return SourceInfo(
            ProbeInfo(**info),
            float(value["smoothing_s"]),
            bool(value["device_clock"]),
            str(value["accuracy_source"]),
            float(value["clock_s"]),
            tuple((str(name), str(note)) for name, note in value["notes"]),
        )
    except (KeyError, TypeError, ValueError):
        raise _broken(path, 1) from None


def _sample(value: Any, path: Path, number: int) -> Sample:
    if (
        not isinstance(value, list)
        or len(value) not in (2, 3)
        or not all(_finite(item) for item in value)
        or not isinstance(value[0], int)
        or not 0 <= value[0] < 1 << 62
    ):
        raise _broken(path, number)
    return Sample(value[0], float(value[1]), float(value[2]) if len(value) == 3 else None)


def _finite(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer beyond every float
        return False


class ReplaySource(Source):
    """A trace played back: `speed` 1 is real time, N is N times as fast, 0 is all at once.

    All at once, the samples are stamped as if they had begun to arrive at the opening and the rest will have.
    """

    def __init__(self, path: Path, speed: float = 1.0) -> None:
        if not (math.isfinite(speed) and speed >= 0):
            raise ProbeError(
                f"a trace cannot be played at {speed} times its speed", "give `speed=1`, or 0 for all at once"
            )
        self._path, self._speed = path, speed
        self._trace: Trace | None = None
        self._next = 0
        self._shift_ns = 0
        self._ended = False

    def describe(self) -> SourceInfo:
        """What the recorded source was; its times are those of the playback."""
        if self._trace is None:
            raise ProbeError("the trace is not open")
        info, pace = self._trace.info, self._speed or 1.0
        played = replace(info.info, name="replay", source=f"replay of {info.info.source}")
        return replace(
            info,
            info=replace(played, refresh_s=played.refresh_s / pace),
            smoothing_s=info.smoothing_s / pace,
            device_clock=info.device_clock and pace == 1,
        )

    def open(self) -> None:
        """Load the trace and begin now; a trace that has ended stays so."""
        if self._ended:
            raise ProbeError(f"the trace {self._path} has ended", "record a longer one")
        self._trace = load(self._path)
        self._next, self._shift_ns = 0, time.monotonic_ns()

    def read(self) -> list[Sample]:
        """Samples that are due."""
        if self._trace is None:
            raise SourceLost("the trace is closed")
        samples = self._trace.samples
        if self._next >= len(samples):
            if not self._speed and time.monotonic_ns() < self._shift_ns + samples[-1].t_ns - samples[0].t_ns:
                time.sleep(0.05)
                return []
            self._ended = True
            raise SourceLost(f"the trace {self._path} has ended")
        first, pace = samples[0].t_ns, self._speed or 1.0
        chunk: list[Sample] = []
        while self._next < len(samples) and len(chunk) < CHUNK:
            sample = samples[self._next]
            due = self._shift_ns + round((sample.t_ns - first) / pace)
            if self._speed:
                wait_s = (due - time.monotonic_ns()) / 1e9
                if chunk and wait_s > 0:
                    break
                if wait_s > 0:
                    time.sleep(min(wait_s, 0.5))
                    if wait_s > 0.5:
                        break
            chunk.append(Sample(due, sample.power_w, sample.device_s if pace == 1 else None))
            self._next += 1
        return chunk

    def close(self) -> None:
        """Forget the trace."""
        self._trace = None


def record(probe: Probe, path: Path, seconds: float) -> int:
    """Write so many seconds of an open probe to a trace; returns the number of samples.

    Sampled power is written as it arrived; a counter as its mean power over stretches of 0.1 s. Raises WindowInvalid.
    """
    if isinstance(probe, SampledProbe):
        start = probe.mark()
        time.sleep(seconds)
        end = probe.mark(sync=False)
        return save(path, probe.source_info, probe.samples(start, end))
    end_s = time.monotonic() + seconds
    marks = [probe.mark()]
    while time.monotonic() < end_s:
        time.sleep(COUNTER_S)
        marks.append(probe.mark())
    return save(path, _as_power(probe.info), [_mean(probe, a, b) for a, b in pairwise(marks)])


def _as_power(info: ProbeInfo) -> SourceInfo:
    power = replace(info, kind="power", resolution=info.resolution / COUNTER_S, refresh_s=COUNTER_S)
    return SourceInfo(power, smoothing_s=COUNTER_S)


def _mean(probe: Probe, start: Mark, end: Mark) -> Sample:
    return Sample((start.t_ns + end.t_ns) // 2, probe.energy(start, end).power_w)
