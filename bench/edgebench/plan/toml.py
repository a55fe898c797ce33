"""TOML files of users: errors name the file and the line."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def schema_sentence(path: Path, text: str, loc: Sequence[int | str], kind: str, message: str) -> str:
    """Say what is wrong where, as one sentence with file and line."""
    where = ".".join(str(part) for part in loc)
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
