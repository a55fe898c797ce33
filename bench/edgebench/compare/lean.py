"""Reading a part of many reports fast: only the fields that are wanted, checked as strictly as a whole report is.

A thousand reports of a hundred benchmarks are half a gigabyte of JSON. pydantic's parser goes through it without
making Python objects of what nobody asks for, in as many processes as there are processors.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from edgebench.errors import UsageError
from edgebench.report.base import Part
from edgebench.report.io import MAX_BYTES

# More reports than this in one folder are a mistake in the path.
MAX_REPORTS = 20_000
# Starting another process costs about what reading this many reports does.
_REPORTS_A_PROCESS = 40
M = TypeVar("M", bound=BaseModel)
R = TypeVar("R")


class Lean(BaseModel):
    """Base of the models below: as strict as a report's own parts, and blind for all other fields."""

    model_config = ConfigDict(frozen=True, strict=True, allow_inf_nan=False, extra="ignore", hide_input_in_errors=True)


def part(model: type[Part], names: str, **others: Any) -> type[BaseModel]:
    """Return a model of these fields of a report's part, each as the report has it, and `others` in place of more."""
    kept = {name: (model.model_fields[name].rebuild_annotation(), model.model_fields[name]) for name in names.split()}
    fields: dict[str, Any] = {**others, **kept}
    return create_model(f"Lean{model.__name__}", __base__=Lean, **fields)


def reports_in(folder: Path) -> list[Path]:
    """Return every ``*.json`` in a folder and below it, but hidden ones.

    Raises UsageError when the folder is none, holds no JSON file, or too many.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder}: is no folder: name the one that holds the reports")
    files = sorted(path for path in folder.rglob("*.json") if path.is_file() and not path.name.startswith("."))
    if not files:
        raise UsageError(f"{folder}: holds no .json file: name the folder that holds the reports")
    if len(files) > MAX_REPORTS:
        raise UsageError(f"{folder}: holds {len(files)} files, more than {MAX_REPORTS}: name a smaller folder")
    return files


def read_part(path: Path, model: type[M]) -> tuple[M, bytes] | str:
    """Return the report at `path` as `model`, with the file's bytes, or the sentence that says why it is none."""
    try:
        if path.stat().st_size > MAX_BYTES:
            return f"{path} is larger than a report may be and was left out."
        content = path.read_bytes()
        return model.model_validate_json(content), content
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(str(step)[:60] for step in first["loc"]) or "the file"
        return f"{path} is no report that can be compared ({where}: {first['msg'][:120]}) and was left out."
    except (OSError, RecursionError) as error:
        return f"{path} could not be read ({error}) and was left out."


def read_all(files: Sequence[Path], read: Callable[[Path], R], *, parallel: bool = True) -> Iterator[R]:
    """Yield what `read` makes of every file, in order; with many files in as many processes as may be used."""
    workers = min(len(os.sched_getaffinity(0)), len(files) // _REPORTS_A_PROCESS)
    with uncollected():
        if not parallel or workers < 2:
            yield from map(read, files)
            return
        with ProcessPoolExecutor(workers) as pool:
            yield from pool.map(read, files, chunksize=8)


@contextmanager
def uncollected() -> Iterator[None]:
    """Look for no cycles of garbage meanwhile: among the millions of objects of reports that takes a third of the time.

    What is in no cycle, as reports are, goes when nobody holds it any more, as always.
    """
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()
