"""What gives samples of power, inside the sampler process: one class a source, nothing about windows.

A source is built by the measuring process, sent to the sampler (so it must be picklable until it is opened, and hold
no handle before) and opened there. `sampler.py` turns one into a probe.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import NamedTuple

from edgebench_probes.base import ProbeError, ProbeInfo
from edgebench_probes.plausible import Direction, Implausible, plausible

UNKNOWN = "unknown"  # no document at hand states an accuracy
STATED = "stated with the probe"


class Sample(NamedTuple):
    """One value: `t_ns` on CLOCK_MONOTONIC, of its arrival or as the source fitted it; `device_s` the meter's clock."""

    t_ns: int
    power_w: float
    device_s: float | None = None


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """What an open source is.

    `info.resolution` is in W, `info.refresh_s` the time between two new values, `info.accuracy` relative and from
    `accuracy_source`, the data sheet cited, or UNKNOWN. `smoothing_s` is the time over which the source averages.
    `device_clock` says that samples carry `device_s`, to be fitted. `clock_s` is one sigma (s) of `t_ns`
    against CLOCK_MONOTONIC for a source that has fitted a foreign clock itself. `notes` are for the report.
    """

    info: ProbeInfo
    smoothing_s: float = 0.0
    device_clock: bool = False
    accuracy_source: str = UNKNOWN
    clock_s: float = 0.0
    notes: tuple[tuple[str, str], ...] = ()


class SourceLost(ProbeError):  # noqa: N818 - says what is so; the sampler closes the source and opens it again
    """Unplugged, silent, or its service gone: the stretch of samples ends here, and the source must be reopened."""


class Source(ABC):
    """A source of power samples; `shared` says that several processes may have it open at once."""

    shared: bool = False
    direction: Direction | None = None  # of a source whose sign is a direction by nature; a new one at each opening

    def passed(self, power_w: float) -> float:
        """Return a reading (W) by the one rule for all sources (plausible.py); raises SourceLost for what is none."""
        try:
            if self.direction is not None:
                return self.direction(power_w)
            return plausible(power_w, self.describe().info.scope)
        except Implausible as error:
            info = self.describe().info
            raise SourceLost(f"{info.name} ({info.source}): {error.reason}", error.fix) from None

    @abstractmethod
    def describe(self) -> SourceInfo:
        """What this source is; to be called once it is open."""

    @abstractmethod
    def open(self) -> None:
        """Take the handles; raises ProbeError with the fix. Called again after every loss."""

    @abstractmethod
    def read(self) -> list[Sample]:
        """Next samples in order of time: waits, without spinning, at most about one refresh.

        Returns [] when there is nothing yet; raises SourceLost.
        """

    @abstractmethod
    def close(self) -> None:
        """Give everything back; harmless when nothing is open, and raises nothing."""


class PolledSource(Source):
    """A source that is asked on a fixed grid of CLOCK_MONOTONIC; a grid point that was missed is not made up for.

    A subclass sets `period_s` (at the latest in `open`) and gives `poll`. A sample is stamped with the middle of the
    poll.
    """

    period_s: float
    _due_ns: int = 0

    @abstractmethod
    def poll(self) -> float:
        """Present power in W as the source tells it, with its sign; raises SourceLost."""

    def read(self) -> list[Sample]:
        """Wait for the next grid point and take one sample."""
        before = self._wait()
        power_w = self.passed(self.poll())
        return [Sample((before + time.monotonic_ns()) // 2, power_w)]

    def _wait(self) -> int:
        """Sleep until the next grid point; returns the time (ns)."""
        period_ns = int(self.period_s * 1e9)
        now, due = time.monotonic_ns(), self._due_ns
        if abs(due - now) > period_ns:  # the first sample, or one after a stall
            due = now
        self._due_ns = due + period_ns
        if due > now:
            time.sleep((due - now) / 1e9)
        return time.monotonic_ns()
