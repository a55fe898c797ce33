"""The plug-in for ncnn: installed, then converted, measured and held against torch as the command line does it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.session.conftest import RECIPE, Edgebench
from tests.session.plugin_site import installed

torch = pytest.importorskip("torch")
pytest.importorskip("ncnn")
pytest.importorskip("pnnx")
pytestmark = pytest.mark.session

SUITE = (
    """
name = "ncnn"
idle_s = 0.0
[measure]
processes = 1
warmup_passes = 2
passes = 20
values = 5
energy_windows = 0
"""
    + RECIPE
    + """
[[benchmark]]
model = ["mobilenet_v2"]
width = [0.25]
variant = ["baseline", "fp16", "ptq-static"]
backend = ["ncnn"]
image_size = 64
[[benchmark]]
model = ["mobilenet_v2"]
width = [0.25]
backend = ["ncnn"]
precision = ["bf16"]
image_size = 64
[[benchmark]]
model = ["mobilenet_v2"]
width = [0.25]
backend = ["ncnn"]
batch = [4]
image_size = 64
[[benchmark]]
model = ["byte_gpt_prefill"]
backend = ["ncnn"]
"""
)
OTHERS = """
name = "others"
[measure]
processes = 1
passes = 10
values = 5
energy_windows = 0
[[benchmark]]
model = ["mobilenet_v2"]
variant = ["baseline", "ptq-static"]
backend = ["openvino", "torch"]
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return installed("edgebench-ncnn", tmp_path_factory.mktemp("site"))


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("suite") / "ncnn.toml"
    path.write_text(SUITE, encoding="utf-8")
    path.with_name("others.toml").write_text(OTHERS, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def cells(edgebench: Edgebench, site: dict[str, str], suite: Path, no_energy: Path) -> dict[str, dict[str, Any]]:
    done = edgebench("suite", suite, "--threads", 1, "--sysfs", no_energy, **site)
    assert done.code == 0, done.stderr
    return {cell["name"].removeprefix("mobilenet_v2-0.25/"): cell for cell in done.report["benchmarks"]}


def test_every_precision_answers_as_torch_does_and_says_what_it_computed(cells: dict[str, dict[str, Any]]) -> None:
    least = {"fp32": 0.99999, "fp16": 0.999, "bf16": 0.99}
    for name in ("baseline/ncnn/fp32", "fp16/ncnn/fp16", "baseline/ncnn/bf16"):
        cell, precision = cells[name], name.rpartition("/")[2]
        assert cell["status"] == "ok", cell.get("reason")
        assert cell["metrics"]["agreement_cosine"]["value"] >= least[precision]
        assert not [notice for notice in cell["warnings"] if notice["code"] == "disagrees"]
        settings = cell["settings"]
        assert (settings["threads"], settings["threads_at_work"]) == (1, 1)
        assert settings["isa"]
        assert precision in settings["layers_in_memory"] or not settings["fp16_arithmetic"]
        # What is held in halves is not told to be computed in halves.
        assert cell["layers"]["fp16" if settings["fp16_arithmetic"] else "fp32"] > 50
        halves = "fp16-not-executed" in {notice["code"] for notice in cell["warnings"]}
        assert halves == (precision == "fp16" and not settings["fp16_arithmetic"])


def test_making_the_file_is_measured_and_halves_are_half(cells: dict[str, dict[str, Any]]) -> None:
    plain, half = (cells[name]["artifact"] for name in ("baseline/ncnn/fp32", "fp16/ncnn/fp16"))
    assert plain["ledger"][-1]["phase"] == "export"
    assert plain["ledger"][-1]["seconds"] > 0
    assert 0.5 < half["size_bytes"] / plain["size_bytes"] < 0.6


def test_what_it_cannot_run_is_skipped_with_a_reason(cells: dict[str, dict[str, Any]]) -> None:
    assert not [name for name in cells if name.startswith("ptq-static")], "it has no quantiser"
    reasons = {name: cell["reason"] for name, cell in cells.items() if cell["status"] == "skipped"}
    assert "knows no batch" in reasons["baseline/ncnn/fp32/b4"]
    assert "models that take one image" in reasons["byte_gpt_prefill/baseline/ncnn/fp32"]


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A detector's beginning, made by pnnx alone with its own defaults: weights in FP16, no sizes in the graph."""
    import subprocess

    import pnnx

    folder = tmp_path_factory.mktemp("own")
    network = torch.nn.Sequential(
        torch.nn.Conv2d(3, 16, 3, 2), torch.nn.ReLU(), torch.nn.Conv2d(16, 24, 3), torch.nn.AdaptiveAvgPool2d(1),
        torch.nn.Flatten(), torch.nn.Linear(24, 7),
    ).eval()  # fmt: skip
    torch.jit.save(torch.jit.trace(network, torch.zeros(1, 3, 96, 96)), folder / "net.pt")
    subprocess.run(
        [pnnx.EXEC_PATH, "net.pt", "inputshape=[1,3,96,96]"], cwd=folder, capture_output=True, check=True, timeout=120
    )
    return folder / "net.ncnn.param"


def test_a_file_of_ones_own_chooses_its_backend(
    edgebench: Edgebench, site: dict[str, str], suite: Path, own: Path, no_energy: Path
) -> None:
    asked = ["--model", own, "--shape", "1x3x96x96", "--threads", 2, "--sysfs", no_energy]
    done = edgebench("suite", suite.with_name("others.toml"), *asked, **site)
    assert done.code == 0, done.stderr
    cells = {cell["name"]: cell for cell in done.report["benchmarks"]}
    cell = cells["net.ncnn/baseline/ncnn/fp16"]
    assert cell["status"] == "ok", cell.get("reason")
    assert (cell["settings"]["threads"], cell["settings"]["threads_at_work"]) == (2, 2)
    assert cell["artifact"]["size_bytes"] == sum(part.stat().st_size for part in own.parent.glob("net.ncnn.[pb]*"))
    assert set(cells) == {cell["name"]}


@pytest.mark.parametrize(
    ("damage", "said"),
    [("cut", "is cut off"), ("no weights", "net.ncnn.bin"), ("nonsense", "no graph of ncnn"), ("no plug-in", ".gguf")],
)
def test_a_damaged_one_is_one_sentence(
    edgebench: Edgebench, site: dict[str, str], suite: Path, own: Path, no_energy: Path, tmp_path: Path, damage: str,
    said: str,
) -> None:  # fmt: skip
    path = tmp_path / own.name
    text = own.read_bytes()
    path.write_bytes({"cut": text[: text.rfind(b"\n", 0, -2)], "nonsense": b"\x00\xff" * 40}.get(damage, text))
    if damage != "no weights":
        path.with_suffix(".bin").write_bytes(own.with_suffix(".bin").read_bytes())
    found = {} if damage == "no plug-in" else site
    done = edgebench(
        "suite", suite.with_name("others.toml"), "--model", path, "--shape", "1x3x96x96", "--sysfs", no_energy, **found
    )
    assert (done.code, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert said in line
