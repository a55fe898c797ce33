"""Lists for a terminal: a line each where there is room, else what is long beneath each row."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from rich.cells import cell_len

from edgebench.render.tables import Column, FittingTable
from edgebench.render.units import NONE
from edgebench.report.text import clean

_LONGEST = 200
_GAP = 2


def listed(
    titles: Sequence[str],
    rows: Iterable[Sequence[str]],
    width: int,
    *,
    right: Collection[str] = (),
    beneath: Collection[str] = (),
) -> FittingTable:
    """Return a table for a terminal of `width`; a row has a text for each title, and the first of them name it.

    Where a row is too long, the columns `beneath` stand in words below it, each with its title.
    """
    shown = [tuple(clean(text, _LONGEST) for text in row) for row in rows]
    cells = {title: tuple(row[place] for row in shown) for place, title in enumerate(titles)}
    told = {title: own for title, own in cells.items() if any(text not in {"", NONE} for text in own)}
    needed = sum(max(map(cell_len, (title, *own))) + _GAP for title, own in told.items()) - _GAP
    low = [title for title in titles if title in beneath and needed > width]
    columns = [
        Column(title, own, "right" if title in right else "left") for title, own in cells.items() if title not in low
    ]
    remarks = [
        "; ".join(f"{title}: {cells[title][place]}" for title in low if cells[title][place] not in {"", NONE})
        for place in range(len(shown))
    ]
    return FittingTable([*columns, Column("", tuple(remarks), "left", below=True)])
