"""The answer of a history to a question: a table for a terminal, CSV, or JSON."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from edgebench.history.frames import Rows
from edgebench.report.text import clean, json_text, spreadsheet_cell


def as_table(found: Rows) -> str:
    """Return the rows as a table as wide as the terminal."""
    table = Table(box=None, pad_edge=False)
    for name in found.columns:
        table.add_column(Text(clean(name, 80)), overflow="fold")
    for row in found.rows:
        table.add_row(*(Text(clean(_shown(value), 400)) for value in row))
    console = Console()
    with console.capture() as capture:
        console.print(table)
    return capture.get()


def as_csv(found: Rows) -> str:
    """Return the rows as CSV with a header; text that a spreadsheet would take for a formula has an apostrophe."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(map(spreadsheet_cell, found.columns))
    for row in found.rows:
        writer.writerow([spreadsheet_cell(_plain(value)) for value in row])
    return text.getvalue()


def as_json(found: Rows) -> str:
    """Return a list of objects; a null of the question's stays one."""
    rows = [{name: _plain(value) for name, value in zip(found.columns, row, strict=True)} for row in found.rows]
    return json_text(rows) + "\n"


FORMATS: Mapping[str, Callable[[Rows], str]] = {"table": as_table, "csv": as_csv, "json": as_json}


def _plain(value: Any) -> Any:
    """Return what JSON and CSV can hold: bytes as hexadecimal, a number that is none as text."""
    if isinstance(value, bytes):
        return value.hex()
    return str(value) if isinstance(value, float) and not abs(value) < float("inf") else value


def _shown(value: Any) -> str:
    return "" if value is None else f"{value:.6g}" if isinstance(value, float) else str(_plain(value))
