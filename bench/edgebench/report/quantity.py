"""The parts of a report that say how much: a metric, why one is missing, joules of a phase."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from edgebench.report.base import Amount, Count, Few, Many, Name, Pair, Part, Table, Text
from edgebench.report.catalogue import Better


class Notice(Part):
    """A warning as data: `code` for programs, `text` a sentence for people."""

    code: Name
    text: Text


class Missing(Part):
    """Why a figure is not there, and what would bring it."""

    reason: Text
    fix: Text | None = None


class Passes(Part):
    """Percentiles of single passes in seconds, one entry a run; `count` is the number of passes of all runs."""

    count: Count
    p50: Many[Amount]
    p90: Many[Amount]
    p95: Many[Amount]
    p99: Many[Amount]


class Metric(Part):
    """One measured quantity.

    `runs` holds the values of each worker process, in order. `value` is there for what has one value only (a size).
    `median` is that over runs of the runs' medians and `ci95` its interval (`report.intervals`): the run is the unit
    of replication, and fewer than five have none.
    `uncertainty` is 1 sigma (random) and `systematic` 1 sigma (common to all windows), both in `unit`; `parts` splits
    the uncertainty by its causes, in `unit`. `loops` is the number of passes behind each value, `warmups` the values
    before the measured ones, both one entry a run.
    `images` is the number of test images behind an accuracy.
    """

    unit: Name
    better: Better
    value: float | None = None
    runs: Few[Many[float]] | None = None
    count: Annotated[int, Field(ge=1)]
    mean: float
    median: float
    stdev: Amount | None = None
    min: float
    max: float
    p90: float | None = None
    p95: float | None = None
    p99: float | None = None
    ci95: Pair | None = None
    scope: Name | None = None
    probe: Name | None = None
    uncertainty: Amount | None = None
    systematic: Amount | None = None
    parts: Table[Amount] | None = None
    passes: Passes | None = None
    loops: Few[Annotated[int, Field(ge=1)]] | None = None
    warmups: Few[Many[float]] | None = None
    images: Annotated[int, Field(ge=1)] | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.unit in {"s", "B"} and self.min < 0:
            message = f"a quantity in {self.unit} cannot be negative"
            raise ValueError(message)
        if self.min > self.max:
            message = "min is larger than max"
            raise ValueError(message)
        if self.ci95 is not None and self.ci95[0] > self.ci95[1]:
            message = "ci95 must be [low, high]"
            raise ValueError(message)
        return self


class Joules(Part):
    """An energy with its random uncertainty (1 sigma), both in joules, and the probe that measured it."""

    energy_j: float
    uncertainty_j: Amount | None = None
    probe: Name | None = None
