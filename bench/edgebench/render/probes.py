"""What the doctor found: a table, and the same as JSON."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from edgebench.render.live import LiveBlock
from edgebench.render.units import quantity
from edgebench.report.text import json_text

if TYPE_CHECKING:
    from rich.console import Console

    from edgebench_probes.catalogue.discover import Finding

SPARK = "▁▂▃▄▅▆▇█"
SPARKS = 40


def probes_table(findings: Sequence[Finding]) -> Table:
    """Return one row a source: usable with its resolution, or the reason why not and the fix."""
    table = Table(box=None, pad_edge=False)
    table.add_column("source", style="bold", overflow="fold")
    # A flag to copy is never cut: what has no room goes on in the next line.
    table.add_column("scope", overflow="fold")
    table.add_column("state", overflow="fold")
    for found in findings:
        scope = "" if found.scope is None else str(found.scope)
        if found.usable:
            state = Text(_usable(found), "green")
        else:
            state = Text(found.reason or "not usable here", "yellow")
            if found.fix:
                state.append(f"\nfix: {found.fix}", "default")
        table.add_row(Text(found.name), scope, state)
    return table


def _usable(found: Finding) -> str:
    """Say what a usable source reads now, how finely and how often, and the shortest window worth measuring."""
    parts = ["usable"] if found.reading_w is None else [f"usable: {found.reading_w:.3g} W now"]
    if found.info is not None:
        step = quantity(found.info.resolution, "J" if found.info.kind == "counter" else "W")
        parts.append(f"steps of {step}, new every {quantity(found.info.refresh_s, 's')}")
    if found.shortest_window_s is not None:
        parts.append(f"1 % needs {quantity(found.shortest_window_s, 's')}")
    return "\n".join([", ".join(parts), *([found.reason] if found.reason else []), *(found.notes or {}).values()])


class Watch(LiveBlock):
    """Live power of some probes: a sparkline each on a terminal, a line a value elsewhere."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._history: dict[tuple[str, str], deque[float | None]] = {}
        self._reasons: dict[tuple[str, str], str | None] = {}

    def add(self, name: str, scope: str, watts: float | None, reason: str | None) -> None:
        """Show one more value; None with its reason."""
        if self._live is None:
            text = reason if watts is None else f"{watts:.3f} W"
            self._console.print(f"{name} {scope}: {text}", markup=False, highlight=False, soft_wrap=True)
            return
        key = (name, scope)
        self._history.setdefault(key, deque(maxlen=SPARKS)).append(watts)
        self._reasons[key] = reason
        self._live.update(self._table(), refresh=True)

    def _table(self) -> Table:
        table = Table(box=None, pad_edge=False)
        for heading in ("source", "scope", "power", f"last {SPARKS} values"):
            table.add_column(heading, justify="right" if heading == "power" else "left", no_wrap=True)
        for (name, scope), values in self._history.items():
            latest = values[-1]
            shown = self._reasons[name, scope] or "" if latest is None else f"{latest:.2f} W"
            table.add_row(Text(name, "bold"), scope, Text(shown), sparkline(values))
        return table


def sparkline(values: Iterable[float | None]) -> str:
    """Return values as eight heights from zero to their largest; a gap for what is missing."""
    known = list(values)
    top = max((value for value in known if value is not None), default=0.0)
    if top <= 0:
        return " " * len(known)
    return "".join(" " if value is None else SPARK[min(7, max(0, int(8 * value / top)))] for value in known)


def as_json(findings: Sequence[Finding]) -> str:
    """Return the findings as JSON; what is not known is absent."""

    def without_none(value: object) -> object:
        if isinstance(value, dict):
            return {key: without_none(part) for key, part in value.items() if part is not None}
        return value

    return json_text({"probes": [without_none(asdict(found)) for found in findings]}) + "\n"
