"""The Pi study's protocol through the command line: a folder of images to .tflite files, and a user's own .tflite."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.session.conftest import Edgebench

Image = pytest.importorskip("PIL.Image")
pytest.importorskip("litert_torch")
pytestmark = pytest.mark.session

SUITE = """
name = "pi-small"
study = "pi"
[data]
test_images = 30
[measure]
processes = 2
warmup_passes = 2
passes = 10
values = 5
energy_windows = 0
[recipe.default]
pretrain_epochs = 2
pretrain_size = 32
pretrain_lr = 3e-3
head = "transfer"
head_width = 32
train_size = 64
epochs = 6
lr = 1e-3
finetune_epochs = 4
finetune_lr = 1e-3
calibration_images = 16
[recipe.images]
augment_with = ["shift", "flip"]
[[benchmark]]
model = ["mobilenet_v2"]
variant = ["baseline", "ptq-dynamic", "prune50+ptq-static"]
backend = ["litert"]
image_size = 64
[[benchmark]]
model = ["mobilenet_v2"]
backend = ["torch"]
image_size = 64
"""


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pi") / "pi.toml"
    path.write_text(SUITE, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes of noisy pictures: a blue or a red disc at a random place."""
    folder = tmp_path_factory.mktemp("pictures")
    generator = np.random.default_rng(1)
    rows, columns = np.mgrid[:48, :48]
    for name in ("blue", "red"):
        (folder / name).mkdir()
        for index in range(90):
            down, right = generator.integers(14, 34, 2)
            disc = (rows - down) ** 2 + (columns - right) ** 2 < 13**2
            noisy = generator.integers(0, 60, (48, 48, 3))
            noisy[..., 0 if name == "red" else 2] += 150 * disc
            Image.fromarray(noisy.astype(np.uint8)).save(folder / name / f"{index}.{'jpg' if index % 2 else 'png'}")
    return folder


