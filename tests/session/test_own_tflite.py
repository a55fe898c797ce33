"""A .tflite of the user's is measured by its own runtime, whatever the suite was written for."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.session.conftest import Edgebench
from tests.session.test_own_parts import SUITE

torch = pytest.importorskip("torch")
pytest.importorskip("litert_torch")
pytest.importorskip("ai_edge_quantizer")
pytestmark = pytest.mark.session


def test_a_litert_file_is_measured_by_litert_in_every_form(
    edgebench: Edgebench, no_energy: Path, tmp_path: Path
) -> None:
    from edgebench.artifacts.convert.tflite import to_tflite

    torch.manual_seed(0)
    network = torch.nn.Sequential(
        torch.nn.Conv2d(3, 16, 3), torch.nn.ReLU(), torch.nn.Conv2d(16, 8, 3), torch.nn.ReLU()
    )
    to_tflite(network, (1, 3, 16, 16), tmp_path / "net.tflite")
    suite = tmp_path / "own.toml"
    suite.write_text(SUITE.replace('"ptq-static"]', '"ptq-static", "fp16"]'), encoding="utf-8")
    only = "*/litert/*"
    done = edgebench("suite", suite, "--model", tmp_path / "net.tflite", "--sysfs", no_energy, "--only", only)
    found = {cell["name"]: cell for cell in done.report["benchmarks"]}
    assert {name: cell.get("reason") for name, cell in found.items() if cell["status"] != "ok"} == {}
    forms = ("baseline/litert/fp32", "ptq-static/litert/int8", "fp16/litert/fp16")
    assert set(found) == {f"net/{form}" for form in forms}
    for name in ("net/ptq-static/litert/int8", "net/fp16/litert/fp16"):
        assert found[name]["metrics"]["agreement_cosine"]["mean"] > 0.95
