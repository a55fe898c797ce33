"""Sections and tables as data, and tables that fit a terminal.

Columns that have no room beside each other go on in a second table with the same row names.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from rich import box
from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from edgebench.render.units import NONE
from edgebench.report.text import clean_lines

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions

_GAP = 2
_NARROWEST_NAME = 22
_WRAPPED = 28


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its header (a line break splits it), the cell of each row, and how they stand."""

    header: str
    cells: tuple[str, ...]
    justify: Literal["left", "right"] = "right"
    wrap: bool = False

    @property
    def empty(self) -> bool:
        """Whether no row has anything to say."""
        return all(cell in {"", NONE} for cell in self.cells)

    @property
    def width(self) -> int:
        """Width it needs: that of the widest line, or less for a column that may wrap."""
        widest = max(cell_len(line) for text in (self.header, *self.cells) for line in text.split("\n"))
        return min(widest, _WRAPPED) if self.wrap else widest


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


class FittingTable:
    """A rich renderable: columns, the first of which names the rows; empty columns are left out."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self.columns = filled(columns)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Table | Text]:
        """Yield one table, or as many as the width needs."""
        name, *others = self.columns
        name_width = self._name_width(options.max_width)
        row: list[Column] = []
        used = name_width
        for column in others:
            wanted = column.width + _GAP
            if row and used + wanted > options.max_width:
                yield _table([name, *row], name_width)
                yield Text()
                row, used = [], name_width
            row.append(column)
            used += wanted
        yield _table([name, *row], name_width)

    def _name_width(self, width: int) -> int:
        name, *others = self.columns
        widest = max((column.width for column in others), default=0) + _GAP
        everything = sum(column.width + _GAP for column in others)
        room = width - everything if name.width + everything <= width else width - widest
        room = min(room, max(_NARROWEST_NAME, width * 2 // 5)) if name.width + everything > width else room
        return max(8, min(name.width, room))


def _table(columns: Sequence[Column], name_width: int) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, _GAP - 1, 0, 0))
    for index, column in enumerate(columns):
        table.add_column(
            Text(clean_lines(column.header), style="bold"),
            justify=column.justify,
            no_wrap=index > 0 and not column.wrap,
            overflow="fold",
            max_width=name_width if index == 0 else None,
        )
    for cells in zip(*(column.cells for column in columns), strict=True):
        table.add_row(*(_text(cell) for cell in cells))
    return table


def _text(cell: str) -> Text:
    return Text(clean_lines(cell), style="dim" if cell == NONE else "")
