"""The Jetson study's verdicts on reports whose answers are known."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.reports import suite as plain_suite

from edgebench.render.studies.jetson import findings_of
from edgebench.report.metric import metric_from_runs, single_value
from edgebench.report.model import Benchmark, Contrast, Report, Suite

MODELS = ("mobilenet_v3_small", "efficientnet_b0", "densenet169")


def cell(kind: str, model: str, variant: str, **metrics: Any) -> Benchmark:
    precision = {"baseline": "fp32", "fp16": "fp16", "ptq-static": "int8"}[variant]
    params = {"model": model, "variant": variant, "backend": "onnxruntime", "precision": precision, "batch": 1}
    return Benchmark(name=f"{kind}/{model}/{variant}", kind=kind, status="ok", params=params, metrics=metrics)  # type: ignore[arg-type]


def plain_report() -> Report:
    return Report.model_validate(plain_suite(1))


def study(*, int8_latency: tuple[float, ...], int8_size: float, drop: tuple[float, float, float]) -> Report:
    cells, contrasts = [], []
    for index, model in enumerate(MODELS):
        for variant, latency, size in (("baseline", 1.0, 100.0), ("ptq-static", int8_latency[index], int8_size)):
            cells.append(
                cell("inference", model, variant, latency_s=metric_from_runs("latency_s", [[latency]]),
                     size_bytes=single_value("size_bytes", size))
            )  # fmt: skip
        base, head = f"inference/{model}/baseline", f"inference/{model}/ptq-static"
        contrasts.append(
            Contrast(
                metric="accuracy_top1",
                base=base,
                head=head,
                difference=drop[0],
                ci95=drop[1:],
                pairs=360,
                method="paired",
            )
        )
        for variant, seconds in (("fp16", 1.0), ("ptq-static", 3.0 + index)):
            cells.append(cell("compress", model, variant, compress_s=metric_from_runs("compress_s", [[seconds]])))
    suite = Suite(name="any", digest="d", seed=1, study="jetson")
    return plain_report().model_copy(update={"suite": suite, "benchmarks": tuple(cells), "contrasts": tuple(contrasts)})


def verdicts(report: Report) -> dict[str, str]:
    return {finding.text: finding.verdict for finding in findings_of(report)}


def test_a_machine_like_the_studys_reproduces_it() -> None:
    found = verdicts(study(int8_latency=(0.38, 0.40, 0.36), int8_size=23.0, drop=(-0.01, -0.03, 0.005)))
    assert found["INT8 takes longer to make than FP16"] == "reproduced"
    assert found["INT8 shrinks models by up to 77 %"] == "reproduced"
    assert found["INT8 costs at most 13.9 points of accuracy"] == "reproduced"
    assert found["INT8 latency falls by 55 to 67 %"] == "reproduced"
    assert found["INT8: GPU use falls"] == "cannot be told"


def test_one_unlike_it_does_not_and_one_too_noisy_cannot_tell() -> None:
    found = verdicts(study(int8_latency=(0.80, 0.82, 0.81), int8_size=28.0, drop=(-0.3, -0.35, -0.25)))
    assert found["INT8 shrinks models by up to 77 %"] == "not reproduced"
    assert found["INT8 costs at most 13.9 points of accuracy"] == "not reproduced"
    assert found["INT8 latency falls by 55 to 67 %"] == "not reproduced"
    noisy = verdicts(study(int8_latency=(0.1, 1.5, 0.4), int8_size=23.0, drop=(-0.12, -0.2, -0.05)))
    assert noisy["INT8 latency falls by 55 to 67 %"] == "cannot be told"
    assert noisy["INT8 costs at most 13.9 points of accuracy"] == "cannot be told"


def test_other_studies_have_no_such_findings() -> None:
    assert findings_of(plain_report()) == ()


@pytest.mark.parametrize("metric", ["latency_s", "size_bytes"])
def test_nothing_measured_gives_no_finding_of_it(metric: str) -> None:
    report = study(int8_latency=(0.4, 0.4, 0.4), int8_size=25.0, drop=(0.0, -0.01, 0.01))
    kept = [
        row.model_copy(update={"metrics": {name: one for name, one in row.metrics.items() if name != metric}})
        for row in report.benchmarks
    ]
    found = verdicts(report.model_copy(update={"benchmarks": tuple(kept)}))
    text = {"latency_s": "INT8 latency falls by 55 to 67 %", "size_bytes": "INT8 shrinks models by up to 77 %"}[metric]
    assert found.get(text, "cannot be told") == "cannot be told"
