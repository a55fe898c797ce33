"""The clock of another machine: offset and drift from exchanges as in NTP, each with an honest bound. Pure.

An exchange has four times: sent (ours), received and answered (theirs), returned (ours). The offset theirs - ours lies
within rtt/2 of its estimate whatever the delays were (RFC 5905, 8). Exchanges with a small round trip are trusted.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

from edgebench_probes.base import ProbeError

KEPT = 64
MAX_DRIFT = 5e-4  # two crystals within 250 ppm each: beyond it, a clock was set or stood still
AGEING = 2.5e-4
NEXT_S = 0.5  # until the next exchange
SLACK_S = 2e-4  # reading a clock and being scheduled
FIT_EXCHANGES = 8
FIT_SPAN_S = 2.0


class ClockJumped(ProbeError):  # noqa: N818 - says what is so
    """No one offset and drift explain the exchanges: the other clock was set, or its machine slept."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """`offset_s` theirs minus ours at `at_s` (ours), within `bound_s`."""

    at_s: float
    offset_s: float
    bound_s: float


def exchange(sent_ns: int, received_ns: int, answered_ns: int, returned_ns: int) -> Exchange:
    """One exchange; raises ClockJumped when it took less than no time."""
    round_trip = (returned_ns - sent_ns) - (answered_ns - received_ns)
    if round_trip < -SLACK_S * 1e9 or answered_ns < received_ns or returned_ns < sent_ns:
        raise ClockJumped("a time exchange contradicts itself")
    offset_ns = ((received_ns - sent_ns) + (answered_ns - returned_ns)) / 2
    return Exchange((sent_ns + returned_ns) / 2e9, offset_ns / 1e9, max(round_trip, 0) / 2e9)


class LinkClock:
    """Offset and drift over the last exchanges."""

    def __init__(self) -> None:
        self._kept: deque[Exchange] = deque(maxlen=KEPT)
        self._origin = Exchange(0.0, 0.0, math.inf)
        self.drift = 0.0
        self.sigma_s = math.inf

    def add(self, new: Exchange) -> None:
        """Take one exchange; raises ClockJumped when it contradicts one before, whatever the delays were."""
        for old in self._kept:
            allowed = old.bound_s + new.bound_s + MAX_DRIFT * abs(new.at_s - old.at_s) + SLACK_S
            if abs(new.offset_s - old.offset_s) > allowed:
                step = new.offset_s - old.offset_s
                raise ClockJumped(f"the clock of the other machine jumped by {step:.6f} s")
        self._kept.append(new)
        self._fit()

    def _fit(self) -> None:
        """Take the exchange that bounds the offset best by now, or a line through the quick ones where that is better.

        A bound grows with age by what two crystals may differ.
        """
        now_s = self._kept[-1].at_s
        self._origin = min(self._kept, key=lambda e: e.bound_s + AGEING * (now_s - e.at_s))
        self.drift = 0.0
        self.sigma_s = (self._origin.bound_s + AGEING * (now_s - self._origin.at_s + NEXT_S)) / math.sqrt(3)
        best = min(e.bound_s for e in self._kept)
        good = [e for e in self._kept if e.bound_s <= 1.5 * best + SLACK_S / 4]
        span_s = good[-1].at_s - good[0].at_s
        if len(good) < FIT_EXCHANGES or span_s < FIT_SPAN_S:
            return
        mean_s = math.fsum(e.at_s for e in good) / len(good)
        mean_offset = math.fsum(e.offset_s for e in good) / len(good)
        slope = math.fsum((e.at_s - mean_s) * (e.offset_s - mean_offset) for e in good)
        slope /= math.fsum((e.at_s - mean_s) ** 2 for e in good)
        squares = math.fsum((e.offset_s - mean_offset - slope * (e.at_s - mean_s)) ** 2 for e in good)
        # An asymmetric path shifts all exchanges alike: their bound does not shrink by averaging. It may tilt the line
        # as well, which tells where the good exchanges lie some time back.
        bound_s = max(e.bound_s for e in good)
        beyond_s = min(2 * AGEING, 2 * bound_s / span_s) * (now_s - good[-1].at_s)
        sigma_s = math.hypot((bound_s + beyond_s) / math.sqrt(3), math.sqrt(squares / (len(good) - 2)))
        if sigma_s < self.sigma_s and abs(slope) <= MAX_DRIFT:
            self.drift, self._origin, self.sigma_s = slope, Exchange(mean_s, mean_offset, bound_s), sigma_s

    def ours_ns(self, theirs_ns: int) -> int:
        """Our time of a time of theirs (ns)."""
        origin = self._origin
        theirs_s = theirs_ns / 1e9
        ours_s = origin.at_s + (theirs_s - origin.offset_s - origin.at_s) / (1 + self.drift)
        return theirs_ns + round((ours_s - theirs_s) * 1e9)
