"""Real model files that ship in Python packages: downloaded by pip, measured by `suite smoke`, never kept here."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.session.conftest import Edgebench

pytest.importorskip("onnxruntime")
pytest.importorskip("openvino")
pytestmark = pytest.mark.session

# Voice activity, notes in audio, the direction of text: the file in the package, the shapes of its free dimensions.
FILES: dict[str, tuple[str, tuple[str, ...]]] = {
    "silero-vad": ("silero_vad/data/silero_vad.onnx", ("input=1x512", "state=2x1x128")),
    "basic-pitch": ("basic_pitch/saved_models/icassp_2022/nmp.onnx", ()),
    "rapidocr-onnxruntime": ("rapidocr_onnxruntime/models/ch_ppocr_mobile_v2.0_cls_infer.onnx", ("1x3x48x192",)),
}


@pytest.mark.parametrize("package", FILES)
def test_a_model_from_a_package_is_measured(
    edgebench: Edgebench, no_energy: Path, tmp_path: Path, package: str
) -> None:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(tmp_path), package]
    loaded = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    if loaded.returncode:
        pytest.skip(f"{package} could not be downloaded: {loaded.stderr.strip().splitlines()[-1][:200]}")
    name, shapes = FILES[package]
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        model = wheel.extract(name, tmp_path)
    words = [word for shape in shapes for word in ("--shape", shape)]
    only = ("--only", "*/baseline/on*", "--processes", "1", "--passes", "20")
    done = edgebench("suite", "smoke", "--model", model, *words, *only, "--sysfs", no_energy)
    assert done.code == 0, done.stderr
    assert {cell["status"] for cell in done.report["benchmarks"]} == {"ok"}
    if package == "silero-vad":
        told = {item["name"]: item["values"] for item in done.report["model"]["inputs"]}
        assert told["sr"] == "16000 (the graph tests for it)"
