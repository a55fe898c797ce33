"""What a load without a pause does: its rates, bin by bin and in each phase, and what its joules are divided by.

A load of passes has one of each. One of requests to a language model has the rates and joules of reading and generating
beside those of the whole request.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from edgebench.report.figures.generate import GENERATED, PROMPT, answered, by_token

if TYPE_CHECKING:
    from edgebench.measure.courses import Course, Phase, SustainedResult
    from edgebench.measure.results import Windows
    from edgebench.report.course import Generated

_WHOLE = {name: name for name in PROMPT}


@dataclass(frozen=True, slots=True)
class Rate:
    """One rate: its metric, what is counted, and by bin so many of it in so many seconds."""

    name: str
    counted: str
    amounts: Sequence[float]
    seconds: Sequence[float]

    @property
    def by_bin(self) -> list[float]:
        """The rate in each bin."""
        return [amount / length for amount, length in zip(self.amounts, self.seconds, strict=True)]

    @property
    def whole(self) -> float:
        """The rate over the whole load."""
        return sum(self.amounts) / sum(self.seconds)

    def parts(self, course: Course, phase: Phase) -> list[float]:
        """Return the rate in each quarter of a phase."""
        return [sum(self.amounts[a:b]) / sum(self.seconds[a:b]) for a, b in pairwise(course.cuts(phase))]


@dataclass(frozen=True, slots=True)
class Burden:
    """Joules of one kind: what they are called (`names`), and by phase windows whose passes they are divided by."""

    names: Mapping[str, str]
    windows: Mapping[Phase, Windows]


def rates_of(result: SustainedResult, batch: int) -> Iterator[Rate]:
    """Yield the rates of a load, that of its passes first."""
    course, requests = result.course, result.requests
    counted = "passes" if requests is None else "requests"
    yield Rate("throughput_per_s", counted, [batch * count for count in course.passes], course.seconds)
    if requests is not None:
        for name, counted, tokens, seconds in (
            ("prefill_tokens_per_s", "prompt tokens read", requests.read, requests.prefill_s),
            ("decode_tokens_per_s", "tokens generated", requests.stepped, requests.decode_s),
        ):
            yield Rate(name, counted, [tokens * count for count in course.passes], seconds)


def burdens_of(result: SustainedResult) -> Iterator[Burden]:
    """Yield the joules of a load, those of its passes first."""
    yield Burden(_WHOLE, result.course.energy)
    if (requests := result.requests) is not None:
        for names, tokens, windows in (
            (PROMPT, requests.read, requests.prefill),
            (GENERATED, requests.stepped, requests.decode),
        ):
            yield Burden(names, {phase: by_token(one, tokens) for phase, one in windows.items()})


def generated(results: Sequence[SustainedResult]) -> Generated | None:
    """Return what the runs generated; None of passes."""
    told = [result.requests for result in results if result.requests is not None]
    return answered(told) if told else None
