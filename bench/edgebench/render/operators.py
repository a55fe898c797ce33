"""The table of single operators."""

from __future__ import annotations

from edgebench.render import cells
from edgebench.render.columns import column, common_note, measured, name_column
from edgebench.render.tables import Section
from edgebench.render.units import NONE, TIMES, figure, quantity
from edgebench.report.model import Benchmark, Report


def operators_section(report: Report) -> Section | None:
    """Return the table of single operators with what INT8 gains, or None."""
    rows = measured(report, "operator")
    if not rows:
        return None
    labels = cells.labels(rows, without=("backend", "precision"))
    full_precision = {_cell_key(row): row for row in rows if row.params.get("precision") == "fp32"}
    contrasts = {(c.base, c.head): c for c in report.contrasts if c.metric == "latency_s"}

    def speed_up(row: Benchmark) -> str:
        base = full_precision.get(_cell_key(row))
        times = [one.metrics.get("latency_s") for one in (row, base) if one is not None]
        if row.params.get("precision") != "int8" or len(times) < 2 or times[0] is None or times[1] is None:
            return NONE
        contrast = contrasts.get((base.name if base else "", row.name))
        if contrast is not None and contrast.ratio:
            ends = "" if contrast.ci95 is None else f" [{_inverse(contrast.ci95[1])}, {_inverse(contrast.ci95[0])}]"
            return f"{_inverse(contrast.ratio)} {TIMES}{ends}"
        return f"{_inverse(times[0].median / times[1].median)} {TIMES}" if times[1].median else NONE

    columns = [
        name_column(rows, labels, "operator"),
        column("backend", rows, lambda row: str(row.params.get("backend", "")), justify="left"),
        column("precision", rows, lambda row: str(row.params.get("precision", "")), justify="left"),
        column("time\nmedian", rows, lambda row: cells.metric_cell(row, "latency_s")),
        column("operations", rows, lambda row: _rate(row, "operations_per_s", "OP/s")),
        column("memory", rows, lambda row: _rate(row, "bytes_per_s", "B/s")),
        column("share\nof roof", rows, lambda row: cells.metric_cell(row, "roofline_fraction")),
        column("INT8 : FP32\nspeed-up", rows, speed_up),
    ]
    return Section("Operators", (tuple(columns),), notes=common_note(labels))


def _cell_key(row: Benchmark) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((key, str(value)) for key, value in row.params.items() if key != "precision"))


def _inverse(ratio: float) -> str:
    return figure(1 / ratio if ratio else None)


def _rate(row: Benchmark, name: str, unit: str) -> str:
    metric = row.metrics.get(name)
    return NONE if metric is None else quantity(cells.headline(metric), unit)
