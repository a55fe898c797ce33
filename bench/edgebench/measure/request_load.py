"""Requests to a language model without a pause: what each bin of a load reads and generates, and the joules of both."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import hypot
from typing import TYPE_CHECKING

from edgebench.backends.decoder import Generation, Request, stamps_for
from edgebench.errors import BackendError
from edgebench.measure.courses import PHASES, CourseRequests
from edgebench.measure.probes import place_of
from edgebench.measure.results import Window, Windows
from edgebench.measure.windows import marked, window_between
from edgebench_probes.base import ProbeError

if TYPE_CHECKING:
    from edgebench.measure.courses import Course, Phase
    from edgebench.measure.probes import Opened
    from edgebench_probes.base import Mark, Probe

# A load holds so many requests at least: with fewer there is no first quarter to hold the last one against.
LEAST = 4
# So many of the marked requests of a phase, spread over it, are worked out at most.
MOST = 64


@dataclass(slots=True)
class _Bin:
    """What the requests of a bin took.

    Of the first of them `marks` are those at its beginning, its first token and its end; `marked_s` its two halves.
    """

    prefill_s: float = 0.0
    decode_s: float = 0.0
    marks: tuple[Sequence[Mark | None], ...] = ()
    marked_s: tuple[float, float] = (0.0, 0.0)


@dataclass(slots=True)
class RequestLoad:
    """Requests that are made again and again, at once or one alone, as the passes of a load of `seconds`.

    Of every bin the first request has marks of its own where the prompt has been read and where the answer ends: what
    is kept grows with the seconds, not with the requests.
    """

    request: Request
    found: Opened
    seconds: float
    bins: list[_Bin] = field(default_factory=lambda: [_Bin()])
    tokens: list[list[int]] = field(default_factory=list)
    same: bool = True

    def __call__(self) -> None:
        """Make a request; raises BackendError where so long a one leaves the load too few."""
        found, prefill_s, decode_s = self._made()
        if not self.tokens:
            self.tokens = found
            if LEAST * (request_s := prefill_s + decode_s) > self.seconds:
                raise BackendError(
                    f"a request takes {request_s:.1f} s, and a load of {self.seconds:g} s holds fewer than {LEAST} of "
                    "them: ask for less (--prompt-tokens, --generate), or raise sustained_s"
                )
        self.same = self.same and self.tokens == found
        now = self.bins[-1]
        now.prefill_s += prefill_s
        now.decode_s += decode_s

    def next_bin(self) -> None:
        """Begin the next bin."""
        self.bins.append(_Bin())

    def told(self, course: Course) -> CourseRequests:
        """Return what was read and generated in each bin of a course, and the windows of both halves of a request."""
        bins = self.bins[: len(course.passes)]
        windows = [self._windows(bins, course, half) for half in (0, 1)]
        first, *others = map(tuple, self.tokens)
        return CourseRequests(
            prompt=self.request.length,
            generated=self.request.count,
            prefill_s=tuple(one.prefill_s for one in bins),
            decode_s=tuple(one.decode_s for one in bins),
            tokens=first,
            others=tuple(others),
            same=self.same,
            prefill=windows[0],
            decode=windows[1],
        )

    def _made(self) -> tuple[list[list[int]], float, float]:
        """Make a pass; return the tokens of each request, the seconds to the first of them, and those of the others."""
        request, clock = self.request, time.perf_counter_ns
        if not isinstance(request, Generation):
            stamps = stamps_for(request.count)
            found = request.stamped(stamps)
            return found, (stamps[1] - stamps[0]) * 1e-9, (stamps[-1] - stamps[1]) * 1e-9
        probes, now = self.found.probes, self.bins[-1]
        first = bool(probes) and not now.marks
        begin = marked(probes) if first else []
        stamps_ns = [clock()]
        tokens = request.prefill()
        stamps_ns.append(clock())
        middle = marked(probes) if first else []
        stamps_ns.append(clock())
        found = request.decode(tokens)
        stamps_ns.append(clock())
        halves = (stamps_ns[1] - stamps_ns[0]) * 1e-9, (stamps_ns[3] - stamps_ns[2]) * 1e-9
        if first:
            now.marks, now.marked_s = (begin, middle, marked(probes)), halves
        return found, *halves

    def _windows(self, bins: Sequence[_Bin], course: Course, half: int) -> dict[Phase, Windows]:
        """Return the windows of one half of the marked requests, by phase of the load."""
        windows: dict[Phase, list[Window]] = {phase: [] for phase in PHASES}
        failed: dict[Phase, dict[str, str]] = {phase: {} for phase in PHASES}
        for place, probe in enumerate(self.found.probes):
            known: dict[int, Window | str] = {}
            for phase in PHASES:
                first, last = course.ends(phase)
                # What a window costs to work out grows with the load's length: of a long one some are enough.
                chosen = range(first, last, -(-(last - first) // MOST))
                known |= {at: _half(probe, place, bins[at], half) for at in chosen if at not in known}
                groups = [[known[at] for at in chosen if a <= at < b] for a, b in pairwise(course.cuts(phase))]
                usable = [[one for one in group if isinstance(one, Window)] for group in groups]
                windows[phase] += [summed(group, index) for index, group in enumerate(usable) if group]
                if not any(usable):
                    reasons = (one for group in groups for one in group if isinstance(one, str))
                    failed[phase][place_of(probe)] = next(reasons)
        told = self.found.told
        return {phase: told(Windows(windows=tuple(windows[phase]), failed=failed[phase])) for phase in PHASES}


def _half(probe: Probe, place: int, one: _Bin, half: int) -> Window | str:
    """Return the window of one half of a bin's marked request, or why there is none."""
    if not one.marks:
        return "the runtime leads a request itself: what reads the prompt cannot be told from what generates"
    try:
        return window_between(probe, one.marks[half][place], one.marks[half + 1][place], 1, one.marked_s[half], 0)
    except ProbeError as error:
        return f"{error}: ask for longer requests (--prompt-tokens, --generate)"


def summed(windows: Sequence[Window], index: int) -> Window:
    """Return windows of one probe, apart from each other, as one: errors of readings add up in squares."""
    first = windows[0]
    names = {name for one in windows for name in one.parts_j}
    return Window(
        probe=first.probe,
        scope=first.scope,
        index=index,
        passes=sum(one.passes for one in windows),
        seconds=sum(one.seconds for one in windows),
        energy_j=sum(one.energy_j for one in windows),
        uncertainty_j=hypot(*(one.uncertainty_j for one in windows)),
        systematic_j=sum(one.systematic_j for one in windows),
        parts_j={name: hypot(*(one.parts_j.get(name, 0.0) for one in windows)) for name in sorted(names)},
        samples=sum(one.samples for one in windows),
        max_gap_s=max(one.max_gap_s for one in windows),
        coverage=min(one.coverage for one in windows),
        begin_s=first.begin_s,
        end_s=windows[-1].end_s,
    )
