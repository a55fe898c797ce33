"""What a user's model is fed and calibrated on, through the command line, and told in the report."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.session.conftest import Edgebench
from tests.session.test_own_parts import SUITE
from tests.unit.own_files import sentence_net

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("openvino")
pytestmark = pytest.mark.session
SHAPES = ("--shape", "input_ids=1x8", "--shape", "attention_mask=1x8")


def test_several_inputs_are_measured_and_quantised_and_the_report_says_what_they_were_fed(
    edgebench: Edgebench, no_energy: Path, tmp_path: Path
) -> None:
    suite, model, folder = tmp_path / "own.toml", sentence_net(tmp_path / "net.onnx"), tmp_path / "samples"
    suite.write_text(SUITE.replace('"ptq-static"]', '"ptq-static", "weights-int8"]'), encoding="utf-8")
    folder.mkdir()
    generator = np.random.default_rng(0)
    for index in range(6):
        ids = generator.integers(0, 50, (1, 8))
        np.savez(folder / f"{index}.npz", input_ids=ids, attention_mask=np.ones_like(ids))
    digests = []
    for more in ([], ["--input", "input_ids=like:tokens:20", "--calibration", folder]):
        done = edgebench("suite", suite, "--model", model, *SHAPES, *more, "--sysfs", no_energy)
        assert done.code == 0, done.stderr
        cells = {cell["name"]: cell for cell in done.report["benchmarks"]}
        assert {cell["status"] for cell in cells.values()} == {"ok"}
        for name in ("net/ptq-static/openvino/int8", "net/ptq-static/onnxruntime/int8"):
            assert cells[name]["layers"]["int8"] == 1
            assert cells[name]["metrics"]["agreement_cosine"]["mean"] > 0.99
        digests.append(
            {name: (cell["params"]["model_digest"], cell["artifact"]["digest"]) for name, cell in cells.items()}
        )
        told = {item["name"]: item for item in done.report["model"]["inputs"]}
        assert told["attention_mask"]["values"] == "1 (a mask)"
        assert told["input_ids"]["given"] == bool(more)
    assert told["input_ids"]["values"] == "integers 0 to 19"
    assert done.report["model"]["calibration"]["samples"] == 6
    # Other inputs are another benchmark; what no sample decides is made once.
    for name, (benchmark, artifact) in digests[0].items():
        assert benchmark != digests[1][name][0]
        assert (artifact == digests[1][name][1]) == ("ptq-static" not in name)
    report = tmp_path / "report.json"
    report.write_text(done.stdout, encoding="utf-8")
    shown = edgebench("show", report).stdout
    assert "integers 0 to 19" in shown
    assert "calibrated on 6 samples of samples" in " ".join(shown.split())


def test_options_about_inputs_need_a_model(edgebench: Edgebench, no_energy: Path) -> None:
    done = edgebench("suite", "smoke", "--input", "x=value:1", "--sysfs", no_energy)
    assert done.code == 2
    assert "--input is about the inputs of a model of yours: give --model FILE" in done.stderr
