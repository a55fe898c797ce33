"""The columns of quality: what each task is judged by, and agreement with torch FP32."""

from __future__ import annotations

from collections.abc import Sequence

from edgebench.render import cells
from edgebench.render.tables import Column
from edgebench.render.units import NONE, share
from edgebench.report.model import Benchmark

SHARES = {
    "accuracy_top1": "accuracy",
    "map50": "mAP@0.5",
    "agreement_map50": "mAP@0.5\nagainst FP32",
    "miou": "mIoU",
    "pixel_accuracy": "pixels\nright",
}


def quality_columns(rows: Sequence[Benchmark]) -> list[Column]:
    """Return a column for each kind of quality; those that no row has stay empty and are left out when shown."""
    columns = [
        Column(
            header,
            tuple(cells.metric_cell(row, name) if name == "accuracy_top1" else _share(row, name) for row in rows),
        )
        for name, header in SHARES.items()
    ]
    tokens = Column("tokens", tuple(cells.metric_cell(row, "tokens_per_s") for row in rows))
    after = Column("post-\nprocessing", tuple(cells.metric_cell(row, "postprocess_s") for row in rows))
    return [tokens, *columns, after, Column("agreement with FP32\ncosine · arg-max", tuple(map(agreement_cell, rows)))]


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
