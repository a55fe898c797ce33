"""A meter on a link as a source of power samples: requests, framing, time stamps, and the ways it can fall silent."""

from __future__ import annotations

import contextlib
import math
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol as Shape

from edgebench_probes.base import ProbeError
from edgebench_probes.meters.link import Link
from edgebench_probes.meters.protocol import ProtocolError, Reading
from edgebench_probes.plausible import Direction
from edgebench_probes.sampling.source import Sample, Source, SourceInfo, SourceLost

SILENT_S = 2.0  # and 10 refreshes: a meter without a valid reading for this long is lost
JUMP_S = 0.1
DELAYS = 20
REPLY_S, REPLY_PERIODS = 1.0, 5  # a request without an answer for so long: the next answer would have no sure time


class FramerLike(Shape):
    """What cuts bytes into frames."""

    @property
    def skipped(self) -> int:
        """Bytes that belonged to no frame."""

    def feed(self, data: bytes) -> list[bytes]:
        """Take bytes and return whole frames."""

    def clear(self) -> None:
        """Forget an unfinished frame."""


class ReportFramer:
    """Frames are reports already: keeps the valid ones."""

    def __init__(self, valid: Callable[[bytes], bool]) -> None:
        self._valid = valid
        self.skipped = 0

    def feed(self, data: bytes) -> list[bytes]:
        """Take one report."""
        if self._valid(data):
            return [data]
        self.skipped += len(data)
        return []

    def clear(self) -> None:
        """Nothing is kept."""


@dataclass(frozen=True, slots=True)
class Talk:
    """How to talk to a meter.

    `hello` and `bye` are sent on opening and closing, `beat` every `beat_s`: to keep a stream alive, or, where
    `polled`, to ask for one reading. A frame of several readings has them `spacing_s` apart, the last one as it is
    sent; frames that the meter paces itself come every `packet_s`. Frames with the meter's own time may lie in the
    kernel for `batch_s`: fewer wake-ups, and one frame of each batch is waited for, so that its arrival is fresh.
    """

    framer: Callable[[], FramerLike]
    decode: Callable[[bytes], list[Reading]]
    hello: tuple[bytes, ...] = ()
    beat: bytes = b""
    beat_s: float = 0.0
    polled: bool = False
    bye: bytes = b""
    spacing_s: float = 0.0
    packet_s: float = 0.0
    batch_s: float = 0.0


