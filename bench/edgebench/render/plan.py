"""Suites and plans as tables: what there is, and what a session would do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING

from rich.console import Group
from rich.table import Table
from rich.text import Text

from edgebench.plan.kinds import KINDS
from edgebench.plan.skips import skips
from edgebench_suites.data import text as book

if TYPE_CHECKING:
    from edgebench.plan.plan import Plan


def suites_table(titles: Mapping[str, str]) -> Table:
    """Return the list of suites from {name: title}."""
    table = Table(box=None, pad_edge=False)
    table.add_column("suite", style="bold", no_wrap=True)
    table.add_column("what it measures", overflow="fold")
    for name, title in titles.items():
        table.add_row(name, Text(title))
    return table


def plan_table(plan: Plan, seconds: tuple[float, float]) -> Group:
    """Return every benchmark of a plan with its runs and passes, why some are skipped here, and the estimated time.

    `seconds` are the least and the most that it takes.
    """
    skipped = skips(plan)
    table = Table(box=None, pad_edge=False)
    table.add_column("benchmark", overflow="fold")
    for heading in ("runs", "warm-up", "passes", "threads", "input"):
        table.add_column(heading, justify="right")
    if skipped:
        table.add_column("here", no_wrap=True)
    for cell in plan.benchmarks:
        measure = cell.measure
        pixels = "" if cell.params.operator is not None or plan.own_model is not None else str(cell.params.size)
        runs = f"{measure.least_runs}-{measure.most_runs}" if measure.precision else str(measure.processes)
        counts: tuple[object, ...] = (runs, measure.warmup_passes, measure.passes, cell.params.threads)
        if cell.generates:
            pixels = f"{cell.params.tokens} + {cell.params.generate} tokens"
            pixels = f"{cell.params.batch} x ({pixels})" if cell.params.batch > 1 else pixels
            counts = (runs, "", f"{measure.requests} requests", cell.params.threads)
        if KINDS[cell.kind].lasts:
            counts = (runs, "", f"{measure.sustained_s:g} s", cell.params.threads)
        here = ["skipped"] if cell.name in skipped else [""] * bool(skipped)
        table.add_row(Text(cell.name), *map(str, counts), pixels, *here)
    count = len(plan.benchmarks)
    head = Text(f"{plan.name}: {count} benchmark{'s' * (count != 1)}, {_data(plan)}, seed {plan.seed}")
    least, most = map(duration, seconds)
    time = least if least == most else f"{least} to {most}"
    where = "on a 2-core x86 machine with a source of energy"
    foot = Text(f"about {time} {where}, less what is cached; nothing was run")
    asked = sorted({cell.measure.precision for cell in plan.benchmarks if cell.measure.precision})
    bounds = [
        Text(
            f"runs go on until every interval is within ±{' or '.join(f'{100 * one:g}' for one in asked)} %, "
            f"for {plan.max_minutes:g} min of measuring at most"
        )
    ]
    counts_by_reason = Counter(skipped.values())
    why = [Text(f"skipped here ({count}): {reason}") for reason, count in counts_by_reason.items()]
    return Group(head, table, *why, *bounds[: len(asked)], foot)


def _data(plan: Plan) -> str:
    """Name what the models are fed: language models read a text."""
    if any(not cell.generates for cell in plan.benchmarks):
        return f"data {plan.dataset}"
    return f"text {book.NAME if plan.text is None else plan.text.path.name}"


def duration(seconds: float) -> str:
    """Return seconds as a person would say them."""
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
