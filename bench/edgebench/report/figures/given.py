"""What the figures of each kind of benchmark are made from, and what they are: the same for every kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from edgebench.report.metric import Metrics, Reasons

if TYPE_CHECKING:
    from edgebench.measure.ledger import IdlePower
    from edgebench.report.figures.timeline import Timeline
    from edgebench.report.records import ArtifactRecord, RoofRecord, StartRecord


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