class MeterSource(Source):
    """Any meter that speaks frames over a link."""

    def __init__(self, link: Link, talk: Talk, info: SourceInfo) -> None:
        self._link, self._talk, self._source_info = link, talk, info
        self._framer: FramerLike | None = None
        self._beat_due = self._asked_ns = self._last_ns = self._packet_ns = 0
        self._answered = True
        self._heard = 0.0
        self._bytes = 0
        self._batched = False
        self._delays_s: deque[float] = deque(maxlen=DELAYS)
        self._device_s, self._skew_s = -math.inf, math.inf  # last of the meter's clock; least delay behind it

    def describe(self) -> SourceInfo:
        """What this meter is."""
        return self._source_info

    def open(self) -> None:
        """Open the link and greet the meter; raises ProbeError."""
        self._link.open()
        try:
            self._framer = self._talk.framer()
            self._greet()
        except BaseException:
            self._link.close()
            raise
        self.direction = Direction(self._source_info.info.scope)
        self._beat_due = time.monotonic_ns()
        self._packet_ns, self._answered, self._heard = 0, True, time.monotonic()
        self._device_s, self._skew_s = -math.inf, math.inf
        self._batched = bool(self._talk.batch_s)  # the first read waits for a frame
        self._delays_s.clear()
        self._bytes = 0

    def _greet(self) -> None:
        for message in self._talk.hello:
            self._link.write(message)

    def close(self) -> None:
        """Take leave of the meter and close the link."""
        if self._framer is not None and self._talk.bye:
            with contextlib.suppress(ProbeError):
                self._link.write(self._talk.bye)
        self._framer = None
        self._link.close()

    def read(self) -> list[Sample]:
        """Wait up to about one refresh for readings; raises SourceLost."""
        if self._framer is None:
            raise SourceLost(f"the meter at {self._link.node} is not open", "open it first")
        refresh_s = self._source_info.info.refresh_s
        wait_s = max(refresh_s, self._talk.packet_s)
        if self._talk.beat:
            self._beat()
            wait_s = min(wait_s, (self._beat_due - time.monotonic_ns()) / 1e9)
        if self._talk.batch_s:
            self._batched = not self._batched
            if self._batched:
                time.sleep(max(0.0, self._talk.batch_s - refresh_s))
                wait_s = 0.0
        samples: list[Sample] = []
        before_ns = self._last_ns
        data = self._link.read(wait_s)
        arrival_ns = time.monotonic_ns()
        while data:
            self._bytes += len(data)
            for frame in self._framer.feed(data):
                samples += self._samples(frame, arrival_ns)
            data = self._link.more() if self._batched else b""
        if self._talk.batch_s:
            samples = self._date(samples, before_ns)
        now = arrival_ns / 1e9
        if samples:
            self._heard = now
            self._bytes = 0
        elif now - self._heard > max(SILENT_S, 10 * refresh_s):
            raise self._silent(now - self._heard)
        return samples

    def _beat(self) -> None:
        """Send what is due: a polled meter is asked again only when it has answered. Raises SourceLost."""
        now, every_ns = time.monotonic_ns(), int(self._talk.beat_s * 1e9)
        if now < self._beat_due:
            return
        if self._talk.polled:
            if not self._answered:
                if now - self._asked_ns > max(REPLY_S * 1e9, REPLY_PERIODS * every_ns):
                    raise self._silent((now - self._asked_ns) / 1e9)
                self._beat_due = now + every_ns // 4
                return
            if self._framer is not None:
                self._framer.clear()
            self._answered = False
            self._asked_ns = now
        self._link.write(self._talk.beat)
        self._beat_due = max(self._beat_due + every_ns, now + every_ns // 2)

    def _samples(self, frame: bytes, arrival_ns: int) -> list[Sample]:
        try:
            readings = self._decode(frame)
        except ProtocolError:
            return []  # a corrupted value is a gap, which the window will see
        if not readings:
            return []
        t_ns = arrival_ns
        if self._talk.polled:
            if self._answered:  # nobody asked: its time is unknown
                return []
            self._answered = True
            t_ns = (self._asked_ns + arrival_ns) // 2
        elif self._talk.packet_s:
            t_ns = self._smooth(arrival_ns)
        samples = []
        for index, reading in enumerate(readings):
            at = t_ns - round((len(readings) - 1 - index) * self._talk.spacing_s * 1e9)
            if reading.device_s is not None:
                self._check_clock(arrival_ns / 1e9, reading.device_s)
            self._last_ns = max(at, self._last_ns + 1)
            samples.append(Sample(self._last_ns, self.passed(reading.signed_w), reading.device_s))
        return samples

    def _date(self, samples: list[Sample], before_ns: int) -> list[Sample]:
        """Date samples by the meter's own clock and the least delay of the last reads, about a second.

        That delay is of a frame that was waited for, so none of them is dated later than it came.
        """
        if samples:
            self._delays_s.append(samples[-1].t_ns / 1e9 - (samples[-1].device_s or 0.0))
        delay_s = min(self._delays_s, default=0.0)
        dated: list[Sample] = []
        for sample in samples:
            before_ns = max(before_ns + 1, round((delay_s + (sample.device_s or 0.0)) * 1e9))
            dated.append(sample._replace(t_ns=before_ns))
        self._last_ns = before_ns
        return dated

    def _check_clock(self, arrival_s: float, device_s: float) -> None:
        """Raise SourceLost when the meter's clock goes back or leaps ahead: no delay on the way can look like that."""
        skew_s = arrival_s - device_s
        if device_s <= self._device_s:
            raise SourceLost(f"the clock of the meter at {self._link.node} went back", "measure again")
        if skew_s < self._skew_s - JUMP_S < math.inf:
            raise SourceLost(
                f"the clock of the meter at {self._link.node} jumped by {self._skew_s - skew_s:.3f} s", "measure again"
            )
        self._device_s, self._skew_s = device_s, min(skew_s, self._skew_s)

    def _decode(self, frame: bytes) -> list[Reading]:
        return self._talk.decode(frame)

    def _smooth(self, arrival_ns: int) -> int:
        """Time of a packet that comes at a steady pace: never after its arrival, and early by what it was delayed.

        The pace is the meter's, up to 0.1 % slow; after a lost packet the arrival counts.
        """
        packet_ns = self._talk.packet_s * 1e9
        expected = self._packet_ns + round(packet_ns * 1.001)
        self._packet_ns = arrival_ns if arrival_ns - self._packet_ns > 2 * packet_ns else min(arrival_ns, expected)
        return self._packet_ns

    def _silent(self, seconds: float) -> SourceLost:
        node = self._link.node
        if self._bytes:
            return SourceLost(
                f"the meter at {node} has sent {self._bytes} bytes in {seconds:.1f} s and no valid reading among them",
                "check that this is the meter named, and its cable",
            )
        return SourceLost(f"the meter at {node} has been silent for {seconds:.1f} s", "check that it is switched on")
