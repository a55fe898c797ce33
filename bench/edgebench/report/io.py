"""Reading and writing reports: bounded, checked, atomic; every failure one sentence."""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import stat
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

from pydantic import ValidationError

from edgebench.errors import ReportError
from edgebench.machine.claims import claim, sweep
from edgebench.report.migrate import migrate
from edgebench.report.model import SCHEMA, Report
from edgebench.report.text import clean, json_text

MAX_BYTES = 64 * 2**20
MAX_DEPTH = 60
_INT_DIGITS = 19
# Beyond every figure, and near enough to one that a product or ratio of a few is still a number.
_LARGEST = 1e100
# Of files that a kill may leave half written; the next session in their folder removes them.
_UNFINISHED = ".edgebench-unfinished-"
# Only the writer's own indentation holds a raw line break, so nothing inside a string can match.
_NUMBER_LIST = re.compile(r"\[\n\s*(-?\d[\d.eE+-]*(?:,\n\s*-?\d[\d.eE+-]*)*)\n\s*\]")


def read_report(path: Path | str) -> Report:
    """Read and validate the report at `path`; ``-`` is standard input. At most 64 MiB.

    Raises ReportError, one sentence naming the file and the place in it.
    """
    name = "standard input" if str(path) == "-" else clean(str(path), 200)
    return parse_report(_read_bounded(path, name), name)


def parse_report(content: bytes, name: str) -> Report:
    """Validate a report's bytes; `name` is what errors call it. Raises ReportError."""
    data = migrate(_load_json(content, name), name)
    _check_schema(data, name)
    _check_tree(data, name)
    try:
        return Report.model_validate(data)
    except ValidationError as error:
        raise ReportError(_sentence(error, name)) from None
    except RecursionError:
        raise ReportError(f"{name} is nested too deeply to be a report; use a file that edgebench wrote.") from None


def dumps(report: Report) -> str:
    """Return the report as JSON text: indented, keys in the model's order, lists of numbers on one line."""
    text = json_text(report.model_dump(mode="json"))
    return _NUMBER_LIST.sub(lambda match: "[" + re.sub(r",\n\s*", ", ", match[1]) + "]", text) + "\n"


def write_report(report: Report, target: Path) -> None:
    """Write the report to `target` so that it holds either the earlier content or all of the new one.

    A target that is no regular file (a pipe, a terminal) is written to directly. Raises ReportError.
    """
    content = dumps(report).encode()
    try:
        if target.exists() and not target.is_file() and not target.is_dir():
            target.write_bytes(content)
        else:
            _replace(content, target.resolve())
    except (OSError, RuntimeError) as error:
        shown = clean(str(target), 200)
        raise ReportError(
            f"The report could not be written to {shown} ({_reason(error)}); an earlier file there is untouched: "
            "free space or name another place with -o."
        ) from None


@dataclass(slots=True)
class Reservation:
    """Disk space held until `release`: a file without a name, so that nothing is left behind by a kill."""

    folder: Path
    size_bytes: int
    _fd: int | None

    def release(self) -> None:
        """Give the space back; do so just before the report is written. Idempotent."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def reserve(folder: Path, size_bytes: int) -> Reservation:
    """Hold `size_bytes` of disk space in `folder`, so that a full disk is found before anything is measured.

    Raises ReportError when the folder is missing, not writable or has too little space.
    """
    shown = clean(str(folder), 200)
    sweep(folder, _UNFINISHED)
    try:
        hidden = folder / f"{_UNFINISHED}{secrets.token_hex(6)}"
        fd = os.open(hidden, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        hidden.unlink(missing_ok=True)  # a sweep may be faster
    except FileNotFoundError:
        raise ReportError(f"The folder {shown} for the report does not exist; create it or name another.") from None
    except OSError as error:
        raise ReportError(
            f"The report could not be written to the folder {shown} ({_reason(error)}); name a writable one with -o."
        ) from None
    try:
        os.posix_fallocate(fd, 0, size_bytes)
    except OSError as error:
        os.close(fd)
        raise ReportError(
            f"The folder {shown} has no room for the report's {size_bytes / 1e6:.1f} MB ({_reason(error)}); "
            "free space or name another folder with -o."
        ) from None
    return Reservation(folder, size_bytes, fd)


def _replace(content: bytes, target: Path) -> None:
    if target.is_dir():
        raise IsADirectoryError(21, "it is a folder", str(target))
    mode = stat.S_IMODE(target.stat().st_mode) if target.exists() else None
    temporary = target.with_name(f"{_UNFINISHED}{secrets.token_hex(6)}")
    try:
        with temporary.open("xb") as file:
            claim(file.fileno(), temporary)
            if mode is not None:
                os.fchmod(file.fileno(), mode)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    except BaseException:  # an interrupt too must leave no half-written file behind
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    with contextlib.suppress(OSError):  # some filesystems cannot sync a folder; the file itself is safe
        folder = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _read_bounded(path: Path | str, name: str) -> bytes:
    try:
        if str(path) == "-":
            content = _take(sys.stdin.buffer)
        else:
            with Path(path).open("rb") as file:
                if os.fstat(file.fileno()).st_size > MAX_BYTES:
                    raise ReportError(_too_large(name))
                content = _take(file)
    except FileNotFoundError:
        raise ReportError(f"There is no file {name}; name a report that edgebench wrote.") from None
    except (OSError, ValueError) as error:
        raise ReportError(f"{name} could not be read ({_reason(error)}); name a readable report.") from None
    if len(content) > MAX_BYTES:
        raise ReportError(_too_large(name))
    return content


def _take(file: BinaryIO) -> bytes:
    return file.read(MAX_BYTES + 1)


def _too_large(name: str) -> str:
    return f"{name} is larger than the {MAX_BYTES // 2**20} MiB a report may have; use a file that edgebench wrote."


class _RefusedError(ValueError):
    """Something JSON's grammar allows but a report does not."""


