"""The sampler process: opens one source, writes its samples to shared memory, opens it again when it is lost.

`main`, started by `sampler.py` with a file descriptor as its argument, gets the pickled `Job` on standard input, which
stays open as long as the measuring process lives, and answers on standard output with one pickled `Ready` or `Refused`.
Both ends are the same program: no pickle comes from outside. Light on purpose: no numpy, no thread.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import select
import signal
import sys
import time
from dataclasses import dataclass
from types import FrameType

from edgebench_probes.base import ProbeError
from edgebench_probes.plausible import plausible
from edgebench_probes.sampling.ring import RingWriter
from edgebench_probes.sampling.source import Source, SourceInfo, SourceLost

HELD_S = 1800.0  # the ring holds half an hour, within these bounds
CAPACITY_MIN, CAPACITY_MAX = 1 << 12, 1 << 19
BACKOFF_S = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0)  # waits between attempts to open a lost source again; the last repeats
SILENT_S = 2.0  # a source without a sample for this long, and for 20 refreshes, is opened again
CHECK_S = 0.5


@dataclass(frozen=True, slots=True)
class Job:
    """What to sample, and the processors the workload has."""

    source: Source
    workload_cpus: frozenset[int]


@dataclass(frozen=True, slots=True)
class Ready:
    """The source is open."""

    info: SourceInfo
    capacity: int


@dataclass(frozen=True, slots=True)
class Refused:
    """The source cannot be opened."""

    reason: str
    fix: str | None


class _Stop(BaseException):
    """SIGTERM, or the measuring process is gone."""


def keep_off(workload: frozenset[int]) -> None:
    """Move this process to processors the workload does not have, if there is one."""
    if not workload:
        return
    spare = set(range(os.cpu_count() or 1)) - workload
    with contextlib.suppress(OSError):  # a container may allow none of them
        if spare:
            os.sched_setaffinity(0, spare)


def why(error: Exception) -> str:
    """Short cause of a failed read; an exception that is not the source's own is named, and ends the stretch too."""
    return error.reason if isinstance(error, ProbeError) else f"{type(error).__name__}: {error}"


class Sampler:
    """The loop."""

    def __init__(self, source: Source, info: SourceInfo, ring: RingWriter) -> None:
        self._source = source
        self._ring = ring
        self._scope = info.info.scope
        self._silent_s = max(SILENT_S, 20 * info.info.refresh_s)
        self._next_check = 0.0

    def run(self) -> None:
        """Sample until stopped."""
        while True:
            try:
                self._sample()
            except Exception as error:  # noqa: BLE001 - whatever it was, the stretch ends and the source is reopened
                self._ring.lose(why(error))
                self._reopen()

    def _sample(self) -> None:
        heard = time.monotonic()
        read, put, scope = self._source.read, self._ring.put, self._scope
        while True:
            samples = read()
            for sample in samples:
                plausible(sample.power_w, scope)  # of every source: raises, and the stretch ends
                put(sample)
            now = time.monotonic()
            if samples:
                heard = max(now, samples[-1].t_ns / 1e9)  # a trace played at once has its end in the future
            elif now - heard > self._silent_s:
                raise SourceLost(f"the source has been silent for {now - heard:.1f} s")
            if now > self._next_check:
                self._check(now)

    def _check(self, now: float) -> None:
        self._next_check = now + CHECK_S
        if select.select([0], [], [], 0)[0] and not os.read(0, 1):
            raise _Stop

    def _reopen(self) -> None:
        attempt = 0
        while True:
            self._source.close()
            time.sleep(BACKOFF_S[min(attempt, len(BACKOFF_S) - 1)])
            self._check(time.monotonic())
            try:
                self._source.open()
            except Exception as error:  # noqa: BLE001 - as above
                self._ring.lose(why(error))
                attempt += 1
            else:
                return


def main() -> None:
    """Run one job; the exit code is 0, whatever stopped it."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # a driver library that prints must not reach the pipe
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the measuring process's: the last window still closes

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise _Stop

    signal.signal(signal.SIGTERM, stop)
    source: Source | None = None
    with contextlib.suppress(_Stop):
        try:
            job: Job = pickle.load(os.fdopen(0, "rb", buffering=0, closefd=False))  # noqa: S301 - from our parent
            keep_off(job.workload_cpus)
            source = job.source
            source.open()
            info = source.describe()
            held = int(HELD_S / max(info.info.refresh_s, 1e-6))
            capacity = max(CAPACITY_MIN, min(held, CAPACITY_MAX))
            ring = RingWriter(int(sys.argv[1]), capacity)
            answer: Ready | Refused = Ready(info, capacity)
        except ProbeError as error:
            answer = Refused(error.reason, error.fix)
        except Exception as error:  # noqa: BLE001 - the measuring process gets a sentence, never a traceback
            answer = Refused(f"the source could not be opened: {why(error)}", None)
        with answers:
            answers.write(pickle.dumps(answer))
        if source is not None and isinstance(answer, Ready):
            Sampler(source, answer.info, ring).run()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if source is not None:
        source.close()
