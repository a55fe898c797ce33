"""The Pi study's table and verdicts, from a report of its form."""

from __future__ import annotations

import json
from typing import Any

import pytest

from edgebench.render.studies.pi import OPTIMISED, PLAIN, effects_of, judge, pi_section, published_effect
from edgebench.render.units import TIMES
from edgebench.report.io import parse_report
from edgebench.report.model import Report


def metric(unit: str, mean: float, **extra: Any) -> dict[str, Any]:
    facts = dict.fromkeys(("mean", "median", "min", "max"), mean)
    return {"unit": unit, "better": "lower", "count": 1, "stdev": 0.0, **facts, **extra}


def cell(model: str, variant: str, latency_s: float, size: float, backend: str = "litert") -> dict[str, Any]:
    return {
        "name": f"{model}/{variant}/{backend}",
        "kind": "inference",
        "status": "ok",
        "group": model,
        "params": {"model": model, "variant": variant, "backend": backend, "width": 1.0},
        "metrics": {
            "latency_s": metric("s", latency_s),
            "size_bytes": metric("B", size, value=size),
            "accuracy_top1": metric("1", 0.98, value=0.98, images=150),
        },
    }


def contrast(name: str, model: str, **extra: Any) -> dict[str, Any]:
    ends = {"base": f"{model}/{PLAIN}/litert", "head": f"{model}/{OPTIMISED}/litert"}
    return {"metric": name, **ends, "pairs": 3, "method": "paired", **extra}


@pytest.fixture
def report() -> Report:
    data = {
        "schema": "edgebench.report/1",
        "id": "00000000-0000-4000-8000-000000000000", "created": "2026-01-01T00:00:00Z", "status": "complete",
        "generator": {"name": "edgebench", "version": "0"},
        "suite": {"name": "pi-tflite", "digest": "d", "seed": 42, "study": "pi"},
        "platform": "pi",
        "fingerprint": {"hard": {}, "soft": {}},
        "machine": {"cpu": "c", "cores": 4},
        "benchmarks": [
            cell("mobilenet_v2", PLAIN, 0.03, 9e6),
            cell("resnet50", PLAIN, 0.08, 1e8, backend="torch"),
            cell("resnet50", PLAIN, 0.06, 100_000_000),
            cell("resnet50", OPTIMISED, 0.02, 25_600_000),
            cell("vgg19", PLAIN, 0.2, 9e7),
        ],
        "contrasts": [
            contrast("latency_s", "resnet50", ratio=0.333, ci95=[0.3, 0.36]),
            contrast("size_bytes", "resnet50", ratio=0.256),
            contrast("accuracy_top1", "resnet50", difference=0.0, ci95=[-0.02, 0.02]),
        ],
    }  # fmt: skip
    return parse_report(json.dumps(data).encode(), "pi.json")


def test_the_published_ratios_are_the_studys_headlines() -> None:
    assert 1 / published_effect("resnet50", "latency_s") == pytest.approx(2.86, abs=0.01)
    assert published_effect("resnet50", "size_bytes") == pytest.approx(0.1374, abs=5e-5)


def test_effects_are_this_machines_and_only_of_models_in_both_forms(report: Report) -> None:
    found = {(effect.model, effect.metric): effect for effect in effects_of(report)}
    assert {model for model, _ in found} == {"resnet50"}
    assert found["resnet50", "latency_s"].measured == 0.333
    assert found["resnet50", "latency_s"].verdict == "faster, as published"
    assert found["resnet50", "size_bytes"].verdict == "another ratio"
    assert found["resnet50", "accuracy_top1"].verdict.startswith("cannot be told")


def test_the_section_puts_published_rows_beside_measured_ones(report: Report) -> None:
    section = pi_section(report)
    assert section is not None
    table, verdicts = section.tables
    names = table[0].cells
    assert names.index("  published, optimised") == names.index(f"resnet50 {OPTIMISED} .tflite") + 1
    assert names.count("  published, not optimised") == 2
    columns = {column.header: dict(zip(names, column.cells, strict=True)) for column in table}
    assert columns["file\nkB"][f"resnet50 {OPTIMISED} .tflite"] == "25,000"
    assert columns["speed-up"][f"resnet50 {OPTIMISED} .tflite"] == f"3.00 {TIMES}"
    assert columns["size\nratio"][f"resnet50 {OPTIMISED} .tflite"] == "25.60%"
    assert columns["speed-up"]["resnet50 baseline torch"] == f"0.750 {TIMES}"
    assert len(verdicts[0].cells) == 3


def test_other_reports_have_no_such_section(report: Report) -> None:
    other = report.model_copy(update={"suite": report.suite.model_copy(update={"study": "n150"})})
    assert pi_section(other) is None
    assert pi_section(report.model_copy(update={"benchmarks": ()})) is None


@pytest.mark.parametrize(
    ("metric", "published", "measured", "interval", "verdict"),
    [
        ("latency_s", 0.35, None, None, "not measured"),
        ("latency_s", 0.35, 0.4, None, "cannot be told: too few runs for an interval"),
        ("latency_s", 0.35, 0.99, (0.9, 1.1), "cannot be told: the interval holds no change"),
        ("latency_s", 1.02, 0.4, (0.3, 0.5), "faster, unlike published"),
        ("latency_s", 1.02, 1.4, (1.3, 1.5), "slower, as published"),
        ("size_bytes", 0.2516, 0.2525, None, "as published"),
        ("accuracy_top1", 0.0, 0.0, (-0.005, 0.005), "kept, as published"),
        ("accuracy_top1", 0.0, -0.1, (-0.2, -0.05), "lower, unlike published"),
    ],
)
def test_a_direction_is_told_only_where_the_interval_is_sure(
    metric: str, published: float, measured: float | None, interval: tuple[float, float] | None, verdict: str
) -> None:
    assert judge(metric, published, measured, interval) == verdict
