"""The plug-in for ExecuTorch, where that is installed (135 MB): converted, measured, held against torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.session.conftest import RECIPE, Edgebench
from tests.session.plugin_site import installed

pytest.importorskip("torch")
pytest.importorskip("executorch")
pytestmark = pytest.mark.session
GOLDEN = Path(__file__).parents[1] / "golden"

SUITE = (
    """
name = "executorch"
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
variant = ["baseline", "ptq-static", "fp16"]
backend = ["executorch"]
image_size = 64
[[benchmark]]
model = ["byte_gpt_prefill"]
backend = ["executorch"]
"""
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return installed("edgebench-executorch", tmp_path_factory.mktemp("site"))


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("suite") / "executorch.toml"
    path.write_text(SUITE, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def cells(edgebench: Edgebench, site: dict[str, str], suite: Path, no_energy: Path) -> dict[str, dict[str, Any]]:
    done = edgebench("suite", suite, "--threads", 1, "--sysfs", no_energy, **site)
    assert done.code == 0, done.stderr
    return {cell["name"].removeprefix("mobilenet_v2-0.25/"): cell for cell in done.report["benchmarks"]}


@pytest.mark.parametrize(
    ("name", "least"), [("baseline/executorch/fp32", 0.99999), ("ptq-static/executorch/int8", 0.9)]
)
def test_it_answers_as_torch_does_and_says_what_it_computed(
    cells: dict[str, dict[str, Any]], name: str, least: float
) -> None:
    cell, precision = cells[name], name.rpartition("/")[2]
    assert cell["status"] == "ok", cell.get("reason")
    assert cell["metrics"]["agreement_cosine"]["value"] >= least
    assert (cell["settings"]["threads"], cell["settings"]["threads_at_work"]) == (1, 1)
    # MobileNetV2 has 52 convolutions and a head, all of them in XNNPACK.
    assert cell["layers"][precision] == 53
    assert set(cell["settings"]["operators"]) == {"XNNPACK"}
    assert "not told" in cell["settings"]["isa"]


def test_making_the_file_is_measured_and_integers_are_small(cells: dict[str, dict[str, Any]]) -> None:
    plain, small = (cells[name]["artifact"] for name in ("baseline/executorch/fp32", "ptq-static/executorch/int8"))
    assert [entry["phase"] for entry in small["ledger"][-2:]] == ["quantise", "export"]
    assert all(entry["seconds"] > 0 for entry in small["ledger"][-2:])
    assert small["size_bytes"] < 0.5 * plain["size_bytes"]


def test_what_it_cannot_run_is_skipped_with_a_reason(cells: dict[str, dict[str, Any]]) -> None:
    reasons = {name: cell["reason"] for name, cell in cells.items() if cell["status"] == "skipped"}
    assert set(reasons) == {"byte_gpt_prefill/baseline/executorch/fp32"}, "there is no fp16 of it"
    assert "converts classifiers of images" in reasons["byte_gpt_prefill/baseline/executorch/fp32"]


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_a_file_of_ones_own_chooses_its_backend(
    edgebench: Edgebench, site: dict[str, str], no_energy: Path, precision: str
) -> None:
    asked = ["--model", GOLDEN / f"tiny-{precision}.pte", "--threads", 2, "--processes", 1, "--passes", 50]
    done = edgebench("suite", "smoke", *asked, "--sysfs", no_energy, **site)
    assert done.code == 0, done.stderr
    (cell,) = [cell for cell in done.report["benchmarks"] if cell["status"] == "ok"]
    assert cell["name"] == f"tiny-{precision}/baseline/executorch/{precision}"
    assert (cell["settings"]["threads"], cell["layers"][precision]) == (2, 3)


def test_a_damaged_one_is_one_sentence(
    edgebench: Edgebench, site: dict[str, str], no_energy: Path, tmp_path: Path
) -> None:
    path = tmp_path / "cut.pte"
    path.write_bytes((GOLDEN / "tiny-int8.pte").read_bytes()[:3000])
    done = edgebench("suite", "smoke", "--model", path, "--sysfs", no_energy, **site)
    assert (done.code, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert "cut.pte is no program of ExecuTorch" in line
