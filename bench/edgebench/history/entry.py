"""What a history keeps of a report: all that comparing needs, and what people ask of a board."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from pydantic import BaseModel, Field, create_model

from edgebench.compare.cells import sample_in, systems_of
from edgebench.compare.lean import part, read_part
from edgebench.compare.policy import GAUGES, PERCENTILES, gauge_of
from edgebench.report.base import Few, Table
from edgebench.report.model import Benchmark, Report
from edgebench.report.quantity import Metric, Passes

if TYPE_CHECKING:
    from edgebench.report.quantity import Notice


# Worked out from other figures of the same benchmark: a history of ten thousand reports has better use for the room.
DERIVED = frozenset({"operations_per_s", "bytes_per_s", "operational_intensity", "roofline_fraction", "memory_percent"})
# What single precision holds of an error.
_LEAST, _MOST = 1e-30, 1e30


@dataclass(frozen=True, slots=True)
class Figure:
    """A metric of a benchmark: `runs` as they are compared, none of a quantity that has no runs.

    `value` is None for a percentile of passes, which is the median of its `runs`; `systematic` is the error that all
    runs share (1 sigma, 0: none is known); `fault` says why a metric that could be compared cannot.
    """

    metric: str
    unit: str
    better: str
    scope: str
    probe: str
    value: float | None
    runs: tuple[float, ...] = ()
    fault: str | None = None
    systematic: float = 0.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """A benchmark of a report; `params` and `note` are JSON, an empty note is none."""

    name: str
    kind: str
    params: str
    status: str
    note: str
    figures: tuple[Figure, ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """A report as the history keeps it; `hard`, `soft`, `facts` and `remarks` are JSON."""

    label: str
    id: str
    created: str
    digest: str
    status: str
    platform: str
    suite: str
    version: str
    revision: str | None
    hard: str
    soft: str
    facts: str
    remarks: str
    outcomes: tuple[Outcome, ...]


_JSON = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)
_METRIC = create_model(
    "KeptMetric",
    __base__=part(Metric, "unit better median value runs scope probe systematic"),
    passes=(part(Passes, "p50 p90 p95 p99") | None, None),
)
_BENCHMARK = part(
    Benchmark,
    "name kind status reason params missing warnings",
    metrics=(Table[_METRIC], {}),  # type: ignore[valid-type]  # made above
)
_REPORT = part(
    Report,
    "id created status generator commit suite platform image fingerprint machine software probes idle data warnings",
    # A report that is read has to say its schema.
    schema_=(Report.model_fields["schema_"].annotation, Field(alias="schema")),
    benchmarks=(Few[_BENCHMARK], ()),  # type: ignore[valid-type]  # made above
)


def read_entry(path: Path) -> Entry | str:
    """Return what the history keeps of the report at `path`, or the sentence that says why it is none."""
    found = read_part(path, _REPORT)
    if isinstance(found, str):
        return found
    # It has every field of a Report that is read below, under the same name.
    return entry_of(cast("Report", found[0]), path.name, hashlib.sha256(found[1]).hexdigest())


def entry_of(report: Report, label: str, digest: str) -> Entry:
    """Return what the history keeps of a report; `label` is what people call it, `digest` that of its file."""
    hard, soft = systems_of(report)
    machine, volatile = report.machine, {"throttled", "temperature_c"}
    facts = {
        "suite": _dump(report.suite),
        "machine": _dump(machine, volatile),
        "software": dict(report.software),
        "image": None if report.image is None else _dump(report.image),
        "data": None if report.data is None else _dump(report.data),
        "probes": [_dump(probe, {"overhead", "sampler_share"}) for probe in report.probes],
    }
    remarks = {
        "machine": _dump(machine, include=volatile),
        "warnings": _notices(report.warnings),
        "idle": [_dump(one) for one in report.idle],
    }
    return Entry(
        label=label,
        id=report.id,
        created=report.created,
        digest=digest,
        status=report.status,
        platform=report.platform,
        suite=report.suite.name,
        version=report.generator.version,
        revision=report.commit,
        hard=text_of(hard),
        soft=text_of(soft),
        facts=text_of(facts),
        remarks=text_of(remarks),
        outcomes=tuple(map(_outcome, report.benchmarks)),
    )


def text_of(value: Mapping[str, Any]) -> str:
    """Return a table as JSON in its own order: the history shows fingerprints as the report has them."""
    return _JSON.encode(value)


def _outcome(benchmark: Benchmark) -> Outcome:
    figures = tuple(_figures(benchmark.metrics))
    note: dict[str, Any] = {
        "why": benchmark.reason,
        "missing": {name: [missing.reason, missing.fix] for name, missing in benchmark.missing.items()},
        "warnings": _notices(benchmark.warnings),
        "faults": {one.metric: [one.fault, one.unit, one.better, one.scope, one.probe] for one in figures if one.fault},
    }
    told = {key: value for key, value in note.items() if value}
    params = text_of(benchmark.params)
    return Outcome(benchmark.name, benchmark.kind, params, benchmark.status, text_of(told) if told else "", figures)


def _figures(metrics: Mapping[str, Metric]) -> Iterator[Figure]:
    for name, metric in metrics.items():
        if name.partition(".")[0] in DERIVED:
            continue
        labels = (name, metric.unit, metric.better, metric.scope or "", metric.probe or "")
        value = metric.median if metric.value is None else metric.value
        if is_judged(name) and (sample := sample_in(metrics, name)) is not None:
            value, error = value if sample.fault else sample.value, metric.systematic or 0.0
            yield Figure(*labels, value, sample.runs, sample.fault, error if _LEAST < error < _MOST else 0.0)
        else:
            yield Figure(*labels, value)
    for name in (f"latency_s.{percentile}" for percentile in PERCENTILES):
        if name not in metrics and (sample := sample_in(metrics, name)) is not None:
            yield Figure(name, sample.unit, sample.better, "", "", None, sample.runs, sample.fault)


@lru_cache(1024)
def is_judged(name: str) -> bool:
    """Tell whether a metric is one that is compared."""
    if name.partition(".")[0] not in GAUGES:
        return False
    try:
        gauge_of(name)
    except KeyError:  # a percentile of something else than latency
        return False
    return True


def _dump(part: BaseModel, without: set[str] | None = None, *, include: set[str] | None = None) -> dict[str, Any]:
    """Return a part of a report as it is written; what is not known is absent."""
    return part.model_dump(mode="json", exclude=without, include=include, exclude_none=True)


def _notices(notices: tuple[Notice, ...]) -> list[list[str]]:
    return [[notice.code, notice.text] for notice in notices]
