"""Columns of a table of benchmarks."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from edgebench.render import cells
from edgebench.render.tables import Column
from edgebench.report.model import Benchmark, Report


def common_note(labels: cells.Labels) -> tuple[str, ...]:
    """Return what all rows have in common as a note, or none."""
    return (f"all: {labels.common}",) if labels.common else ()


def name_column(rows: Sequence[Benchmark], labels: cells.Labels, header: str = "benchmark") -> Column:
    """Return the column of the rows' short names."""
    return Column(header, tuple(labels.names[row.name] for row in rows), "left")


def column(
    header: str, rows: Sequence[Benchmark], cell: Callable[[Benchmark], str], *, justify: str = "right"
) -> Column:
    """Return one cell of each row."""
    return Column(header, tuple(cell(row) for row in rows), "left" if justify == "left" else "right")


def energy_column(name: str, rows: Sequence[Benchmark]) -> Column:
    """Return an energy with its scope: in the header where all rows share it."""
    scope = cells.scope_of(rows, name)

    def cell(row: Benchmark) -> str:
        shown = cells.metric_cell(row, name)
        metric = row.metrics.get(name)
        return shown if scope or metric is None or metric.scope is None else f"{shown} {metric.scope}"

    return column(cells.title(name) + (f"\n({scope})" if scope else ""), rows, cell)


def measured(report: Report, kind: str) -> list[Benchmark]:
    """Return the benchmarks of a kind that have figures."""
    return [row for row in report.benchmarks if row.kind == kind and row.status == "ok"]
