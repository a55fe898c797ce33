"""Probes that sample power: a source in a process of its own, its samples in shared memory, windows by trapezoid."""

from __future__ import annotations

import contextlib
import os
import pickle
import select
import signal
import subprocess
import sys
import time
from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgebench_probes.base import Mark, Probe, ProbeError, ProbeInfo, WindowEnergy, WindowInvalid
from edgebench_probes.sampling.clockfit import fit_clock
from edgebench_probes.sampling.integrate import MAX_GAP_REFRESHES, Timing, integrate
from edgebench_probes.sampling.process import Job, Ready, Refused
from edgebench_probes.sampling.ring import RingReader
from edgebench_probes.sampling.source import Sample, Source, SourceInfo
from edgebench_probes.sampling.watch import WATCH, check_awake, slept_ns

if TYPE_CHECKING:
    from numpy.typing import NDArray

PROGRAM = "from edgebench_probes.sampling.process import main; main()"  # not -m: its classes must keep their module
OPEN_S = 20.0  # a driver library may scan the bus for seconds
CLOSE_S = 2.0
FRESH_S = 0.25  # mark() waits for a sample unless the last one is younger than this or 5 refreshes
RETURN_S = 5.0  # how long mark() waits for a lost source to come back
CONTEXT = 2048  # samples before the window: for the edge, the smoothing and the fit of the meter's clock
JUMP_S = 0.1  # a meter's clock further off its line than this, and than 5 refreshes, has jumped


@dataclass(frozen=True, slots=True)
class State:
    """What a SampledProbe's mark carries: which sampler, which stretch of samples, its length, and time slept."""

    generation: int
    epoch: int
    count: int
    slept_ns: int


