"""What a report lacks of what makes its answer, and why: each reason once."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeVar

from edgebench.plan.kinds import KINDS
from edgebench.report.catalogue import METRICS

if TYPE_CHECKING:
    from edgebench.report.model import Benchmark, Report

_PATH = re.compile(r"/[^\s:,()]+")
Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Gap:
    """Something missing: a metric of benchmarks, whole benchmarks, or their last runs.

    `what` is ``metric``, ``failed``, ``skipped`` or ``runs``, `metric` its name where it is one. `names` are the
    benchmarks, `everywhere` whether no benchmark that could have it has it.
    """

    what: Literal["metric", "failed", "skipped", "runs"]
    names: tuple[str, ...]
    reason: str
    fix: str | None = None
    metric: str | None = None
    everywhere: bool = False


def gaps_of(report: Report) -> Iterator[Gap]:
    """Yield what failed, what was left out, whose runs are missing, then the missing metrics that decide an answer."""
    for status in ("failed", "skipped"):
        reasons = ((row.reason or "", row.name) for row in report.benchmarks if row.status == status)
        for reason, names in _by_cause(reasons):
            yield Gap("failed" if status == "failed" else "skipped", names, reason)
    short = ((note.text, row.name) for row in report.benchmarks for note in row.warnings if note.code == "runs-missing")
    for text, names in _by_reason(short):
        yield Gap("runs", names, text)
    measured = [row for row in report.benchmarks if row.status == "ok" and row.kind in KINDS]
    for metric, info in METRICS.items():
        if info.wins is not None:
            yield from _of_metric(metric, measured)


def _of_metric(metric: str, measured: Sequence[Benchmark]) -> Iterator[Gap]:
    """Yield why benchmarks lack a metric, as the report says it."""
    everywhere = not any(metric in row.metrics for row in measured)
    lacking = [
        (row.missing[metric], row.name) for row in measured if metric not in row.metrics and metric in row.missing
    ]
    for missing, names in _by_reason(((one.reason, one.fix), name) for one, name in lacking):
        yield Gap("metric", names, missing[0], missing[1], metric, everywhere)


def _by_cause(found: Iterable[tuple[str, str]]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Group by reasons that differ in the files they name alone; the first of them stands for all."""
    told = [(_PATH.sub("/", reason), reason, name) for reason, name in found]
    first = {cause: reason for cause, reason, _ in reversed(told)}
    for cause, names in _by_reason((cause, name) for cause, _, name in told):
        yield first[cause], names


def _by_reason(found: Iterable[tuple[Key, str]]) -> Iterator[tuple[Key, tuple[str, ...]]]:
    names: dict[Key, list[str]] = {}
    for reason, name in found:
        names.setdefault(reason, []).append(name)
    yield from ((reason, tuple(group)) for reason, group in names.items())
