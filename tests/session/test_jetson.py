"""Kind compress and the Jetson study from the command line: what was made, what it cost, what was found."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from edgebench.plan.suites import builtin_suites
from tests.session.conftest import RECIPE, Edgebench

pytestmark = pytest.mark.session

SUITE = (
    """
name = "making"
study = "jetson"
idle_s = 1.0
[measure]
processes = 2
warmup_passes = 5
passes = 20
values = 5
energy_window_s = 0.4
"""
    + RECIPE
    + """
[[benchmark]]
kind = "compress"
model = ["mobilenet_v2"]
width = [0.25]
variant = ["baseline", "fp16", "ptq-static"]
backend = ["onnxruntime", "tensorrt"]
image_size = 64
[[benchmark]]
model = ["mobilenet_v2"]
width = [0.25]
variant = ["baseline", "fp16", "ptq-static"]
backend = ["onnxruntime"]
image_size = 64
measure = { processes = 1 }
"""
)


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("jetson") / "making.toml"
    path.write_text(SUITE, encoding="utf-8")
    return path


@pytest.mark.quiet
def test_making_is_measured_by_phase_in_time_memory_joules_size_and_accuracy(
    edgebench: Edgebench, suite: Path, seven_watts: Path, tmp_path: Path
) -> None:
    target = tmp_path / "report.json"
    done = edgebench("suite", suite, "--sysfs", seven_watts, "-o", target)
    assert done.code == 0, done.stderr
    assert edgebench("validate", target).code == 0
    report: dict[str, Any] = json.loads(target.read_text(encoding="utf-8"))
    cells = {
        (cell["kind"], cell["params"]["variant"], cell["params"]["backend"]): cell for cell in report["benchmarks"]
    }
    for variant in ("baseline", "fp16", "ptq-static"):
        made, run = cells["compress", variant, "onnxruntime"], cells["inference", variant, "onnxruntime"]
        assert made["status"] == "ok", made
        metrics = made["metrics"]
        phases = ["export"] if variant == "baseline" else ["export", "build"]
        whole = [value for (value,) in metrics["compress_s"]["runs"]]
        assert len(whole) == 2
        for turn, seconds in enumerate(whole):
            assert seconds == pytest.approx(sum(metrics[f"{phase}_s"]["runs"][turn][0] for phase in phases))
        for phase in phases:
            # A phase without joules holds the interpreter longer than this counter may go unread: it says so.
            if f"{phase}_energy_j" in metrics:
                joules, seconds = metrics[f"{phase}_energy_j"]["runs"], metrics[f"{phase}_s"]["runs"]
                assert joules[0][0] == pytest.approx(7.0 * seconds[0][0], rel=0.05, abs=0.03)
            else:
                assert made["missing"][f"{phase}_energy_j"]["reason"]
            assert metrics[f"{phase}_peak_memory_bytes"]["min"] > 2e7
        assert ("build_s" in made["missing"]) == (variant == "baseline")
        # What was made is what was measured: the same size, the same answers.
        assert metrics["size_bytes"]["mean"] == pytest.approx(run["metrics"]["size_bytes"]["mean"], rel=0.001)
        assert metrics["accuracy_top1"]["mean"] == run["metrics"]["accuracy_top1"]["mean"]
        assert metrics["accuracy_top1"]["images"] == 360
        skipped = cells["compress", variant, "tensorrt"]
        assert skipped["status"] == "ok" or skipped["reason"].startswith(("tensorrt", "no NVIDIA"))
    sizes = {key[1]: cell["metrics"]["size_bytes"]["mean"] for key, cell in cells.items() if key[0] == "inference"}
    assert sizes["fp16"] < 0.56 * sizes["baseline"]
    assert sizes["ptq-static"] < 0.45 * sizes["baseline"]
    assert cells["inference", "ptq-static", "onnxruntime"]["layers"]["int8"] > 50

    shown = edgebench("show", target, "--all")
    assert shown.code == 0
    assert "Making the artifacts" in shown.stdout
    assert "INT8 takes longer to make" in shown.stdout
    assert "cannot be told" in shown.stdout
    for form in ("csv", "pyperf"):
        assert edgebench("export", target, "--format", form, "-o", tmp_path / form).code == 0
    # What was skipped cannot be compared; the rest is.
    assert edgebench("compare", target, target).code in {0, 3, 4}


def test_the_suites_plan_names_every_engine_and_all_six_models(edgebench: Edgebench) -> None:
    assert "jetson-ptq" in builtin_suites()
    done = edgebench("suite", "jetson-ptq", "--dry-run", COLUMNS="200")
    assert done.code == 0
    plan = done.stdout + done.stderr
    for word in ("densenet201/ptq-static/tensorrt/int8/compress", "efficientnet_b3/fp16/torch-cuda/fp16",
                 "mobilenet_v3_small/fp16/onnxruntime-cuda/fp16", "densenet169/ptq-static/openvino/int8"):  # fmt: skip
        assert word in plan
    assert "torch-cuda/fp32/compress" not in plan
    assert "onnxruntime-cuda/int8" not in plan
