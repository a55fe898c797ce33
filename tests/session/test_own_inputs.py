"""What a user's model is fed and calibrated on, through the command line, and told in the report."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.session.conftest import Edgebench
from tests.session.test_own_parts import SUITE
from tests.unit.own_files import picture_net, sentence_net

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
    shown = edgebench("show", "--all", report).stdout
    assert "integers 0 to 19" in shown
    assert "calibrated on 6 samples of samples" in " ".join(shown.split())


def test_options_about_inputs_need_a_model(edgebench: Edgebench, no_energy: Path) -> None:
    done = edgebench("suite", "smoke", "--input", "x=value:1", "--sysfs", no_energy)
    assert done.code == 2
    assert "--input is about the inputs of a model of yours: give --model FILE" in done.stderr


def test_odd_names_are_taken_and_operators_of_others_are_named(
    edgebench: Edgebench, no_energy: Path, tmp_path: Path
) -> None:
    from onnx import TensorProto, helper, load
    from onnx import save as write

    suite, model = tmp_path / "own.toml", picture_net(tmp_path / "mo del (1) é.onnx", name="in=put:0")
    suite.write_text(SUITE, encoding="utf-8")
    only = ("--only", "*/baseline/*", "--sysfs", no_energy)
    more = ("--shape", "in=put:0=1x3x16x16", "--input", "in=put:0=range:0:9")
    done = edgebench("suite", suite, "--model", model, *more, *only)
    assert done.code == 0, done.stderr
    assert done.report["model"]["inputs"][0]["values"] == "integers 0 to 9"
    graph = load(model)
    graph.graph.node[3].CopyFrom(helper.make_node("MyOp", ["c"], ["r"], domain="com.acme"))
    graph.graph.input[0].type.tensor_type.elem_type = TensorProto.UINT8
    graph.opset_import.append(helper.make_opsetid("com.acme", 1))
    write(graph, tmp_path / "custom.onnx")
    done = edgebench("suite", suite, "--model", tmp_path / "custom.onnx", *only)
    assert done.code == 1
    assert all("MyOp" in cell["reason"] for cell in done.report["benchmarks"])
