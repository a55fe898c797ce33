"""A report of as many benchmarks as asked for: the sample's, again and again under other models and thread counts."""

from __future__ import annotations

from typing import Any

from edgebench.report.model import Report

MODELS = ("mobilenet_v2", "resnet18", "efficientnet_b0", "squeezenet1_1", "vit_tiny")


def many(report: Report, count: int) -> Report:
    """Return the sample with `count` measured inferences; those of other models cost more, less or as much."""
    data = report.model_dump(mode="json")
    rows = [row for row in data["benchmarks"] if row["kind"] == "inference" and row["status"] == "ok"]
    others = [row for row in data["benchmarks"] if row not in rows]
    made = [_another(rows[number % len(rows)], number // len(rows)) for number in range(count)]
    return Report.model_validate({**data, "benchmarks": [*made, *others]})


def _another(row: dict[str, Any], number: int) -> dict[str, Any]:
    if not number:
        return row
    model, threads = MODELS[number % len(MODELS)], 4 + number // len(MODELS)
    factor = (0.12, 0.8, 1.9, 4.1, 9.5)[number % len(MODELS)] * (1 - 0.05 * (threads - 4))
    metrics = {
        name: _scaled(metric, factor) if metric["unit"] in {"s", "J"} else metric
        for name, metric in row["metrics"].items()
    }
    return {
        **row,
        "name": f"{row['name'].replace('mobilenet_v2', model)}/t{threads}",
        "group": f"{model}/b1/t{threads}/none",
        "params": {**row["params"], "model": model, "threads": threads},
        "metrics": metrics,
    }


def _scaled(value: Any, factor: float, key: str = "") -> Any:
    if isinstance(value, dict):
        return {name: _scaled(item, factor, name) for name, item in value.items()}
    if isinstance(value, list):
        return [_scaled(item, factor, key) for item in value]
    return value * factor if isinstance(value, float) and key != "images" else value
