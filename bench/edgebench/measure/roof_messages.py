"""What the process that measures roofs is asked, and what it answers."""

from __future__ import annotations

from collections.abc import Mapping

from edgebench.measure.messages import Answer, Job, Message


class RoofJob(Job, frozen=True, kw_only=True, tag="roofs"):
    """Which runtime measures, on which processors, with how many threads; a round takes at least `round_s` of each."""

    backend: str
    threads: int
    cpus: tuple[int, ...]
    rounds: int = 6
    round_s: float = 0.04


class Peak(Message, frozen=True):
    """A rate, the median over rounds, and the least and the highest round, all a second."""

    value: float
    low: float
    high: float


class RoofResult(Answer, frozen=True, kw_only=True, tag="roof-result"):
    """Operations a second by precision, bytes a second, and why a precision has none."""

    backend: str
    threads: int
    operations_per_s: Mapping[str, Peak]
    bytes_per_s: Peak
    missing: Mapping[str, str] = {}
    versions: Mapping[str, str] = {}
