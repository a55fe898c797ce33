"""A table whose cells lead somewhere."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgebench.render.templates import filled_in

if TYPE_CHECKING:
    from markupsafe import Markup


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell: its text, where it leads (a relative address or https, made by us), and the number it is sorted by."""

    text: str
    href: str = ""
    key: float | None = None


def listing(
    title: str,
    header: Sequence[str],
    rows: Sequence[Sequence[Cell]],
    *,
    right: Collection[int] = (),
    notes: Sequence[str] = (),
    tools: bool = True,
) -> Markup:
    """Return a table; `right` are the columns of figures, `tools` sort and filter rows. Every text in it is escaped."""
    return filled_in("listing.html.j2", title=title, header=header, rows=rows, right=right, notes=notes, tools=tools)
