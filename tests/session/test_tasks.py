"""Quality from the command line: a damaged artifact is told, and each task beyond classification gets its figures."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from edgebench.artifacts.store import content_digest
from tests.session.conftest import RECIPE, Edgebench

pytestmark = pytest.mark.session

MEASURE = "[measure]\nprocesses = 1\nwarmup_passes = 2\npasses = 10\nvalues = 5\nenergy_windows = 0\n"
SMALL = """
[recipe.default]
train_size = 64
pretrain_epochs = 1
pretrain_lr = 2e-3
batch = 8
epochs = 0
subset = 0.05
calibration_images = 8
"""
SCENE_MODELS = 'model = ["ssdlite320_mobilenet_v3_large", "lraspp_mobilenet_v3_large"]\n'


def write(folder: Path, name: str, recipe: str, *tables: str) -> Path:
    path = folder / f"{name}.toml"
    path.write_text(
        f'name = "{name}"\nidle_s = 0.0\n{MEASURE}{recipe}[[benchmark]]\n' + "\n[[benchmark]]\n".join(tables)
    )
    return path


def cells(report: dict[str, Any]) -> dict[str, dict[str, Any]]:
    assert [cell["reason"] for cell in report["benchmarks"] if cell["status"] != "ok"] == []
    return {cell["name"]: cell for cell in report["benchmarks"]}


def codes(cell: dict[str, Any]) -> set[str]:
    return {notice["code"] for notice in cell["warnings"]}


def mean(cell: dict[str, Any], metric: str) -> float:
    value: float = cell["metrics"][metric]["mean"]
    return value


def test_an_artifact_whose_weights_were_changed_answers_differently_and_the_report_says_so(
    edgebench: Edgebench, no_energy: Path, tmp_path: Path, cache: Path
) -> None:
    suite = write(
        tmp_path,
        "damage",
        RECIPE,
        'model = ["mobilenet_v2"]\nwidth = [0.25]\nvariant = ["baseline", "ptq-static"]\nbackend = ["onnxruntime"]\n',
    )
    done = edgebench("suite", suite, "--sysfs", no_energy)
    found = cells(done.report)
    for cell in found.values():
        assert "disagrees" not in codes(cell)
    plain = found["mobilenet_v2-0.25/baseline/onnxruntime/fp32"]
    assert mean(plain, "agreement_cosine") > 0.9999
    assert mean(plain, "agreement_top1") == 1.0

    folder = next(
        path for path in (cache / "artifacts").iterdir() if content_digest(path) == plain["artifact"]["digest"]
    )
    model = onnx.load(folder / "model.onnx")
    largest = max(model.graph.initializer, key=lambda tensor: len(tensor.raw_data))
    weights = onnx.numpy_helper.to_array(largest)
    largest.CopyFrom(onnx.numpy_helper.from_array(np.ascontiguousarray(weights[::-1]), largest.name))
    onnx.save(model, folder / "model.onnx")
    facts = json.loads((folder / "artifact.json").read_text(encoding="utf-8"))
    # As a board would get it from a preparation that went wrong: whole by its digest, and of other weights.
    (folder / "artifact.json").write_text(json.dumps({**facts, "digest": content_digest(folder)}), encoding="utf-8")
    try:
        done = edgebench("suite", suite, "--sysfs", no_energy, "--only", "*/baseline/*")
    finally:
        shutil.rmtree(folder)
    damaged = cells(done.report)[plain["name"]]
    assert mean(damaged, "agreement_cosine") < 0.9999
    assert "disagrees" in codes(damaged)
    assert "agree with torch FP32 only to cosine" in done.stderr


def test_scenes_are_judged_by_boxes_and_masks(edgebench: Edgebench, no_energy: Path, tmp_path: Path) -> None:
    suite = write(
        tmp_path,
        "scenes",
        SMALL,
        f'{SCENE_MODELS}backend = ["openvino"]\nimage_size = 64\n',
        f'{SCENE_MODELS}variant = ["ptq-static"]\nbackend = ["onnxruntime"]\nimage_size = 64\n',
    )
    done = edgebench("suite", suite, "--sysfs", no_energy)
    assert done.code == 0, done.stderr
    found = cells(done.report)
    boxes = found["ssdlite320_mobilenet_v3_large/baseline/openvino/fp32"]
    assert mean(boxes, "agreement_cosine") > 0.9999
    assert 0 <= mean(boxes, "map50") <= 1
    assert mean(boxes, "postprocess_s") > 0
    # One epoch may leave FP32 too unsure to detect anything: then that is the reason, and never a zero.
    if "agreement_map50" in boxes["metrics"]:
        assert mean(boxes, "agreement_map50") > 0.99
    else:
        assert "detects nothing" in boxes["missing"]["agreement_map50"]["reason"]
    assert boxes["params"]["task"] == "detection"
    assert boxes["params"]["data"] == "scenes"
    masks = found["lraspp_mobilenet_v3_large/baseline/openvino/fp32"]
    assert mean(masks, "agreement_top1") > 0.999
    assert 0 < mean(masks, "miou") <= mean(masks, "pixel_accuracy") <= 1
    whole = found["lraspp_mobilenet_v3_large/ptq-static/onnxruntime/int8"]
    assert whole["layers"]["int8"] > 0.5 * whole["layers"]["total"]
    shown = edgebench("show", "-", "--all", stdin=done.stdout).stdout
    for header in ("mAP@0.5", "mIoU", "agreement with FP32"):
        assert header in shown
    assert "accuracy_top1" not in boxes["missing"]


def test_a_prompt_and_single_steps_are_measured_apart_with_one_set_of_weights(
    edgebench: Edgebench, no_energy: Path, tmp_path: Path
) -> None:
    suite = write(
        tmp_path,
        "language",
        SMALL,
        'model = ["byte_gpt_prefill", "byte_gpt_decode"]\nwidth = [0.125]\ntokens = 24\n'
        'variant = ["baseline", "weights-int8"]\nbackend = ["torch", "openvino", "onnxruntime"]\n',
    )
    done = edgebench("suite", suite, "--sysfs", no_energy)
    assert done.code == 0, done.stderr
    found = cells(done.report)
    assert len(found) == 10
    for name, cell in found.items():
        phase = name.partition("-")[0]
        assert "disagrees" not in codes(cell), name
        assert ("int8-weights" in codes(cell)) == ("weights-int8" in name)
        rate, latency = cell["metrics"]["tokens_per_s"]["runs"], cell["metrics"]["latency_s"]["runs"]
        tokens = 24 if phase == "byte_gpt_prefill" else 1
        assert rate[0][0] * latency[0][0] == pytest.approx(tokens)
        if phase == "byte_gpt_prefill":
            assert mean(cell, "accuracy_top1") > 0.05
        else:
            assert "prefill" in cell["missing"]["accuracy_top1"]["reason"]
    sizes = {name: mean(cell, "size_bytes") for name, cell in found.items()}
    for runtime in ("openvino", "onnxruntime"):
        small, large = (sizes[f"byte_gpt_prefill-0.125/{name}/{runtime}/{kind}"] for name, kind in
                        (("weights-int8", "int8"), ("baseline", "fp32")))  # fmt: skip
        assert small < 0.8 * large, "at this width half of an IR is its text"
    digests = {cell["params"]["weights"] for cell in found.values()}
    assert len(digests) == 1
    trained = [cell["artifact"]["ledger"][1] for cell in found.values()]
    assert len({phase["seconds"] for phase in trained}) == 1, "both were made of one trained model"
    shown = edgebench("show", "-", "--all", stdin=done.stdout).stdout
    assert "tokens" in shown
    assert "test texts" in shown


def test_what_a_task_has_no_recipe_for_is_refused_with_its_line(edgebench: Edgebench, tmp_path: Path) -> None:
    suite = write(
        tmp_path, "refused", SMALL, 'model = ["byte_gpt_decode"]\nvariant = ["prune40"]\nbackend = ["torch"]\n'
    )
    done = edgebench("suite", suite, "--dry-run")
    assert done.code == 2
    assert "refused.toml:20: byte_gpt_decode has no recipe for prune" in done.stderr
