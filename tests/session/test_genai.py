"""OpenVINO GenAI by the command line: a folder of one's own, known power by the token, coarser weights beside it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.gguf_files import weights
from tests.session.conftest import Edgebench
from tests.session.small_requests import request_suite

pytest.importorskip("openvino_genai", reason="openvino-genai is not installed: pip install 'edgebench[genai]'")
pytestmark = pytest.mark.session


@pytest.mark.quiet
def test_a_folder_of_ones_own_costs_seven_joules_a_second_in_each_phase(
    edgebench: Edgebench, seven_watts: Path, tmp_path: Path
) -> None:
    from edgebench.artifacts.convert.genai import write_genai

    folder = tmp_path / "tiny.v1"
    suite = request_suite(tmp_path, ["baseline", "weights-int8"], ["openvino-genai", "llama.cpp"])
    folder.mkdir()
    write_genai(weights(3, width=128), folder)
    done = edgebench("suite", suite, "--model", folder, "--sysfs", seven_watts)
    assert done.code == 0, done.stderr
    cells = {cell["params"]["variant"]: cell for cell in done.report["benchmarks"]}
    assert list(cells) == ["baseline", "weights-int8"], "llama.cpp opens no such folder"
    for cell in cells.values():
        metrics = cell["metrics"]
        assert cell["name"].startswith("tiny.v1/")
        assert cell["generated"]["repeats"]
        assert "load_s is both" in cell["missing"]["compile_s"]["reason"]
        for name, tokens in (("energy_per_prompt_token_j", 48), ("energy_per_generated_token_j", 23)):
            figure = metrics[f"{name}.package"]
            seconds = [one for run in figure["pass_s"] for one in run]
            joules = [one for run in figure["runs"] for one in run]
            # Generating is a difference of two windows: each within the counter's resolution.
            assert joules == pytest.approx([7.0 * one for one in seconds], rel=0.01)
            assert tokens * figure["median"] < metrics["energy_gross_j"]["median"]
        assert metrics["energy_gross_j"]["median"] == pytest.approx(
            48 * metrics["energy_per_prompt_token_j"]["median"] + 23 * metrics["energy_per_generated_token_j"]["median"]
        )
    assert cells["weights-int8"]["metrics"]["agreement_top1"]["value"] > 0.5
    assert (
        cells["baseline"]["metrics"]["size_bytes"]["value"]
        > 2 * cells["weights-int8"]["metrics"]["size_bytes"]["value"]
    )
    assert [phase["phase"] for phase in cells["weights-int8"]["artifact"]["ledger"]] == ["quantise"]
    done = edgebench("suite", suite, "--model", folder, "--prompt-tokens", 32760)
    assert done.code == 2
    assert "was made for 32768 tokens" in done.stderr
    assert edgebench("suite", suite, "--model", tmp_path, "--dry-run").code == 2
