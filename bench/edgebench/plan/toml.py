"""TOML files of users: one reader, whose errors are one sentence with the file and, where there is one, the line."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel, ValidationError

from edgebench.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_BYTES = 1_000_000
_MAX_KEY = 200
Schema = TypeVar("Schema", bound=BaseModel)


def read_toml(path: Path, schema: type[Schema], what: str) -> tuple[Schema, str]:
    """Read and check a file; return it with its text, in which `line_of` finds lines. UsageError says what is wrong.

    `what` it is stands in the errors, such as ``suite``.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror}): check the name and its permissions") from None
    if len(content) > MAX_BYTES:
        raise UsageError(f"{path}: a {what} file has at most {MAX_BYTES // 1000} kB: is this one?")
    try:
        text = content.decode()
        return schema.model_validate(tomllib.loads(text)), text
    except UnicodeDecodeError:
        raise UsageError(f"{path}: is not UTF-8 text: a {what} is a TOML file") from None
    except ValidationError as error:
        raise UsageError(first_sentence(path, text, error)) from None
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise UsageError(f"{path}: is not valid TOML ({str(error) or 'nested too deeply'}): correct it there") from None
    except ValueError:
        # What Python says of an integer of thousands of digits is meant for programmers.
        raise UsageError(f"{path}: a number has too many digits to be one: shorten it") from None


def first_sentence(path: Path, text: str, error: ValidationError, *, below: Sequence[int | str] = ()) -> str:
    """Say the first thing that is wrong, as one sentence with file and line; `below` is where what was checked lies."""
    first = error.errors(include_url=False, include_context=False)[0]
    message = first["msg"].removeprefix("Value error, ")
    return schema_sentence(path, text, (*below, *first["loc"]), first["type"], message)


def schema_sentence(path: Path, text: str, loc: Sequence[int | str], kind: str, message: str) -> str:
    """Say what is wrong where, as one sentence with file and line."""
    # A key may hold anything, escape sequences for the terminal too.
    where = "".join(c if c.isprintable() else "�" for c in ".".join(str(part) for part in loc))[:_MAX_KEY]
    line = line_of(text, loc)
    if kind == "extra_forbidden":
        what = f"unknown key '{where}': remove it or correct its spelling"
    elif kind == "missing":
        what = f"'{where}' is missing: add it"
    else:
        what = f"'{where}' is wrong: {message[0].lower()}{message[1:]}"
    return f"{path}:{line}: {what}"


def line_of(text: str, loc: Sequence[int | str]) -> int:
    """Return the line (from 1) of a key in TOML text: of the deepest part of `loc` that stands in it.

    tomllib keeps no positions and suite files are plain tables, so headers and `key =` at line starts are enough.
    """
    best, table, counts = 1, [], dict[str, int]()
    wanted = [str(part) for part in loc]
    for number, line in enumerate(text.splitlines(), start=1):
        if header := re.match(r"\s*(\[\[?)\s*([^\]]+?)\s*\]", line):
            table = [part.strip().strip("\"'") for part in header[2].split(".")]
            if header[1] == "[[":
                counts[header[2]] = counts.get(header[2], -1) + 1
                table.append(str(counts[header[2]]))
            if table == wanted[: len(table)]:
                best = number
        elif key := re.match(r"\s*[\"']?([A-Za-z0-9_-]+)[\"']?\s*=", line):
            here = [*table, key[1]]
            if here == wanted[: len(here)]:
                return number
    return best
