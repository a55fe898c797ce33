"""The parts of a report that run over time: resources, and the course of a sustained run."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from edgebench.report.base import Amount, Count, Few, Many, Name, Pair, Part, Table, Text
from edgebench.report.quantity import Missing


class ResourceSeries(Part):
    """One resource over time, at most some 500 points whatever the session's length.

    `t_s` are seconds on the axis of `resources`, `value` the samples. Of a longer series, a point is a bin of `bin_s`
    seconds: its mean, with the least and the highest sample in `min` and `max`. Where nothing was sampled, there is no
    point. `samples` counts what was read. Of processor time, 100 % is one processor.
    """

    name: Name
    unit: Name
    source: Text | None = None
    scope: Name | None = None
    samples: Count
    bin_s: Amount | None = None
    t_s: Many[float]
    value: Many[float]
    min: Many[float] | None = None
    max: Many[float] | None = None

    @model_validator(mode="after")
    def _same_length(self) -> Self:
        if any(len(values) != len(self.t_s) for values in (self.value, self.min, self.max) if values is not None):
            message = f"the lists of the series {self.name[:80]!r} differ in length"
            raise ValueError(message)
        return self


class ResourceSpan(Part):
    """A stretch of the axis: a run or the making of an artifact (`name`: its benchmark), a phase of it, or idling."""

    name: Name
    kind: Literal["prepare", "run", "idle"]
    phase: Name | None = None
    begin_s: Amount
    end_s: Amount


class ResourceSummary(Part):
    """A resource inside the timed part of a benchmark's runs: mean and highest of so many samples."""

    unit: Name
    mean: float
    peak: float
    samples: Count


class Resources(Part):
    """Use of resources over the whole session, sampled `rate_hz` times a second; the axis begins with the first sample.

    `missing` says by series (``power_w.package``) why it is not there.
    """

    rate_hz: Amount
    series: Few[ResourceSeries] = ()
    spans: Few[ResourceSpan] = ()
    missing: Table[Missing] = Field(default_factory=dict)


class ContextBin(Part):
    """Steps of generating at places `begin` to `end` (not itself) of the context: the median over runs, in seconds."""

    begin: Count
    end: Count
    step_s: Amount


class Generated(Part):
    """What a benchmark of kind ``generate`` generated: the first run's tokens, and how a step grows with the context.

    With a `batch`, `tokens` are those of its first request, whose prompt is that of a request made alone, and `others`
    those of the others, each of `generated_tokens`; `alone` says of each request, the first one first, how many of its
    tokens come when it is made alone too, up to the first that does not. `repeats`: every request of every run gave
    the same tokens.
    """

    prompt_tokens: Count
    generated_tokens: Count
    tokens: Many[Count]
    repeats: bool
    batch: Count = 1
    others: Few[Many[Count]] = ()
    alone: Few[Count] | None = None
    course: Few[ContextBin] = ()


class Change(Part):
    """A ratio hot over cold in one run; `uncertainty` (1 sigma) is what measuring adds itself.

    `ci95` is from the windows of both phases, which follow each other in one process: it is of this run, not of others.
    """

    ratio: Amount
    ci95: Pair | None = None
    uncertainty: Amount | None = None


class Sustained(Part):
    """The course of one sustained run; seconds count from its first pass, at `begin_s` on the axis of `resources`.

    `cold` and `hot` are [begin, end] of the first and the last minute (a quarter of a run shorter than four), `bin_s`
    the mean length of a bin. `verdict`: ``none`` (no lasting fall of throughput), ``throttled`` (a counter, a firmware
    flag or the frequency says so), ``slowed`` (a lasting fall whose cause this machine does not show) or ``disturbed``
    (one while others took the processor); `fall` is the share of throughput lost, from `onset_s` on.
    """

    seconds: Amount
    passes: Count
    bin_s: Amount
    longest_pass_s: Amount
    begin_s: Amount | None = None
    cold: Pair
    hot: Pair
    series: Few[ResourceSeries] = ()
    hot_over_cold: Table[Change] = Field(default_factory=dict)
    verdict: Literal["none", "throttled", "slowed", "disturbed"]
    verdict_text: Text
    onset_s: Amount | None = None
    fall: Amount | None = None
