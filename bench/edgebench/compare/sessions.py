"""Reports as sessions: one by one and checked whole, or a folder of them and only what comparing needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, cast

from pydantic import BaseModel, Field, create_model

from edgebench.compare.cells import Session, session_of
from edgebench.compare.lean import Lean, part, read_all, read_part, reports_in
from edgebench.compare.policy import PERCENTILES
from edgebench.report.base import Few
from edgebench.report.io import read_report
from edgebench.report.model import Benchmark, Data, Generator, Image, Machine, Report, Suite
from edgebench.report.quantity import Metric, Passes


class _Metrics(Lean):
    """The wanted metrics as fields, read by name as the table of a whole report is."""

    keys: ClassVar[dict[str, str]] = {}

    def get(self, name: str) -> Metric | None:
        """Return the metric of that name, or None."""
        key = self.keys.get(name)
        return None if key is None else getattr(self, key)


@dataclass(frozen=True, slots=True)
class Read:
    """What a folder of reports held: sessions by time, and a sentence for every file that is no report."""

    sessions: tuple[Session, ...]
    refused: tuple[str, ...]


def read_session(path: Path | str, metrics: Sequence[str]) -> Session:
    """Read and fully validate one report; return what comparing needs of it. Raises ReportError."""
    return session_of(read_report(path), label_of(path), metrics)


def label_of(path: Path | str) -> str:
    """Return what people call the report at a path."""
    return "standard input" if str(path) == "-" else Path(path).name


def read_folder(folder: Path, metrics: Sequence[str], *, parallel: bool = True) -> Read:
    """Read every ``*.json`` in a folder and below it that is a report, oldest first.

    Raises UsageError when the folder is none or holds no JSON file.
    """
    sessions: list[Session] = []
    refused: list[str] = []
    for found in read_all(reports_in(folder), partial(read_lean, metrics=tuple(metrics)), parallel=parallel):
        if isinstance(found, str):
            refused.append(found)
        else:
            sessions.append(found)
    return Read(tuple(sorted(sessions, key=by_time)), tuple(refused))


def by_time(session: Session) -> tuple[str, str]:
    """Return what sorts sessions: when they began, then what they are called."""
    return session.created.rstrip("Z").removesuffix("+00:00"), session.label


def read_lean(path: Path, metrics: Sequence[str]) -> Session | str:
    """Return what comparing needs of the report at `path`, or the sentence that says why it is none."""
    found = read_part(path, _model(tuple(metrics)))
    if isinstance(found, str):
        return found
    # It has every field of a Report that `session_of` reads, under the same name.
    return session_of(cast("Report", found[0]), path.name, metrics)


_MODELS: dict[tuple[str, ...], type[BaseModel]] = {}


def _model(metrics: tuple[str, ...]) -> type[BaseModel]:
    """Return the model of a report that has these metrics only; made once a process."""
    if metrics not in _MODELS:
        _MODELS[metrics] = _make_model(metrics)
    return _MODELS[metrics]


def _make_model(metrics: tuple[str, ...]) -> type[BaseModel]:
    tails = {name.partition(".")[0] for name in metrics if name.partition(".")[2] in PERCENTILES}
    names = sorted({name for name in metrics if name.partition(".")[2] not in PERCENTILES} | tails)
    passes = part(Passes, "p50 p90 p95 p99")
    plain = part(Metric, "unit better median value runs scope probe")
    with_passes = create_model("LeanMetric", __base__=plain, passes=(passes | None, None))
    fields: dict[str, Any] = {
        f"m{index}": ((with_passes if name in tails else plain) | None, Field(default=None, alias=name))
        for index, name in enumerate(names)
    }
    wanted = create_model("LeanMetrics", __base__=_Metrics, **fields)
    wanted.keys = {name: f"m{index}" for index, name in enumerate(names)}
    benchmark = part(
        Benchmark, "name kind status reason params missing warnings", metrics=(wanted, Field(default_factory=wanted))
    )
    return part(
        Report,
        "id created commit status platform fingerprint warnings",
        # A report that is written has its schema by default; one that is read has to say it.
        schema_=(Report.model_fields["schema_"].annotation, Field(alias="schema")),
        generator=(part(Generator, "version"), ...),
        suite=(part(Suite, "name"), ...),
        image=(part(Image, "name digest") | None, None),
        machine=(part(Machine, "throttled unit"), ...),
        data=(part(Data, "digest") | None, None),
        benchmarks=(Few[benchmark], ()),  # type: ignore[valid-type]  # made above
    )
