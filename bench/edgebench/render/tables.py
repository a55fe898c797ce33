"""Sections and tables as data, and tables that fit a terminal.

A cell's line breaks are where it may break: a table whose cells fit on one line each has them so, a narrower one puts
an interval beneath its figure, then breaks names between words. Columns that still have no room go on in a second block
with the same row names; nothing is ever cut. Where the first column alone does not tell rows apart, `keys` columns do,
and stand in every block.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from rich.cells import cell_len, chop_cells
from rich.text import Text

from edgebench.render.units import NONE
from edgebench.report.text import clean_lines

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions

_GAP = 2
_WRAPPED = 28
_NARROWEST_NAME = 22
# What stands beneath a row is set in by this.
_INDENT = 2


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its header (a line break splits it), the cell of each row, and how they stand.

    `wrap` lets its text wrap between words. `below` is a remark on the row: beneath it on a terminal, a last column
    elsewhere.
    """

    header: str
    cells: tuple[str, ...]
    justify: Literal["left", "right"] = "right"
    wrap: bool = False
    below: bool = False

    @property
    def empty(self) -> bool:
        """Whether no row has anything to say."""
        return all(cell in {"", NONE} for cell in self.cells)


@dataclass(frozen=True, slots=True)
class Section:
    """One part of a shown report as data: tables, then bullets (text, fix), then notes in small print."""

    title: str
    tables: tuple[tuple[Column, ...], ...] = ()
    bullets: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()
    tone: Literal["plain", "warning", "error"] = "plain"


def filled(columns: Sequence[Column]) -> tuple[Column, ...]:
    """Return the first column and those of the others that say anything."""
    return columns[0], *(column for column in columns[1:] if not column.empty)


@dataclass(frozen=True, slots=True)
class _Laid:
    """A column as it stands: the lines of its header and of each row's cell, none wider than `width`."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    width: int
    justify: Literal["left", "right"]


class FittingTable:
    """A rich renderable: columns, the first `keys` of which name the rows; empty columns are left out."""

    def __init__(self, columns: Sequence[Column], keys: int = 1) -> None:
        self.columns = filled(columns)
        self._keys = len(filled(columns[:keys]))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        """Yield one block of lines, or as many as the width needs."""
        remarks = [column for column in self.columns if column.below]
        name, *others = (column for column in self.columns if not column.below)
        for number, block in enumerate(_blocks(name, others, self._keys - 1, options.max_width)):
            if number:
                yield Text()
            yield from _lines(block, remarks if number == 0 else (), options.max_width)


def _blocks(name: Column, others: Sequence[Column], keys: int, room: int) -> Iterator[list[_Laid]]:
    """Yield the columns of each block: as they are, else stacked, else with the name wrapped, else one by one.

    The name and the first `keys` of the others are in every block.
    """
    for stacked in (False, True):
        plain = [_laid(column, stacked=stacked) for column in (name, *others)]
        if _total(plain) <= room:
            yield plain
            return
    free = room - _total(plain[1:]) - _GAP
    if free >= _least(name):
        yield [_laid(name, stacked=True, width=free), *plain[1:]]
        return
    loose = [column for column in others if column.wrap]
    if (
        loose
        and (free := room - _total([_laid(column, stacked=True) for column in (name, *others) if not column.wrap]))
        > _WRAPPED
    ):
        share = max(_WRAPPED, free // len(loose) - _GAP)
        yield [_laid(column, stacked=True, width=share if column.wrap else None) for column in (name, *others)]
        return
    also = [_laid(column, stacked=True) for column in others[:keys]]
    widest = room * 2 // 5 - sum(column.width + _GAP for column in also) // 2
    names = [_laid(name, stacked=True, width=max(_least(name), _NARROWEST_NAME, widest)), *also]
    block = list(names)
    for column in others[keys:]:
        laid = _laid(column, stacked=True, width=_WRAPPED if column.wrap else None)
        if len(block) > len(names) and _total([*block, laid]) > room:
            yield block
            block = list(names)
        left = room - _total(names) - _GAP
        block.append(laid if laid.width <= left else _laid(column, stacked=True, width=max(8, left)))
    yield block


def _total(columns: Sequence[_Laid]) -> int:
    return sum(column.width + _GAP for column in columns) - _GAP


def _least(name: Column) -> int:
    """Return the narrowest that a column of names can be without breaking a word."""
    words = (word for cell in (*name.cells, name.header) for line in cell.split("\n") for word in _words(line))
    return max((cell_len(word.rstrip()) for word in words), default=1)


def _words(text: str) -> list[str]:
    """Split where a name may break: after a space, a plus, a slash."""
    return re.findall(r"[^ +/]*[ +/]+|[^ +/]+", text)


def _laid(column: Column, *, stacked: bool, width: int | None = None) -> _Laid:
    def lines(text: str, *, header: bool = False) -> tuple[str, ...]:
        shown = clean_lines(text).split("\n")
        found = shown if stacked or header else [" ".join(shown)]
        return tuple(found) if width is None else tuple(part for line in found for part in _wrapped(line, width))

    header = lines(column.header, header=True)
    rows = tuple(lines(cell) for cell in column.cells)
    widest = max(cell_len(line) for part in (header, *rows) for line in part)
    return _Laid(header, rows, widest, column.justify)


def _wrapped(text: str, width: int) -> Iterator[str]:
    line = ""
    for word in _words(text):
        if line and cell_len(line) + cell_len(word.rstrip()) > width:
            yield line.rstrip()
            line = ""
        *whole, rest = [word] if cell_len(word.rstrip()) <= width else chop_cells(word, width)
        yield from whole
        line += rest
    yield line.rstrip()


def _lines(columns: Sequence[_Laid], remarks: Sequence[Column], room: int) -> Iterator[Text]:
    tall = max(len(column.header) for column in columns)
    for line in range(tall):
        # Headers stand on the line beneath them.
        yield _joined(columns, [_at(column.header, line - tall + len(column.header)) for column in columns], "bold")
    yield Text("─" * min(room, _total(columns)))
    for row in range(len(columns[0].rows)):
        cells = [column.rows[row] for column in columns]
        for line in range(max(map(len, cells))):
            yield _joined(columns, [_at(cell, line) for cell in cells], "dim" if line else "")
        for remark in remarks:
            if remark.cells[row] not in {"", NONE}:
                for part in _wrapped(clean_lines(remark.cells[row]).replace("\n", " "), room - _INDENT):
                    yield Text(" " * _INDENT + part, style="yellow")


def _joined(columns: Sequence[_Laid], parts: Sequence[str], style: str) -> Text:
    line = Text()
    for number, (column, part) in enumerate(zip(columns, parts, strict=True)):
        space = " " * (column.width - cell_len(part))
        own = "dim" if part == NONE else "" if style == "dim" and not number else style
        line.append(space if column.justify == "right" else "")
        line.append(part, style=own)
        line.append(space if column.justify == "left" else "")
        line.append(" " * _GAP if number + 1 < len(columns) else "")
    line.rstrip()
    return line


def _at(lines: Sequence[str], place: int) -> str:
    return lines[place] if 0 <= place < len(lines) else ""
