"""What a file holds is told from its bytes, and layers inside a loop count."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgebench.backends.base import LoadSpec
from edgebench.backends.executed import count_compute
from edgebench.backends.held import held_precision
from edgebench.backends.onnxfile import read_facts
from edgebench.backends.registry import get_backend

onnx = pytest.importorskip("onnx")


def looping(folder: Path) -> Path:
    """Write a network whose only matrix product lies in a loop of as many turns as an input says."""
    from onnx import TensorProto, helper, numpy_helper

    def value(name: str, kind: int, shape: list[int]) -> object:
        return helper.make_tensor_value_info(name, kind, shape)

    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["on"]), helper.make_node("MatMul", ["v", "w"], ["next"])],
        "body",
        [
            value("turn", TensorProto.INT64, []),
            value("go", TensorProto.BOOL, []),
            value("v", TensorProto.FLOAT, [1, 4]),
        ],
        [value("on", TensorProto.BOOL, []), value("next", TensorProto.FLOAT, [1, 4])],
        [numpy_helper.from_array(np.eye(4, dtype=np.float32), "w")],
    )
    graph = helper.make_graph(
        [helper.make_node("Loop", ["steps", "", "x"], ["y"], body=body)],
        "loop",
        [value("x", TensorProto.FLOAT, [1, 4]), value("steps", TensorProto.INT64, [])],
        [value("y", TensorProto.FLOAT, [1, 4])],
    )
    path = folder / "loop.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    return path


def test_layers_inside_a_loop_count(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    path = looping(tmp_path)
    facts = read_facts(path)
    assert facts.operators == {"Loop": 1, "Identity": 1, "MatMul": 1}
    assert facts.precision == "fp32"
    model = get_backend("onnxruntime").load(LoadSpec(path, "onnx", 1, "fp32"))
    assert count_compute(model.layers()) == {"fp32": 1}


def test_halved_weights_of_an_onnx_file_are_seen_without_a_mark(tmp_path: Path) -> None:
    from onnx import TensorProto, helper, numpy_helper

    weights = numpy_helper.from_array(np.ones((4, 4), np.float16), "w")
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT16, [1, 4]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["y"])], "g", ends[:1], ends[1:], [weights])
    path = tmp_path / "half.onnx"
    onnx.save(helper.make_model(graph), path)
    assert held_precision(path, "onnx") == "fp16"


@pytest.mark.parametrize("content", [b"", b"\xff" * 100, b"\x3a\xff\xff\xff\xff\x7f", b"\x00" * 64])
@pytest.mark.parametrize("form", ["onnx", "openvino", "tflite"])
def test_a_damaged_file_tells_nothing(tmp_path: Path, content: bytes, form: str) -> None:
    path = tmp_path / "model"
    path.write_bytes(content)
    assert held_precision(path, form) == "fp32"


def test_litert_files_are_told_by_their_weights(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    pytest.importorskip("litert_torch")
    pytest.importorskip("ai_edge_quantizer")
    from edgebench.artifacts.convert.tflite import to_tflite
    from edgebench.compress.quantise_tflite import dynamic_tflite, half_tflite

    network = torch.nn.Sequential(torch.nn.Conv2d(3, 16, 3), torch.nn.ReLU(), torch.nn.Conv2d(16, 32, 3))
    plain = tmp_path / "plain.tflite"
    to_tflite(network, (1, 3, 16, 16), plain)
    dynamic_tflite(plain, tmp_path / "int8.tflite")
    half_tflite(plain, tmp_path / "fp16.tflite")
    assert held_precision(plain, "tflite") == "fp32"
    assert {held_precision(tmp_path / f"{name}.tflite", "tflite") for name in ("int8", "fp16")} == {"int8", "fp16"}
