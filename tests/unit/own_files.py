"""Small model files as people bring them: several inputs, whole numbers, images of bytes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

ROWS = 50


def value(name: str, kind: int, shape: list[int | str] | None) -> Any:
    from onnx import helper

    return helper.make_tensor_value_info(name, kind, shape)


def save(
    path: Path, nodes: list[Any], inputs: list[Any], constants: dict[str, Any], *, opset: int = 17, ir_version: int = 9
) -> Path:
    """Write a graph whose output is `y`, a float."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    weights = [numpy_helper.from_array(np.asarray(array), name) for name, array in constants.items()]
    graph = helper.make_graph(nodes, "net", inputs, [value("y", TensorProto.FLOAT, None)], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir_version)
    onnx.save(model, path)
    return path


def sentence_net(path: Path) -> Path:
    """Write a network of token ids and a mask, as sentence encoders take them: free batch and length."""
    from onnx import TensorProto, helper

    node = helper.make_node
    generator = np.random.default_rng(0)
    return save(
        path,
        [
            node("Gather", ["table", "input_ids"], ["e"]),
            node("MatMul", ["e", "w"], ["l"]),
            node("Cast", ["attention_mask"], ["f"], to=TensorProto.FLOAT),
            node("Unsqueeze", ["f", "last"], ["u"]),
            node("Mul", ["l", "u"], ["m"]),
            node("ReduceMean", ["m"], ["y"], axes=[1], keepdims=0),
        ],
        [value(name, TensorProto.INT64, ["batch", "length"]) for name in ("input_ids", "attention_mask")],
        {
            "table": generator.standard_normal((ROWS, 32)).astype(np.float32),
            "w": generator.standard_normal((32, 32)).astype(np.float32),
            "last": np.array([2]),
        },
    )


def picture_net(path: Path, *, name: str = "pixels") -> Path:
    """Write a network that takes an image of bytes."""
    from onnx import TensorProto, helper

    node = helper.make_node
    generator = np.random.default_rng(0)
    return save(
        path,
        [
            node("Cast", [name], ["f"], to=TensorProto.FLOAT),
            node("Mul", ["f", "scale"], ["x"]),
            node("Conv", ["x", "w"], ["c"], pads=[1, 1, 1, 1]),
            node("Relu", ["c"], ["r"]),
            node("GlobalAveragePool", ["r"], ["g"]),
            node("Flatten", ["g"], ["y"]),
        ],
        [value(name, TensorProto.UINT8, [1, 3, 16, 16])],
        {"scale": np.float32(1 / 255), "w": generator.standard_normal((8, 3, 3, 3)).astype(np.float32)},
    )
