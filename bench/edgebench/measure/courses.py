"""What a run without a pause answers: its course by the second, and of a language model what its requests were."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Literal, get_args

from edgebench.measure.messages import Message
from edgebench.measure.results import Batch, ModelAnswer, Windows

Phase = Literal["all", "cold", "hot"]
PHASES: tuple[Phase, ...] = get_args(Phase)
# A phase is cut into so many windows, so that its spread is known.
WINDOWS = 4


class BinPower(Message, frozen=True, kw_only=True):
    """Mean power of one probe in each bin; None where it could not be read at both edges."""

    probe: str
    scope: str
    power_w: tuple[float | None, ...]


class Course(Message, frozen=True, kw_only=True):
    """Passes without a pause, cut into bins of about a second by `edges_s`; the other lists have one entry a bin.

    `longest_s` is the longest pass of a bin, `cpu_s` the processor time it took, `phase_s` the length of the cold and
    of the hot phase; `energy` has the windows of each phase and of the whole.
    """

    edges_s: tuple[float, ...]
    passes: tuple[int, ...]
    cpu_s: tuple[float, ...]
    longest_s: tuple[float, ...]
    phase_s: float
    power: tuple[BinPower, ...] = ()
    energy: Mapping[Phase, Windows] = {}

    def ends(self, phase: Phase) -> tuple[int, int]:
        """Return the first and the last edge of a phase: whole bins, one at least."""
        edges, last, longest_s = self.edges_s, len(self.edges_s) - 1, self.phase_s + 0.5
        if phase == "cold":
            return 0, max([1, *(place for place, edge in enumerate(edges) if edge - edges[0] <= longest_s)])
        if phase == "hot":
            return min([last - 1, *(at for at, edge in enumerate(edges) if edges[last] - edge <= longest_s)]), last
        return 0, last

    def cuts(self, phase: Phase, parts: int = WINDOWS) -> list[int]:
        """Return the edges that cut a phase into parts of whole bins, fewer where it has fewer bins."""
        first, last = self.ends(phase)
        return sorted({first + (last - first) * part // parts for part in range(parts + 1)})

    @property
    def seconds(self) -> tuple[float, ...]:
        """The length of each bin."""
        return tuple(b - a for a, b in pairwise(self.edges_s))

    @property
    def total_s(self) -> float:
        """The length of the whole run."""
        return self.edges_s[-1] - self.edges_s[0]


class CourseRequests(Batch, frozen=True, kw_only=True):
    """The requests that are the passes of a course: what each bin read and generated.

    `prefill_s` and `decode_s` have an entry a bin, of all its requests; `prefill` and `decode` are windows of single
    passes, by phase of the run.
    """

    prefill_s: tuple[float, ...]
    decode_s: tuple[float, ...]
    prefill: Mapping[Phase, Windows] = {}
    decode: Mapping[Phase, Windows] = {}


class SustainedResult(ModelAnswer, frozen=True, kw_only=True, tag="sustained"):
    """A run without a pause; `requests` are there for a language model, whose passes are whole requests."""

    course: Course
    requests: CourseRequests | None = None

    @property
    def values(self) -> tuple[float, ...]:
        """Mean seconds of a pass in each bin."""
        return tuple(length / n for length, n in zip(self.course.seconds, self.course.passes, strict=True))