@pytest.fixture(scope="module")
def report(
    edgebench: Edgebench, suite: Path, pictures: Path, no_energy: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[dict[str, Any], Path]:
    target = tmp_path_factory.mktemp("report") / "pi.json"
    done = edgebench("suite", suite, "--data", pictures, "--sysfs", no_energy)
    assert done.code == 0, done.stderr
    target.write_text(done.stdout, encoding="utf-8")
    return done.report, target


def cell(report: dict[str, Any], name: str) -> dict[str, Any]:
    (found,) = [entry for entry in report["benchmarks"] if f"/{name}/" in entry["name"]]
    return dict(found)


def test_a_folder_of_images_becomes_tflite_files_that_execute_int8(report: tuple[dict[str, Any], Path]) -> None:
    found, _ = report
    assert found["data"]["name"].startswith("images-")
    assert (found["data"]["train_images"], found["data"]["test_images"]) == (144, 30)
    plain, torch_cell = cell(found, "baseline/litert"), cell(found, "baseline/torch")
    for name in ("ptq-dynamic/litert", "prune50+ptq-static/litert"):
        assert cell(found, name)["layers"]["int8"] == cell(found, name)["layers"]["total"] == 54
        ratio = cell(found, name)["metrics"]["size_bytes"]["value"] / plain["metrics"]["size_bytes"]["value"]
        assert ratio < 0.33  # a small head: scales and names weigh more than in the suite
    assert "XNNPACK" in plain["layers"]["source"]
    assert plain["artifact"]["format"] == "tflite"
    # The same FP32 network in two runtimes: right and wrong about the same images, and better than a coin.
    assert plain["metrics"]["accuracy_top1"]["value"] == torch_cell["metrics"]["accuracy_top1"]["value"] > 0.6
    assert plain["metrics"]["loss"]["value"] == pytest.approx(torch_cell["metrics"]["loss"]["value"], rel=1e-3)
    phases = [phase["phase"] for phase in cell(found, "prune50+ptq-static")["artifact"]["ledger"]]
    assert phases == ["build", "pretrain", "initialise", "train", "prune", "recover", "export", "quantise"]
    assert cell(found, "prune50+ptq-static")["metrics"]["compress_s"]["value"] > 0
    assert "2 epochs on digits at 32 pixels" in plain["params"]["weights"]


def test_the_study_is_shown_beside_the_published_figures(
    edgebench: Edgebench, report: tuple[dict[str, Any], Path]
) -> None:
    shown = edgebench("show", report[1], "--all")
    assert shown.code == 0
    assert "mobilenet_v2 prune50+ptq-static .tflite" in shown.stdout
    assert "a Raspberry Pi 4" in shown.stdout


def test_a_users_tflite_file_runs_in_both_runtimes_and_a_damaged_one_is_a_sentence(
    edgebench: Edgebench, cache: Path, report: tuple[dict[str, Any], Path], no_energy: Path, tmp_path: Path
) -> None:
    digest = cell(report[0], "baseline/litert")["artifact"]["digest"]
    (stored,) = [path.parent for path in cache.glob("artifacts/*/artifact.json") if digest in path.read_text()]
    whole = (stored / "model.tflite").read_bytes()
    (tmp_path / "own.tflite").write_bytes(whole)
    (tmp_path / "torn.tflite").write_bytes(whole[: len(whole) // 2])
    own = tmp_path / "own.toml"
    own.write_text(
        'name = "own"\n[measure]\nprocesses = 1\npasses = 10\nvalues = 5\nwarmup_passes = 1\nenergy_windows = 0\n'
        "[recipe.default]\ncalibration_images = 4\n"
        '[[benchmark]]\nmodel = ["mobilenet_v2"]\nvariant = ["baseline", "ptq-static"]\n'
        'backend = ["litert", "openvino"]\nexclude = [{ backend = "openvino", variant = "ptq-static" }]\n',
        encoding="utf-8",
    )
    done = edgebench("suite", own, "--model", tmp_path / "own.tflite", "--sysfs", no_energy)
    assert done.code == 0, done.stderr
    assert {entry["status"] for entry in done.report["benchmarks"]} == {"ok"}
    assert cell(done.report, "ptq-static/litert")["layers"]["int8"] == 54
    torn = edgebench("suite", own, "--model", tmp_path / "torn.tflite", "--sysfs", no_energy)
    assert torn.code == 2, "nothing is prepared of a file that cannot be read"
    assert "torn.tflite" in torn.stderr
    assert torn.stderr.count("\n") == 1


def test_wrong_suites_and_folders_end_with_exit_code_2(
    edgebench: Edgebench, suite: Path, tmp_path: Path, pictures: Path
) -> None:
    text = suite.read_text(encoding="utf-8")
    for old, new, message in (
        ("image_size = 64", "image_size = 96", "make image_size and train_size equal"),
        ('"ptq-dynamic"', '"distil"', "leaves its base frozen"),
        ("test_images = 30", "digits = [3, 3]", "at least two digits"),
    ):
        path = tmp_path / "wrong.toml"
        path.write_text(text.replace(old, new), encoding="utf-8")
        done = edgebench("suite", path, "--data", pictures, "--dry-run")
        assert done.code == 2
        assert message in done.stderr.replace("\n", " ")
    (pictures / "red" / "99.png").write_bytes(b"\x89PNG garbage")
    done = edgebench("suite", suite, "--data", pictures)
    (pictures / "red" / "99.png").unlink()
    assert done.code == 2
    assert "99.png: is no JPEG or PNG image" in done.stderr.replace("\n", "")


def test_the_runtime_measures_without_the_converter_or_torch(tmp_path: Path) -> None:
    """A board has ai-edge-litert only: loading the backend must not ask for more."""
    code = (
        "import sys; from edgebench.backends.registry import get_backend; get_backend('litert').versions();"
        "import ai_edge_litert.interpreter; print(*{'torch', 'litert_torch', 'openvino', 'jax'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert not done.stdout.split()
