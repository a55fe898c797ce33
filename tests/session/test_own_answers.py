"""What a user's model answers is looked at: INT8 that computes nothing is no gain, and NaN is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.session.conftest import Edgebench
from tests.session.test_own_parts import SUITE, network

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("openvino")
pytestmark = pytest.mark.session


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    path = tmp_path / "own.toml"
    path.write_text(SUITE, encoding="utf-8")
    return path


def codes(cell: dict[str, Any]) -> set[str]:
    return {warning["code"] for warning in cell["warnings"]}


def test_a_form_that_answers_differently_is_marked(
    edgebench: Edgebench, suite: Path, no_energy: Path, tmp_path: Path
) -> None:
    onnx.save(network(0.1, outlier=1e6), tmp_path / "lost.onnx")
    onnx.save(network(0.1), tmp_path / "kept.onnx")
    found: dict[str, dict[str, Any]] = {}
    for name in ("lost", "kept"):
        done = edgebench("suite", suite, "--model", tmp_path / f"{name}.onnx", "--sysfs", no_energy)
        assert done.code == 0, done.stderr
        found |= {cell["name"]: cell for cell in done.report["benchmarks"]}
        assert ("answers differently" in done.stderr) == (name == "lost")
    for backend in ("openvino", "onnxruntime"):
        lost, kept = (found[f"{name}/ptq-static/{backend}/int8"] for name in ("lost", "kept"))
        assert {"disagrees", "constant"} <= codes(lost)
        assert "FP32 form of the same file" in str(lost["warnings"])
        assert not {"disagrees", "constant", "not-finite"} & codes(kept)
        assert kept["metrics"]["agreement_cosine"]["mean"] > 0.95
        assert "agreement_cosine" in found[f"lost/baseline/{backend}/fp32"]["missing"]


def test_outputs_that_are_no_numbers_are_told(
    edgebench: Edgebench, suite: Path, no_energy: Path, tmp_path: Path
) -> None:
    onnx.save(network(0.1, last="Log"), tmp_path / "nan.onnx")
    only = "*/baseline/onnxruntime/*"
    done = edgebench("suite", suite, "--model", tmp_path / "nan.onnx", "--sysfs", no_energy, "--only", only)
    (cell,) = done.report["benchmarks"]
    assert "not-finite" in codes(cell)


def test_a_quantised_file_is_int8_and_is_not_quantised_again(
    edgebench: Edgebench, suite: Path, no_energy: Path, tmp_path: Path
) -> None:
    import numpy as np

    from edgebench.compress.quantise import static_onnx

    onnx.save(network(0.1), tmp_path / "plain.onnx")
    images = [np.random.default_rng(seed).standard_normal((1, 3, 16, 16), dtype=np.float32) for seed in range(4)]
    static_onnx(tmp_path / "plain.onnx", tmp_path / "done.onnx", images)
    done = edgebench("suite", suite, "--model", tmp_path / "done.onnx", "--sysfs", no_energy)
    assert done.code == 0, done.stderr
    found = {cell["name"]: cell for cell in done.report["benchmarks"]}
    for backend in ("openvino", "onnxruntime"):
        assert found[f"done/baseline/{backend}/int8"]["layers"]["int8"] == 2
        again = found[f"done/ptq-static/{backend}/int8"]
        assert (again["status"], "quantised already" in again["reason"]) == ("skipped", True)