def _load_json(content: bytes, name: str) -> Any:
    if not content.strip():
        raise ReportError(f"{name} is empty; run the suite again to get a report.")
    try:
        return json.loads(
            content.decode("utf-8-sig"),
            object_pairs_hook=_object,
            parse_constant=_constant,
            parse_float=_float,
            parse_int=_int,
        )
    except _RefusedError as error:
        raise ReportError(f"{name} is no valid report: {error}; write it again with edgebench.") from None
    except UnicodeDecodeError as error:
        raise ReportError(
            f"{name} is no report: it is not UTF-8 text (byte {error.start}); name a JSON file."
        ) from None
    except json.JSONDecodeError as error:
        cut = " and seems cut off" if error.pos >= len(error.doc.rstrip()) - 1 else ""
        raise ReportError(
            f"{name} is not JSON{cut} (line {error.lineno}, column {error.colno}: {error.msg}); "
            "name a file that edgebench wrote."
        ) from None
    except RecursionError:
        raise ReportError(f"{name} is nested too deeply to be a report; use a file that edgebench wrote.") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    data = dict(pairs)
    if len(data) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]  # add returns None on purpose
        raise _RefusedError(f"the key {clean(twice, 60)!r} stands twice in one object")
    return data


def _constant(text: str) -> Any:
    raise _RefusedError(f"{text} is not a number")


def _float(text: str) -> float:
    value = float(text)
    if abs(value) > _LARGEST:
        raise _RefusedError(f"the number {clean(text, 30)} is too large")
    if value and abs(value) < 1 / _LARGEST:
        raise _RefusedError(f"the number {clean(text, 30)} is too small")
    return value


def _int(text: str) -> int:
    if len(text.lstrip("-")) > _INT_DIGITS:
        raise _RefusedError(f"the number {clean(text, 30)} is too large")
    return int(text)


def _check_schema(data: Any, name: str) -> None:
    schema = data.get("schema") if isinstance(data, dict) else None
    if schema == SCHEMA:
        return
    raise ReportError(f'{name} is JSON but no edgebench report ("schema" is not "{SCHEMA}"); name a report.')


def _check_tree(data: Any, name: str) -> None:
    """Refuse what would break a later writer or reader: deep nesting, and text that is no Unicode."""
    for depth, text in _strings(data):
        if depth > MAX_DEPTH:
            raise ReportError(f"{name} is nested too deeply to be a report; use a file that edgebench wrote.")
        if not text.isascii() and any("\ud800" <= char <= "\udfff" for char in text):
            raise ReportError(f"{name} is no valid report: {clean(text, 60)!r} is not Unicode text; write it again.")


def _strings(data: Any) -> Iterator[tuple[int, str]]:
    stack: list[tuple[int, Any]] = [(1, data)]
    while stack:
        depth, node = stack.pop()
        yield depth, ""
        for item in (*node, *node.values()) if isinstance(node, dict) else node:
            if isinstance(item, str):
                yield depth, item
            elif isinstance(item, (dict, list)):
                stack.append((depth + 1, item))


def _sentence(error: ValidationError, name: str) -> str:
    """Map pydantic's error to one sentence with the JSON path of the first place."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    path = "".join(f"[{step}]" if isinstance(step, int) else f".{clean(step, 60)}" for step in first["loc"]).strip(".")
    reason = clean(first["msg"].removeprefix("Value error, "), 200)
    more = f" (and {error.error_count() - 1} more places)" if error.error_count() > 1 else ""
    return f"{name} is no valid report: {path or 'the report'}: {reason}{more}; write it again with edgebench."


def _reason(error: BaseException) -> str:
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
