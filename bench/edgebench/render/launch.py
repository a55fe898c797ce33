"""What `edgebench run` shows of boards: a line of progress each."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from edgebench.render.live import LiveBlock

if TYPE_CHECKING:
    from rich.console import Console


class BoardLines(LiveBlock):
    """One board: its lines as they come. Several: on a terminal the last line of each, else each with its board."""

    def __init__(self, console: Console, names: Sequence[str], *, several: bool) -> None:
        super().__init__(console, wanted=several)
        self._names, self._several = list(names), several
        self._last = ["connecting"] * len(names)
        self._told: dict[int, None] = {}  # boards, the one heard of last at the end
        self._over: set[int] = set()
        self._lock = threading.Lock()

    def tell(self, index: int, line: str) -> None:
        """Show a board's latest line; may be called from any thread."""
        with self._lock:
            if self._live is not None:
                if line.startswith("edgebench: "):  # an error is worth more than the rest of a line
                    self._console.print(f"{self._names[index]}: {line}", markup=False, highlight=False, soft_wrap=True)
                if line.strip():
                    self._last[index] = line.strip()
                    self._told.pop(index, None)
                    self._told[index] = None
                    self._live.update(self._table(), refresh=True)
                return
            text = line if not self._several else f"{self._names[index]}: {line}"
            self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def ended(self, index: int) -> None:
        """A board ended: where there is no room for all, it makes room for others. Any thread."""
        with self._lock:
            self._over.add(index)
            if self._live is not None:
                self._live.update(self._table(), refresh=True)

    def _table(self) -> Table:
        """Return a row a board; where there are more than lines, those that go on and were heard of last."""
        room = max(self._console.height - 3, 3)
        shown = list(range(len(self._names)))
        if len(shown) > room:
            going = [index for index in reversed(self._told) if index not in self._over]
            shown = sorted((going + [index for index in shown if index not in self._told])[: room - 1])
        table = Table.grid(padding=(0, 2), expand=True)
        table.add_column(style="bold", no_wrap=True)
        table.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
        for index in shown:
            table.add_row(Text(self._names[index]), Text(self._last[index]))
        if len(shown) < len(self._names):
            table.add_row(Text("all"), Text(f"{len(self._over)} of {len(self._names)} ended"))
        return table
