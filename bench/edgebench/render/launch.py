"""What `edgebench run` and `edgebench image` show: a line of progress a board, a table of images."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from edgebench.render.live import LiveBlock

if TYPE_CHECKING:
    from rich.console import Console


class BoardLines(LiveBlock):
    """One board: its lines as they come. Several: on a terminal the last line of each, else each with its board."""

    def __init__(self, console: Console, names: Sequence[str]) -> None:
        super().__init__(console, wanted=len(names) > 1)
        self._names = list(names)
        self._last = ["connecting"] * len(names)
        self._lock = threading.Lock()

    def tell(self, index: int, line: str) -> None:
        """Show a board's latest line; may be called from any thread."""
        with self._lock:
            if self._live is not None:
                if line.startswith("edgebench: "):  # an error is worth more than the rest of a line
                    self._console.print(f"{self._names[index]}: {line}", markup=False, highlight=False, soft_wrap=True)
                if line.strip():
                    self._last[index] = line.strip()
                    self._live.update(self._table(), refresh=True)
                return
            text = line if len(self._names) == 1 else f"{self._names[index]}: {line}"
            self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def _table(self) -> Table:
        table = Table.grid(padding=(0, 2), expand=True)
        table.add_column(style="bold", no_wrap=True)
        table.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
        for name, last in zip(self._names, self._last, strict=True):
            table.add_row(Text(name), Text(last))
        return table


def images_table(rows: Iterable[Sequence[str]]) -> Table:
    """Return the table of images; a row has a text for each heading below."""
    table = Table(box=None, pad_edge=False)
    for heading in ("platform", "image", "version", "revision", "digest", "size", "for", "created", "fits"):
        table.add_column(
            heading, justify="right" if heading == "size" else "left", no_wrap=heading != "image", overflow="fold"
        )
    for row in rows:
        table.add_row(*map(Text, row))
    return table
