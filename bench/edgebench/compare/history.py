"""Reading many reports fast: only what comparing needs, checked as strictly as that part of a report is.

A thousand reports of a hundred benchmarks are half a gigabyte of JSON. pydantic's parser goes through it without
making Python objects of what nobody asks for, in as many processes as there are processors.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from edgebench.compare.cells import Session, session_of
from edgebench.compare.policy import PERCENTILES
from edgebench.errors import UsageError
from edgebench.report.base import Few, Part
from edgebench.report.io import MAX_BYTES, read_report
from edgebench.report.model import Benchmark, Data, Generator, Image, Machine, Report, Suite
from edgebench.report.quantity import Metric, Passes

# More reports than this in one folder are a mistake in the path.
MAX_REPORTS = 20_000
# Starting another process costs about what reading this many reports does.
_REPORTS_A_PROCESS = 40


class _Lean(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, allow_inf_nan=False, extra="ignore", hide_input_in_errors=True)


class _Metrics(_Lean):
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
    label = "standard input" if str(path) == "-" else Path(path).name
    return session_of(read_report(path), label, metrics)


def read_folder(folder: Path, metrics: Sequence[str], *, parallel: bool = True) -> Read:
    """Read every ``*.json`` in a folder and below it that is a report, oldest first.

    Raises UsageError when the folder is none or holds no JSON file.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder}: is no folder: name the one that holds the reports")
    files = sorted(path for path in folder.rglob("*.json") if path.is_file() and not path.name.startswith("."))
    if not files:
        raise UsageError(f"{folder}: holds no .json file: name the folder that holds the reports")
    if len(files) > MAX_REPORTS:
        raise UsageError(f"{folder}: holds {len(files)} files, more than {MAX_REPORTS}: name a smaller folder")
    sessions: list[Session] = []
    refused: list[str] = []
    for found in _read_all(files, metrics, parallel=parallel):
        if isinstance(found, str):
            refused.append(found)
        else:
            sessions.append(found)
    sessions.sort(key=lambda session: (session.created.rstrip("Z").removesuffix("+00:00"), session.label))
    return Read(tuple(sessions), tuple(refused))


def _read_all(files: Sequence[Path], metrics: Sequence[str], *, parallel: bool) -> Iterator[Session | str]:
    read = partial(read_lean, metrics=tuple(metrics))
    workers = min(len(os.sched_getaffinity(0)), len(files) // _REPORTS_A_PROCESS)
    if not parallel or workers < 2:
        yield from map(read, files)
        return
    # Nothing here is garbage until the end; looking for it among millions of objects takes longer than reading them.
    collecting = gc.isenabled()
    gc.disable()
    try:
        with ProcessPoolExecutor(workers) as pool:
            yield from pool.map(read, files, chunksize=8)
    finally:
        if collecting:
            gc.enable()


def read_lean(path: Path, metrics: Sequence[str]) -> Session | str:
    """Return what comparing needs of the report at `path`, or the sentence that says why it is none."""
    try:
        if path.stat().st_size > MAX_BYTES:
            return f"{path} is larger than a report may be and was left out."
        model = _model(tuple(metrics))
        report = model.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(str(step)[:60] for step in first["loc"]) or "the file"
        return f"{path} is no report that can be compared ({where}: {first['msg'][:120]}) and was left out."
    except (OSError, RecursionError) as error:
        return f"{path} could not be read ({error}) and was left out."
    # It has every field of a Report that `session_of` reads, under the same name.
    return session_of(cast("Report", report), path.name, metrics)


_MODELS: dict[tuple[str, ...], type[BaseModel]] = {}


def _model(metrics: tuple[str, ...]) -> type[BaseModel]:
    """Return the model of a report that has these metrics only; made once a process."""
    if metrics not in _MODELS:
        _MODELS[metrics] = _make_model(metrics)
    return _MODELS[metrics]


def _make_model(metrics: tuple[str, ...]) -> type[BaseModel]:
    tails = {name.partition(".")[0] for name in metrics if name.partition(".")[2] in PERCENTILES}
    names = sorted({name for name in metrics if name.partition(".")[2] not in PERCENTILES} | tails)
    passes = _part(Passes, "p50 p90 p95 p99")
    plain = _part(Metric, "unit better median value runs scope probe")
    with_passes = create_model("LeanMetric", __base__=plain, passes=(passes | None, None))
    fields: dict[str, Any] = {
        f"m{index}": ((with_passes if name in tails else plain) | None, Field(default=None, alias=name))
        for index, name in enumerate(names)
    }
    wanted = create_model("LeanMetrics", __base__=_Metrics, **fields)
    wanted.keys = {name: f"m{index}" for index, name in enumerate(names)}
    benchmark = _part(
        Benchmark, "name kind status reason params missing warnings", metrics=(wanted, Field(default_factory=wanted))
    )
    return _part(
        Report,
        "id created status platform fingerprint warnings",
        # A report that is written has its schema by default; one that is read has to say it.
        schema_=(Report.model_fields["schema_"].annotation, Field(alias="schema")),
        generator=(_part(Generator, "version"), ...),
        suite=(_part(Suite, "name"), ...),
        image=(_part(Image, "name digest") | None, None),
        machine=(_part(Machine, "throttled"), ...),
        data=(_part(Data, "digest") | None, None),
        benchmarks=(Few[benchmark], ()),  # type: ignore[valid-type]  # made above
    )


def _part(model: type[Part], names: str, **others: Any) -> type[BaseModel]:
    """Return a model of these fields of a report's part, each as the report has it, and `others` in place of more."""
    kept = {name: (model.model_fields[name].rebuild_annotation(), model.model_fields[name]) for name in names.split()}
    fields: dict[str, Any] = {**others, **kept}
    return create_model(f"Lean{model.__name__}", __base__=_Lean, **fields)
