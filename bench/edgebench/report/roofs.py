"""The parts of a report that say what its machine can do at most, and what a pass asks of it."""

from __future__ import annotations

from typing import Literal

from edgebench.report.base import Amount, Count, Name, Pair, Part


class Roof(Part):
    """What a machine reaches at most with so many threads in one precision, measured at `created` through `backend`.

    Each rate is a median over rounds, with the least and the highest round as its range: rounds of one process, so no
    interval. `bytes_per_s` is STREAM's triad, the same for every precision.
    """

    threads: Count
    precision: Name
    backend: Name
    created: Name
    operations_per_s: Amount
    operations_range: Pair
    bytes_per_s: Amount
    bytes_range: Pair


class Roofline(Part):
    """The work of one pass, and which roof is above it.

    `operations` counts a multiply-accumulate as two. `bytes` is the least that memory has to deliver: the file's
    weights and the inputs, each once (of an operator: what it reads and writes). `precision` and `threads` name the
    roof, `bound` which of its two sides.
    """

    operations: Count
    bytes: Count
    precision: Name
    threads: Count
    bound: Literal["operations", "memory"]
    roof_operations_per_s: Amount
    roof_range: Pair
