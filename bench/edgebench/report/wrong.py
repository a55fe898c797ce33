"""Which benchmarks answer something else than they should: what they save is no gain."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgebench.report.model import Benchmark
    from edgebench.report.quantity import Notice

CODES = frozenset({"disagrees", "not-finite", "constant"})


def answers_wrongly(benchmark: Benchmark) -> bool:
    """Say whether a warning of the benchmark tells that its answers are not those of the model."""
    return tell_of_wrong(benchmark.warnings)


def tell_of_wrong(notices: Iterable[Notice]) -> bool:
    """Say whether warnings of a benchmark tell that its answers are not those of the model."""
    return any(notice.code in CODES for notice in notices)
