"""What a file holds is told from its bytes, and layers inside a loop count."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.unit.own_files import save, value

from edgebench.backends.base import LoadSpec
from edgebench.backends.executed import count_compute
from edgebench.backends.held import held_precision
from edgebench.backends.onnxfile import read_facts
from edgebench.backends.registry import get_backend

onnx = pytest.importorskip("onnx")


def looping(folder: Path) -> Path:
    """Write a network whose only matrix product lies in a loop of as many turns as an input says."""
    from onnx import TensorProto, helper, numpy_helper

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


def branching(folder: Path) -> Path:
    """Write a network that multiplies in both branches of a condition."""
    from onnx import TensorProto, helper

    def branch(name: str) -> Any:
        product = helper.make_node("MatMul", ["x", "w"], [name])
        return helper.make_graph([product], name, [], [value(name, TensorProto.FLOAT, [1, 4])])

    return save(
        folder / "branch.onnx",
        [helper.make_node("If", ["which"], ["y"], then_branch=branch("a"), else_branch=branch("b"))],
        [value("x", TensorProto.FLOAT, [1, 4]), value("which", TensorProto.BOOL, [])],
        {"w": np.eye(4, dtype=np.float32)},
    )


def test_the_facts_of_a_loop_are_read_from_its_bytes(tmp_path: Path) -> None:
    facts = read_facts(looping(tmp_path))
    assert facts.operators == {"Loop": 1, "Identity": 1, "MatMul": 1}
    assert facts.precision == "fp32"


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_layers_inside_loops_and_branches_count(tmp_path: Path, runtime: str) -> None:
    pytest.importorskip(runtime)
    model = get_backend(runtime).load(LoadSpec(looping(tmp_path), "onnx", 1, "fp32"))
    assert count_compute(model.layers()) == {"fp32": 1}
    model = get_backend(runtime).load(LoadSpec(branching(tmp_path), "onnx", 1, "fp32"))
    # ONNX Runtime tells of the branch that ran, OpenVINO of both.
    assert count_compute(model.layers()) == {"fp32": 1 if runtime == "onnxruntime" else 2}


@pytest.mark.parametrize(("bits", "held"), [(4, "int4"), (8, "int8")])
def test_weights_in_blocks_are_told_by_their_bits(tmp_path: Path, bits: int, held: str) -> None:
    pytest.importorskip("onnxruntime")
    from onnx import TensorProto, helper
    from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer

    weights = np.random.default_rng(0).standard_normal((64, 64)).astype(np.float32)
    path = save(
        tmp_path / "plain.onnx",
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        [value("x", TensorProto.FLOAT, [1, 64])],
        {"w": weights},
    )
    quantiser = MatMulNBitsQuantizer(onnx.load(path), bits=bits, block_size=32, is_symmetric=True)
    quantiser.process()
    quantiser.model.save_model_to_file(str(tmp_path / "blocks.onnx"))
    assert held_precision(tmp_path / "blocks.onnx", "onnx") == held


@pytest.mark.parametrize(("change", "held"), [("none", "fp32"), ("half", "fp16"), ("quantised", "int8")])
def test_an_exported_program_is_told_by_its_graph(tmp_path: Path, change: str, held: str) -> None:
    torch = pytest.importorskip("torch")

    class Product(torch.nn.Module):  # type: ignore[misc,name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("w", torch.randint(-9, 9, (8, 8), dtype=torch.int8))

        def forward(self, x: Any) -> Any:
            wide = torch.ops.quantized_decomposed.dequantize_per_tensor(self.w, 0.1, 0, -128, 127, torch.int8)
            return x @ wide

    if change == "quantised":
        import torch.ao.quantization.fx._decomposed

        network, example = Product(), torch.zeros(1, 8)
    else:
        network, example = torch.nn.Linear(8, 8), torch.zeros(1, 8)
        network, example = (network.half(), example.half()) if change == "half" else (network, example)
    torch.export.save(torch.export.export(network.eval(), (example,)), tmp_path / "net.pt2")
    assert held_precision(tmp_path / "net.pt2", "pt2") == held


def test_halved_weights_of_an_onnx_file_are_seen_without_a_mark(tmp_path: Path) -> None:
    from onnx import TensorProto, helper, numpy_helper

    weights = numpy_helper.from_array(np.ones((4, 4), np.float16), "w")
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT16, [1, 4]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["y"])], "g", ends[:1], ends[1:], [weights])
    path = tmp_path / "half.onnx"
    onnx.save(helper.make_model(graph), path)
    assert held_precision(path, "onnx") == "fp16"


@pytest.mark.parametrize("content", [b"", b"\xff" * 100, b"\x3a\xff\xff\xff\xff\x7f", b"\x00" * 64])
@pytest.mark.parametrize("form", ["onnx", "openvino", "tflite", "pt2"])
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
