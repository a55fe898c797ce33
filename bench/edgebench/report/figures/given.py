"""What the figures of each kind of benchmark are made from, and what they are: the same for every kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

from edgebench.plan.kinds import KINDS
from edgebench.report.metric import Metrics, Reasons

if TYPE_CHECKING:
    from edgebench.measure.ledger import IdlePower
    from edgebench.plan.plan import Benchmark
    from edgebench.report.figures.timeline import Timeline
    from edgebench.report.records import ArtifactRecord, RoofRecord, RunRecord, StartRecord


@dataclass(frozen=True, slots=True)
class Given:
    """What is known besides a benchmark's runs: its artifact, idle powers, how the session began, resources, roofs."""

    artifact: ArtifactRecord | None
    idle: Sequence[IdlePower]
    start: StartRecord
    seen: Timeline | None
    roofs: Sequence[RoofRecord] = ()


@dataclass(frozen=True, slots=True)
class Figures:
    """Metrics, the reasons for those that are missing, and other fields of the report's benchmark."""

    metrics: Metrics
    missing: Reasons
    fields: Mapping[str, Any] = field(default_factory=dict)


def figures_of(cell: Benchmark, runs: Sequence[RunRecord], given: Given) -> Figures:
    """Return the figures of a benchmark with at least one run, as its kind makes them."""
    return cast("Figures", import_module(KINDS[cell.kind].figures).figures(cell, runs, given))
