"""ONNX Runtime GenAI by the command line: a folder of its builder, known power by the token, coarser weights."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.ort_genai_files import CONTEXT, build, write_llama
from tests.session.conftest import Edgebench
from tests.session.small_requests import request_suite

pytest.importorskip(
    "onnxruntime_genai", reason="onnxruntime-genai is not installed: pip install 'edgebench[ort-genai]'"
)
pytestmark = pytest.mark.session


@pytest.mark.quiet
def test_a_folder_of_ones_own_costs_seven_joules_a_second_in_each_phase(
    edgebench: Edgebench, seven_watts: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "tiny.v1"
    suite = request_suite(tmp_path, ["baseline", "weights-int8"], ["onnxruntime-genai", "openvino-genai"])
    write_llama(tmp_path / "hf")
    build(tmp_path / "hf", folder, "fp32")
    done = edgebench("suite", suite, "--model", folder, "--sysfs", seven_watts)
    assert done.code == 0, done.stderr
    assert done.report["model"]["format"] == "ort-genai"
    cells = {cell["params"]["variant"]: cell for cell in done.report["benchmarks"]}
    assert list(cells) == ["baseline", "weights-int8"], "OpenVINO GenAI opens no such folder"
    for cell in cells.values():
        metrics = cell["metrics"]
        assert cell["name"].startswith("tiny.v1/")
        assert cell["generated"]["repeats"]
        for name in ("energy_per_prompt_token_j", "energy_per_generated_token_j"):
            figure = metrics[f"{name}.package"]
            seconds = [one for run in figure["pass_s"] for one in run]
            joules = [one for run in figure["runs"] for one in run]
            assert joules == pytest.approx([7.0 * one for one in seconds], rel=0.01)
    plain, coarse = (cells[name]["metrics"] for name in ("baseline", "weights-int8"))
    assert coarse["agreement_top1"]["value"] > 0.9
    assert coarse["perplexity"]["value"] == pytest.approx(plain["perplexity"]["value"], rel=0.05)
    assert plain["size_bytes"]["value"] > 1.8 * coarse["size_bytes"]["value"]

    done = edgebench("suite", suite, "--model", folder, "--prompt-tokens", CONTEXT)
    assert done.code == 2
    assert f"was made for {CONTEXT} tokens" in done.stderr
    told = json.loads((folder / "genai_config.json").read_bytes())
    told["model"]["decoder"]["session_options"]["provider_options"] = [{"cuda": {}}]
    (folder / "genai_config.json").write_text(json.dumps(told), encoding="utf-8")
    done = edgebench("suite", suite, "--model", folder, "--dry-run")
    assert done.code == 2
    assert "asks for the provider 'cuda'" in done.stderr
