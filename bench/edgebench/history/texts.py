"""The texts that reports share, read once each and with suspicion: a stranger may have written the file."""

from __future__ import annotations

import json
import sqlite3
from typing import Any

from edgebench.history.packed import Layout


def table_of(text: str) -> dict[str, Any]:
    """Return a JSON object. Raises ValueError for anything else."""
    found = json.loads(text)
    if not isinstance(found, dict):
        raise ValueError("a text is no table")  # noqa: TRY004  # one error for all that is wrong with a file
    return found


class Texts:
    """The texts of an open history by their number; what was read is kept."""

    def __init__(self, history: sqlite3.Connection) -> None:
        self._history = history
        self._tables: dict[int, dict[str, Any]] = {}
        self._layouts: dict[int, Layout] = {}

    def table(self, number: int) -> dict[str, Any]:
        """Return the JSON object of that number, the same object for all who ask."""
        if number not in self._tables:
            self._tables[number] = table_of(self._text(number))
        return self._tables[number]

    def note(self, number: int | None) -> dict[str, Any]:
        """Return a note; a benchmark without one has an empty table."""
        return {} if number is None else self.table(number)

    def layout(self, number: int) -> Layout:
        """Return the layout of that number."""
        if number not in self._layouts:
            self._layouts[number] = Layout.of_text(self._text(number))
        return self._layouts[number]

    def _text(self, number: int) -> str:
        text: str = self._history.execute("SELECT text FROM text WHERE no = ?", (number,)).fetchone()[0]
        return text
