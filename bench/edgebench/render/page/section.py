"""A section of tables, bullets and notes as markup; every cell knows by what it is sorted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgebench.render.page.sortkey import sort_key
from edgebench.render.tables import Column, Section, filled
from edgebench.render.templates import filled_in

if TYPE_CHECKING:
    from markupsafe import Markup


@dataclass(frozen=True, slots=True)
class _Cell:
    text: str
    right: bool
    key: float | None = None


@dataclass(frozen=True, slots=True)
class _Table:
    header: list[_Cell]
    rows: list[list[_Cell]]


def section_markup(section: Section, title: str = "") -> Markup:
    """Return a section's body; `title` names its tables where the section has none."""
    return filled_in(
        "section.html.j2",
        title=section.title or title,
        tables=[_table(filled(columns)) for columns in section.tables],
        bullets=section.bullets,
        notes=section.notes,
    )


def _table(columns: tuple[Column, ...]) -> _Table:
    header = [_Cell(column.header, _right(column)) for column in columns]
    rows = []
    for number in range(len(columns[0].cells)):
        cells = [(column.cells[number], _right(column)) for column in columns]
        rows.append([_Cell(text, right, sort_key(text) if right else None) for text, right in cells])
    return _Table(header, rows)


def _right(column: Column) -> bool:
    """Tell whether a column holds figures; a remark on the row is text, however it stands on a terminal."""
    return column.justify == "right" and not column.below
