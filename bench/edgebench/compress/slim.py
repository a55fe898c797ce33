"""Smaller ONNX files that compute the same: what a quantiser adds to a graph besides its numbers."""

from __future__ import annotations

from typing import Any

_CONVERTERS = frozenset({"QuantizeLinear", "DequantizeLinear"})


def slim_onnx(model: Any) -> None:
    """Shorten a quantised ModelProto in place, changing no number.

    Quantisers name every tensor after the one it comes from and note each one's type again: a tenth of a small
    network's file. Tensors inside the graph get short names, converters lose theirs (layers keep theirs, profiles show
    them), inferred types go, and so do zero points of weights that are all zero, which is what a missing one means.
    Graphs with subgraphs are left as they are.
    """
    graph = model.graph
    if any(attribute.HasField("g") for node in graph.node for attribute in node.attribute):
        return
    _drop_zero_points(graph)
    del graph.value_info[:]
    kept = {item.name for item in (*graph.input, *graph.output)}
    names: dict[str, str] = {"": ""}

    def short(name: str) -> str:
        if name in kept:
            return name
        return names.setdefault(name, f"t{len(names):x}")

    for tensor in graph.initializer:
        tensor.name = short(tensor.name)
    for node in graph.node:
        node.input[:] = [short(name) for name in node.input]
        node.output[:] = [short(name) for name in node.output]
        if node.op_type in _CONVERTERS:
            node.name = ""


def _drop_zero_points(graph: Any) -> None:
    from onnx import numpy_helper

    tensors = {tensor.name: tensor for tensor in graph.initializer}
    # ONNX Runtime fuses a matrix product to INT8 only where its weights' zero point stands in the graph.
    products = {name for node in graph.node if node.op_type in ("Gemm", "MatMul") for name in node.input}
    for node in graph.node:
        if products & set(node.output):
            continue
        # Of a constant only: there the type comes from the constant, elsewhere it comes from the zero point.
        if node.op_type == "DequantizeLinear" and len(node.input) == 3 and node.input[0] in tensors:
            zero_point = tensors.get(node.input[2])
            if zero_point is not None and not numpy_helper.to_array(zero_point).any():
                del node.input[2]
    used = {name for node in graph.node for name in node.input} | {item.name for item in graph.output}
    for tensor in [tensor for tensor in graph.initializer if tensor.name not in used]:
        graph.initializer.remove(tensor)
