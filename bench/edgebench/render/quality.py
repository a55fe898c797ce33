"""The columns of quality: what each task is judged by, and agreement with torch FP32."""

from __future__ import annotations

from collections.abc import Sequence

from edgebench.render import cells
from edgebench.render.tables import Column
from edgebench.render.units import NONE, share
from edgebench.report.catalogue import METRICS
from edgebench.report.model import Benchmark

SHARES = {
    "accuracy_top1": "accuracy",
    "map50": "mAP@0.5",
    "agreement_map50": "mAP@0.5\nagainst FP32",
    "miou": "mIoU",
    "pixel_accuracy": "pixels\nright",
}


def winning_columns(rows: Sequence[Benchmark]) -> list[Column]:
    """Return the columns that tell which variant is most accurate; those that no row has are left out when shown."""
    return [_column(rows, name) for name in SHARES if METRICS[name].wins is not None]


def quality_columns(rows: Sequence[Benchmark]) -> list[Column]:
    """Return a column for each other kind of quality; those that no row has are left out when shown."""
    columns = [_column(rows, name) for name in SHARES if METRICS[name].wins is None]
    tokens = Column("tokens", tuple(cells.metric_cell(row, "tokens_per_s") for row in rows))
    after = Column("post-\nprocessing", tuple(cells.metric_cell(row, "postprocess_s") for row in rows))
    return [tokens, *columns, after, Column("agreement with FP32\ncosine · arg-max", tuple(map(agreement_cell, rows)))]


def _column(rows: Sequence[Benchmark], name: str) -> Column:
    whole = name == "accuracy_top1"
    return Column(SHARES[name], tuple(cells.metric_cell(row, name) if whole else _share(row, name) for row in rows))


def agreement_cell(row: Benchmark) -> str:
    """Return how a benchmark's outputs agree with torch FP32: ``0.9998 · 100.0 %``."""
    cosine, top1 = (row.metrics.get(f"agreement_{name}") for name in ("cosine", "top1"))
    if top1 is None:
        return NONE
    shown = NONE if cosine is None else f"{cells.headline(cosine):.4f}"
    return f"{shown} · {share(cells.headline(top1), 1)}"


def _share(row: Benchmark, name: str) -> str:
    metric = row.metrics.get(name)
    return NONE if metric is None else share(cells.headline(metric), 1)