class SampledProbe(Probe):
    """A source of power samples as a probe; `workload_cpus` are the processors to keep the sampler off."""

    def __init__(self, source: Source, workload_cpus: Collection[int] = ()) -> None:
        self._source = source
        self._workload_cpus = frozenset(workload_cpus)
        self._process: subprocess.Popen[bytes] | None = None
        self._ring: RingReader | None = None
        self._info: SourceInfo | None = None
        self._generation = 0
        self._ended = ""
        self._wanted = False
        self._share_from = (0.0, 0.0)

    @property
    def source(self) -> Source:
        """The source itself, as it was given."""
        return self._source

    @property
    def info(self) -> ProbeInfo:
        """What this source is: known once it is open."""
        return self.source_info.info

    @property
    def source_info(self) -> SourceInfo:
        """What this source is, with its smoothing, its clock, and where its accuracy is published."""
        if self._info is None:
            raise ProbeError("this probe has never been open", "open it first")
        return self._info

    def keep_off(self, workload_cpus: Collection[int]) -> None:
        """Say which processors the workload has; it counts from the next opening on."""
        self._workload_cpus = frozenset(workload_cpus)

    def open(self) -> None:
        """Start the sampler and wait until its source is open; raises ProbeError as the source does."""
        if self._process is not None:
            return
        fd = os.memfd_create("edgebench-samples", os.MFD_CLOEXEC)
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", PROGRAM, str(fd)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                pass_fds=[fd],
                bufsize=0,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            )
            self._generation += 1
            ready = self._talk(self._process)
            self._info, self._ring = ready.info, RingReader(fd, ready.capacity)
            if not self._wanted:
                WATCH.open()
        except OSError as error:
            self._stop()
            raise ProbeError(f"the sampler process cannot be started: {error}", "check this user's limits") from None
        except BaseException:
            self._stop()
            raise
        finally:
            os.close(fd)
        self._wanted = True
        self._share_from = (self._cpu_s(), time.monotonic())

    def _talk(self, process: subprocess.Popen[bytes]) -> Ready:
        """Send the job; stdin stays open, its end tells the sampler that this process is gone."""
        if process.stdin is None or process.stdout is None:
            raise ProbeError("the sampler has no pipes")
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(pickle.dumps(Job(self._source, self._workload_cpus)))
        if not select.select([process.stdout], [], [], OPEN_S)[0]:
            raise ProbeError(f"the source did not open within {OPEN_S:.0f} s", "check its cable and power")
        answer = process.stdout.read()
        if not answer:
            raise ProbeError(f"the sampler process died while it opened the source ({_death(process.wait())})")
        said: Ready | Refused = pickle.loads(answer)  # noqa: S301 - from our own child
        if isinstance(said, Refused):
            raise ProbeError(said.reason, said.fix)
        return said

    def close(self) -> None:
        """Stop the sampler, which closes its source."""
        if self._wanted:
            WATCH.close()
        self._wanted = False
        self._stop()

    def _stop(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            try:
                process.wait(CLOSE_S)
            except subprocess.TimeoutExpired:
                process.kill()  # a driver may hang in the kernel
                process.wait()
            self._ended = _death(process.returncode)
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    pipe.close()
        if self._ring is not None:
            self._ring.close()
            self._ring = None

    def mark(self, *, sync: bool = True) -> Mark:
        """Mark an edge of a window, here and now; with `sync` only once the source is known to deliver.

        It does not wait for the sample after the edge (`energy` does): that would put idle time into the window, and
        tie every edge to the same phase of the sampling, where the trapezoid's error has one sign. A sampler that died
        is started again. Raises WindowInvalid when the source is lost or silent.
        """
        ring = self._alive()
        if sync:
            WATCH.mark()
            self._wait_fresh(ring)
        state = ring.state()
        if state.lost:
            raise WindowInvalid(f"the source was lost: {state.reason}")
        now = time.monotonic_ns()
        return Mark(now, State(self._generation, state.epoch, state.written, slept_ns()))

    def energy(self, start: Mark, end: Mark) -> WindowEnergy:
        """Energy between two marks; waits, bounded, for the sample after the end. Raises WindowInvalid."""
        first, last = start.state, end.state
        if not (isinstance(first, State) and isinstance(last, State)):
            raise TypeError("these marks belong to another probe")
        if self._ring is None or self._process is None:
            raise ProbeError("this probe is not open", "open it before the first mark")
        if first.generation != self._generation or self._process.poll() is not None:
            died = self._ended if first.generation != self._generation else _death(self._process.returncode)
            raise WindowInvalid(f"the sampler process died in the window ({died})")
        check_awake(first.slept_ns, last.slept_ns)
        WATCH.check(start.t_ns, end.t_ns)
        t_s, power_w, timing = self._bracketed(first, end.t_ns)
        return integrate(t_s, power_w, start.t_ns / 1e9, end.t_ns / 1e9, self.source_info, timing)

    def latest(self) -> Sample | None:
        """The last sample, None before the first one."""
        ring = self._alive()
        records = ring.records(ring.state().written - 1)
        return Sample(int(records["t_ns"][-1]), float(records["power"][-1])) if len(records) else None

    def samples(self, start: Mark, end: Mark) -> list[Sample]:
        """The samples between two marks as they arrived, for a recording."""
        first = start.state
        if not isinstance(first, State) or self._ring is None:
            raise TypeError("these marks belong to another probe, or this one is closed")
        records = self._ring.records(first.count)
        kept = records[(records["t_ns"] >= start.t_ns) & (records["t_ns"] <= end.t_ns)]
        device = self.source_info.device_clock
        return [Sample(int(r["t_ns"]), float(r["power"]), float(r["device"]) if device else None) for r in kept]

    def sampler_share(self) -> float:
        """Share of one processor the sampler took since the last call (or since `open`)."""
        then_s, since = self._share_from
        self._share_from = now_s, now = self._cpu_s(), time.monotonic()
        return max(0.0, now_s - then_s) / max(now - since, 1e-9)

    def _cpu_s(self) -> float:
        """Processor seconds of the sampler, by its own clock: /proc/PID/stat counts in steps of 10 ms."""
        if self._process is None:
            raise ProbeError("this probe is not open", "open it first")
        try:
            return time.clock_gettime(~self._process.pid << 3 | 2)  # as clock_getcpuclockid(3) makes it
        except OSError:
            return 0.0

    def _alive(self) -> RingReader:
        """The ring of a sampler that runs; one that died is started again."""
        if not self._wanted:
            raise ProbeError("this probe is not open", "open it before the first mark")
        if self._process is None or self._process.poll() is not None:
            self._stop()
            try:
                self.open()  # should it fail, the next mark tries again
            except ProbeError as error:
                raise WindowInvalid(f"the sampler process died and its source is gone: {error.reason}") from None
        if self._ring is None:
            raise WindowInvalid("the sampler process died")
        return self._ring

    def _wait_fresh(self, ring: RingReader) -> None:
        refresh_s = self.info.refresh_s
        fresh_ns = max(FRESH_S, MAX_GAP_REFRESHES * refresh_s) * 1e9
        deadline = time.monotonic() + max(RETURN_S, MAX_GAP_REFRESHES * refresh_s)
        while True:
            state = ring.state()
            if not state.lost and state.written:
                records = ring.records(state.written - 1)
                if len(records) and time.monotonic_ns() - int(records["t_ns"][-1]) < fresh_ns:
                    return
            if time.monotonic() > deadline:
                raise WindowInvalid(
                    f"the source was lost: {state.reason}" if state.lost else "the source gives no samples"
                )
            time.sleep(min(0.02, refresh_s))

    def _bracketed(self, first: State, end_ns: int) -> tuple[NDArray[Any], NDArray[Any], Timing]:
        """Times and powers from before the window to after its end."""
        info, ring = self.source_info, self._ring
        if ring is None:
            raise ProbeError("this probe is not open", "open it first")
        refresh_s = info.info.refresh_s
        begin = max(0, first.count - CONTEXT)
        deadline = time.monotonic() + max(1.0, MAX_GAP_REFRESHES * refresh_s) + info.smoothing_s
        while True:
            stream = ring.state()
            records = ring.records(begin)
            if len(records) and int(records["number"][0]) > max(begin, first.count - 2):
                held_s = ring.capacity * refresh_s
                raise WindowInvalid(f"the window is longer than the {held_s:.0f} s of samples that are held")
            records = records[records["epoch"] == first.epoch]
            late = stream.epoch != first.epoch or time.monotonic() > deadline
            if late or (len(records) and int(records["t_ns"][-1]) >= end_ns):
                t_s, power_w, timing = _on_our_clock(records, info)
                if late or t_s[-1] >= end_ns / 1e9:
                    break
            time.sleep(min(0.02, refresh_s / 2))
        if not len(t_s) or t_s[-1] < end_ns / 1e9:
            if stream.epoch != first.epoch:
                raise WindowInvalid(f"the source was lost in the window: {stream.reason}")
            raise WindowInvalid("the samples stopped before the window ended")
        return t_s, power_w, timing


def _on_our_clock(records: NDArray[Any], info: SourceInfo) -> tuple[NDArray[Any], NDArray[Any], Timing]:
    """Samples on CLOCK_MONOTONIC, strictly in order of time."""
    import numpy as np

    t_s, timing = records["t_ns"] / 1e9, Timing()
    if info.device_clock and len(t_s):
        fit = fit_clock(records["device"], t_s, max(JUMP_S, MAX_GAP_REFRESHES * info.info.refresh_s))
        t_s, timing = fit.host_s(records["device"]), Timing(fit.residual_s, fit.rate_sigma)
    later = np.concatenate((np.ones(min(1, len(t_s)), bool), np.diff(t_s) > 0))
    return t_s[later], records["power"][later], timing


def _death(code: int | None) -> str:
    if code is None or code >= 0:
        return f"exit code {code}"
    return f"signal {-code}, {signal.Signals(-code).name}"
