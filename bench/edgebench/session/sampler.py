"""The session's side of the sampler: it runs beside everything, and its samples go into the journal step by step."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import msgspec

from edgebench.errors import ReportError
from edgebench.machine.child import PARENT
from edgebench.machine.readers import SeriesInfo
from edgebench.machine.sampling import SamplerHead, SamplerJob
from edgebench.report.metric import Watts, widest
from edgebench.report.records import (
    DiscardedRecord,
    FailedRecord,
    IdleRecord,
    LostRecord,
    PreparedRecord,
    ResourcesRecord,
    ResumedRecord,
    RunRecord,
    StartRecord,
)

if TYPE_CHECKING:
    from edgebench.measure.messages import ProbeSettings
    from edgebench.report.log import Log
    from edgebench.report.records import AnyRecord

MODULE = "edgebench.machine.sampling"
STOP_S = 2.0
# The first line and a sample are far shorter.
_HEAD_BYTES, _TAIL_BYTES = 2**20, 2**14
_ROW = msgspec.json.Decoder(tuple[float | None, ...])
# The steps of a session after which its samples so far are put on disk.
STEPS = (IdleRecord, PreparedRecord, RunRecord, DiscardedRecord, LostRecord, FailedRecord)


@contextlib.contextmanager
def recorded(log: Log, rate_hz: float, probes: ProbeSettings) -> Iterator[Recording]:
    """Sample resources `rate_hz` times a second (0: not at all) for the time of the block, into the log."""
    recording = Recording(log, rate_hz, probes)
    log.after = recording.step
    try:
        yield recording
    finally:
        recording.close()
        log.after = None


class Recording:
    """A running sampler; it starts with the first step, so that a session that cannot start has none."""

    def __init__(self, log: Log, rate_hz: float, probes: ProbeSettings) -> None:
        self._log = log
        self._rate_hz = rate_hz
        self._probes = probes
        self._process: subprocess.Popen[bytes] | None = None
        self._file = -1
        self._read_to = 0
        self._head: SamplerHead | None = None
        self._infos: tuple[SeriesInfo, ...] | None = None

    def step(self, record: AnyRecord) -> None:
        """Begin with the first record of each part of a session; after a step, put the samples so far on disk."""
        if isinstance(record, StartRecord | ResumedRecord):
            self.begin()
        elif isinstance(record, STEPS) and self._file >= 0:
            self._keep(self._file, self._process)

    def power(self) -> Watts | None:
        """Return the latest power of the widest scope, for whoever watches; it may be asked for at any moment."""
        if (file := self._file) < 0:
            return None
        with contextlib.suppress(msgspec.DecodeError, OSError):
            if self._infos is None:
                head = os.pread(file, _HEAD_BYTES, 0).partition(b"\n")[0]
                self._infos = msgspec.json.decode(head, type=SamplerHead).series
            size = os.fstat(file).st_size
            line = os.pread(file, _TAIL_BYTES, max(0, size - _TAIL_BYTES)).splitlines()[-1]
            # The first value of a sample is its time.
            powers = zip(self._infos, _ROW.decode(line)[1:], strict=True)
            known = {info.scope or "": value for info, value in powers if info.name == "power_w" and value is not None}
            if (label := widest(known)) is not None:
                return Watts(known[label], label)
        return None

    def close(self) -> None:
        """Stop the sampler; the samples since the last step go on disk as well. Idempotent."""
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()  # a driver may hang in the kernel
                process.wait()
        file, self._file = self._file, -1
        if file >= 0:
            with contextlib.suppress(ReportError):  # a full disk: the session itself says so
                self._keep(file, None)
            os.close(file)

    def begin(self) -> None:
        """Start the sampler, where one is wanted."""
        if not self._rate_hz or self._file >= 0:
            return
        job = msgspec.json.encode(SamplerJob(self._rate_hz, self._probes.specs, self._probes.sysfs)).decode()
        self._file = os.memfd_create("edgebench-resources", os.MFD_CLOEXEC)
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-m", MODULE, str(self._file), job],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[self._file],
                env={**os.environ, PARENT: str(os.getpid())},
            )
        except OSError:  # no process to be had: the session itself will say so, and better
            self._process = None

    def _keep(self, file: int, process: subprocess.Popen[bytes] | None) -> None:
        lines = self._lines(file)
        if self._head is None and lines:
            self._head = msgspec.json.decode(lines.pop(0), type=SamplerHead)
        samples = tuple(_ROW.decode(line) for line in lines)
        ended = process is not None and process.poll() is not None
        head = self._head
        if head is None:
            if ended:
                self._log.add(ResourcesRecord(rate_hz=self._rate_hz, ended=True))
        elif samples or ended:
            self._log.add(
                ResourcesRecord(
                    rate_hz=self._rate_hz,
                    ended=ended,
                    series=head.series,
                    missing=head.missing,
                    samples=samples,
                    clock=head.clock,
                )
            )

    def _lines(self, file: int) -> list[bytes]:
        """Return the whole lines since the last look."""
        content = os.pread(file, os.fstat(file).st_size - self._read_to, self._read_to)
        whole = content[: content.rfind(b"\n") + 1]
        self._read_to += len(whole)
        return whole.splitlines()
