"""Bring your own: a user's model file goes through the same backends, precisions and energy windows."""

from __future__ import annotations

import struct
import zipfile
from pathlib import Path

import pytest

from tests.session.conftest import Edgebench

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.session

SUITE = """
name = "own"
[measure]
processes = 1
warmup_passes = 2
passes = 10
values = 5
energy_window_s = 0.3
[recipe.default]
calibration_images = 4
[[benchmark]]
model = ["mobilenet_v2"]
variant = ["baseline", "ptq-static", "prune40"]
backend = ["torch", "openvino", "onnxruntime"]
"""


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("own") / "own.toml"
    path.write_text(SUITE, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same small network as .onnx (free batch, height and width), .xml and .pt2."""
    from edgebench.artifacts.convert.export import to_onnx, to_openvino

    folder = tmp_path_factory.mktemp("models")
    network = torch.nn.Sequential(
        torch.nn.Conv2d(3, 16, 3), torch.nn.ReLU(), torch.nn.Conv2d(16, 16, 3), torch.nn.AdaptiveAvgPool2d(1),
        torch.nn.Flatten(), torch.nn.Linear(16, 7),
    ).eval()  # fmt: skip
    to_onnx(network, (1, 3, 24, 24), folder / "net.onnx")
    to_openvino(network, (1, 3, 24, 24), folder / "net.xml")
    torch.export.save(torch.export.export(network, (torch.zeros(1, 3, 24, 24),)), folder / "net.pt2")
    return folder


@pytest.mark.parametrize(
    ("file", "shape", "measured"),
    [
        (
            "net.onnx",
            ["--shape", "1x3x24x24"],
            {"openvino/fp32", "openvino/int8", "onnxruntime/fp32", "onnxruntime/int8"},
        ),
        ("net.xml", ["--shape", "input=2x3x32x32"], {"openvino/fp32", "openvino/int8"}),
        ("net.pt2", [], {"torch/fp32", "openvino/fp32", "openvino/int8", "onnxruntime/fp32", "onnxruntime/int8"}),
    ],
)
@pytest.mark.quiet
def test_a_file_is_measured_by_every_backend_that_takes_it(
    edgebench: Edgebench, suite: Path, models: Path, seven_watts: Path, file: str, shape: list[str], measured: set[str]
) -> None:
    done = edgebench("suite", suite, "--model", models / file, *shape, "--sysfs", seven_watts)
    assert done.code == 0, done.stderr
    found = {cell["name"].split("/", 2)[2]: cell for cell in done.report["benchmarks"] if cell["status"] == "ok"}
    assert set(found) == measured
    for name, cell in found.items():
        (tensor,) = cell["params"]["inputs"]
        assert tensor["shape"] == ([2, 3, 32, 32] if file == "net.xml" else [1, 3, 24, 24])
        gross = cell["metrics"]["energy_gross_j"]
        assert gross["mean"] == pytest.approx(7.0 * gross["pass_s"][0][0], rel=0.03)
        assert "no labelled data" in cell["missing"]["accuracy_top1"]["reason"]
        if name.endswith("int8"):
            assert cell["layers"]["int8"] > 0
    skipped = [cell for cell in done.report["benchmarks"] if cell["status"] == "skipped"]
    assert skipped
    assert all(cell["reason"] for cell in skipped)


def hostile(folder: Path, models: Path, name: str) -> Path:
    path = folder / name
    whole = (models / f"net{path.suffix}").read_bytes()
    if "truncated" in name:
        path.write_bytes(whole[: len(whole) // 2])
    elif "garbage" in name:
        path.write_bytes(bytes(range(256)) * 200)
    elif "empty" in name:
        path.write_bytes(b"")
    elif "bomb" in name:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("archive/data.pkl", b"cos\nsystem\n(S'touch owned'\ntR." + bytes(50_000_000))
    elif "huge" in name:
        # An ONNX header that promises a tensor of 2^62 bytes.
        path.write_bytes(b"\x3a" + b"\xff" * 8 + b"\x7f" + struct.pack("<Q", 2**62))
    if path.suffix == ".xml":
        path.with_suffix(".bin").write_bytes(b"\0" * 16)
    return path


def test_a_compression_that_a_model_has_nothing_for_is_skipped_with_its_reason(
    edgebench: Edgebench, no_energy: Path, tmp_path: Path
) -> None:
    from edgebench.artifacts.convert.export import to_onnx

    suite = tmp_path / "suite.toml"
    weights = SUITE.replace('"ptq-static", "prune40"', '"weights-int8"').replace('"torch", "openvino", ', "")
    suite.write_text(weights, encoding="utf-8")
    to_onnx(torch.nn.Conv2d(3, 16, 3).eval(), (1, 3, 24, 24), tmp_path / "net.onnx")
    line = ["suite", suite, "--model", tmp_path / "net.onnx", "--shape", "1x3x24x24", "--sysfs", no_energy]
    done = edgebench(*line)
    assert done.code == 0, done.stderr
    assert done.report["status"] == "complete"
    ended = {cell["params"]["variant"]: (cell["status"], cell.get("reason", "")) for cell in done.report["benchmarks"]}
    assert ended["baseline"] == ("ok", "")
    assert ended["weights-int8"][0] == "skipped"
    assert "no matrix product" in ended["weights-int8"][1]


@pytest.mark.parametrize(
    "name", ["truncated.onnx", "garbage.onnx", "huge.onnx", "truncated.xml", "truncated.pt2", "bomb.pt2", "empty.pt2"]
)
def test_a_hostile_file_is_refused_in_a_sentence_and_nothing_else(
    edgebench: Edgebench, suite: Path, models: Path, no_energy: Path, tmp_path: Path, name: str
) -> None:
    path = hostile(tmp_path, models, name)
    done = edgebench("suite", suite, "--model", path, "--sysfs", no_energy, "--only", "*/baseline/*")
    assert (done.code, done.stdout) == (2, ""), done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith("edgebench: ")
    assert name in line
    assert not Path("owned").exists()


@pytest.mark.parametrize(
    ("shapes", "said"),
    [
        ([], "give --shape input=..."),
        (["--shape", "1x3x24"], "has 3 sizes, and the input takes 4"),
        (["--shape", "x=1x3x24x24"], "no input 'x'"),
    ],
)
def test_a_shape_that_does_not_fit_is_refused_once_with_the_inputs(
    edgebench: Edgebench, suite: Path, models: Path, no_energy: Path, shapes: list[str], said: str
) -> None:
    for more in ([], ["--dry-run"]):
        done = edgebench("suite", suite, "--model", models / "net.onnx", *shapes, "--sysfs", no_energy, *more)
        assert (done.code, done.stdout) == (2, "")
        (line,) = done.stderr.splitlines()
        assert said in line
        assert "input [?, 3, ?, ?]" in line
