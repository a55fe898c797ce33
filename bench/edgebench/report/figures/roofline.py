"""What share of this machine's roof a pass reaches (Williams, Waterman and Patterson 2009, CACM 52(4):65)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgebench.report.intervals import middle
from edgebench.report.metric import Metrics, Reasons, metric_from_runs, single_value
from edgebench.report.quantity import Missing
from edgebench.report.roofs import Roof, Roofline

if TYPE_CHECKING:
    from edgebench.measure.results import InferenceResult, Layers
    from edgebench.plan.plan import Benchmark
    from edgebench.report.figures.given import Given
    from edgebench.report.records import RoofRecord

# How many standard deviations the least and the highest of six normal values lie apart (the mean of their range).
_RANGE_OF_SIX = 2.534
NAMES = ("operations_per_s", "operational_intensity", "roofline_fraction")


@dataclass(frozen=True, slots=True)
class _Work:
    operations: int
    moved: int


def roofs(records: Sequence[RoofRecord]) -> Iterator[Roof]:
    """Yield what the machine can do at most, by threads and precision."""
    for record in records:
        if (result := record.result) is None:
            continue
        for precision, peak in result.operations_per_s.items():
            yield Roof(
                threads=record.threads,
                precision=precision,
                backend=result.backend,
                created=record.created or "",
                operations_per_s=peak.value,
                operations_range=(peak.low, peak.high),
                bytes_per_s=result.bytes_per_s.value,
                bytes_range=(result.bytes_per_s.low, result.bytes_per_s.high),
            )


def roofline(
    cell: Benchmark, results: Sequence[InferenceResult], given: Given, found: Metrics, missing: Reasons
) -> Roofline | None:
    """Add operations a second, their intensity and their share of the roof, or why there are none.

    The roof is that of the precision in which most of the layers that multiply really ran. What is not known of it (one
    sigma, by the range of its rounds) is systematic in the share: the same for all runs.
    """
    work = _work(results[0], given, found)
    if isinstance(work, str):
        missing |= {name: Missing(reason=work) for name in NAMES if name not in missing and name not in found}
        return None
    values = [result.times.values for result in results]
    if "operations_per_s" not in found:
        rates = [[work.operations / value for value in run] for run in values]
        found["operations_per_s"] = metric_from_runs("operations_per_s", rates)
    intensity = work.operations / work.moved
    found["operational_intensity"] = single_value("operational_intensity", intensity)
    roof = _roof_of(cell, results[0], given.roofs)
    if isinstance(roof, str):
        missing["roofline_fraction"] = Missing(reason=roof)
        return None
    above = min(roof.operations_per_s, intensity * roof.bytes_per_s)
    low, high = (
        min(operations, intensity * moved)
        for operations, moved in zip(roof.operations_range, roof.bytes_range, strict=True)
    )
    sigma = (high - low) / _RANGE_OF_SIX / above
    shares = [[work.operations / value / above for value in run] for run in values]
    found["roofline_fraction"] = metric_from_runs("roofline_fraction", shares, systematic=sigma * middle(shares))
    return Roofline(
        operations=work.operations,
        bytes=work.moved,
        precision=roof.precision,
        threads=roof.threads,
        bound="operations" if roof.operations_per_s <= intensity * roof.bytes_per_s else "memory",
        roof_operations_per_s=above,
        roof_range=(low, high),
    )


def _work(first: InferenceResult, given: Given, found: Metrics) -> _Work | str:
    """Return what a pass does, or why nobody knows."""
    if (operator := first.operator) is not None:
        if operator.operations is None:
            return "it computes nothing"
        return _Work(operator.operations, operator.bytes_moved)
    if given.artifact is None or (macs := found.get("macs")) is None:
        return "its operations are not counted: they are for image classification at 224 pixels"
    inputs = sum(math.prod(spec.shape) * _width(spec.dtype) for spec in first.inputs)
    return _Work(2 * round(macs.median), given.artifact.size_bytes + inputs)


def _width(dtype: str) -> int:
    """Return the bytes of one element, by the digits of its type's name; a truth value is one byte."""
    digits = "".join(char for char in dtype if char.isdigit())
    return int(digits) // 8 if digits else 1


def _roof_of(cell: Benchmark, first: InferenceResult, records: Sequence[RoofRecord]) -> Roof | str:
    # One name, or OpenVINO's list of them; a runtime that tells no device has the processor only.
    if "CPU" not in (first.settings or {}).get("device", "CPU"):
        return "the roof of a graphics unit is not measured"
    record = next((record for record in records if record.threads == cell.params.threads), None)
    if record is None:
        return "the session ended before this machine's roof was measured"
    if record.result is None:
        return record.error or "this machine's roof could not be measured"
    precision = _ran_in(cell.params.precision, first.layers)
    roof = next((roof for roof in roofs([record]) if roof.precision == precision), None)
    if roof is not None:
        return roof
    return record.result.missing.get(precision, f"this machine's roof is not measured in {precision}")


def _ran_in(asked: str, layers: Layers | None) -> str:
    """Return the precision of most layers that multiply, as the runtime executed them; else that asked for."""
    counts = {} if layers is None else layers.counts
    return max(counts, key=lambda name: counts[name]) if any(counts.values()) else asked
