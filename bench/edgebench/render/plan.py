"""Suites and plans as tables: what there is, and what a session would do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Group
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from edgebench.plan.plan import Plan
    from edgebench.plan.suitefile import SuiteFile


def suites_table(suites: Sequence[SuiteFile]) -> Table:
    """Return the list of suites."""
    table = Table(box=None, pad_edge=False)
    table.add_column("suite", style="bold", no_wrap=True)
    table.add_column("what it measures")
    for suite in suites:
        table.add_row(suite.name, Text(suite.title))
    return table


def plan_table(plan: Plan, seconds: float) -> Group:
    """Return every benchmark of a plan with its runs and passes, and the estimated time."""
    table = Table(box=None, pad_edge=False)
    table.add_column("benchmark", no_wrap=True)
    for heading in ("runs", "warm-up", "passes", "threads", "pixels"):
        table.add_column(heading, justify="right")
    for cell in plan.benchmarks:
        measure = cell.measure
        pixels = "" if cell.params.operator is not None or plan.own_model is not None else str(cell.params.size)
        counts: tuple[object, ...] = (measure.processes, measure.warmup_passes, measure.passes, cell.params.threads)
        if cell.kind == "sustained":
            counts = (measure.processes, "", f"{measure.sustained_s:g} s", cell.params.threads)
        table.add_row(Text(cell.name), *map(str, counts), pixels)
    head = Text(f"{plan.name}: {len(plan.benchmarks)} benchmarks, data {plan.dataset}, seed {plan.seed}")
    foot = Text(f"about {duration(seconds)} on a 2-core x86 machine, less what is cached; nothing was run")
    return Group(head, table, foot)


def duration(seconds: float) -> str:
    """Return seconds as a person would say them."""
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
