"""What the doctor found: a table, and the same as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from edgebench_probes.discover import Finding


def probes_table(findings: Sequence[Finding]) -> Table:
    """Return one row a source: usable with its resolution, or the reason why not and the fix."""
    table = Table(box=None, pad_edge=False)
    table.add_column("source", style="bold", no_wrap=True)
    table.add_column("scope")
    table.add_column("state")
    for found in findings:
        scope = "" if found.scope is None else str(found.scope)
        if found.usable and found.info is not None:
            unit = "J" if found.info.kind == "counter" else "W"
            state = Text(f"usable: {found.info.resolution:.3g} {unit}, new every {found.info.refresh_s:g} s", "green")
        elif found.usable:
            state = Text("usable", "green")
        else:
            state = Text(found.reason or "not usable here", "yellow")
            if found.fix:
                state.append(f"\nfix: {found.fix}", "default")
        table.add_row(Text(found.name), scope, state)
    return table


def as_json(findings: Sequence[Finding]) -> str:
    """Return the findings as JSON; what is not known is absent."""

    def without_none(value: object) -> object:
        if isinstance(value, dict):
            return {key: without_none(part) for key, part in value.items() if part is not None}
        return value

    return json.dumps({"probes": [without_none(asdict(found)) for found in findings]}, indent=1, default=str) + "\n"
