"""Multiply-accumulate operations of one pass, counted from shapes: the work, whatever runtime or precision does it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgebench.backends.boundary import refusals
from edgebench.backends.inputs import fix_shapes


def count_macs(module: Any, shape: tuple[int, ...]) -> int:
    """Return the MACs of one pass of a torch module over one float32 input of `shape`.

    Counted by torch's own flop counter: convolutions, matrix products and attention. Quantised operators are not
    counted: count the float module they come from. Raises BackendError where the module does not run.
    """
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    with refusals("torch", "to count the operations of the model"):
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            module(torch.zeros(shape))
        return int(counter.get_total_flops()) // 2


def count_file_macs(path: Path, shapes: Mapping[str, tuple[int, ...]]) -> int:
    """Return the MACs of one pass of a file that OpenVINO reads (.xml, .onnx, .tflite), at the given input shapes.

    Counts convolutions (all four kinds) and matrix products outside loops; Raises BackendError where shapes stay open.
    """
    import openvino

    from edgebench.backends.openvino import declared_inputs, read_model

    model = read_model(path)
    inputs = fix_shapes(declared_inputs(model), shapes, path, may_change=True)
    with refusals("openvino", "to count the operations of", path):
        wanted = {
            port: openvino.PartialShape(list(spec.shape)) for port, spec in zip(model.inputs, inputs, strict=True)
        }
        model.reshape(wanted)
        return sum(_macs(node) for node in model.get_ordered_ops())


def _macs(node: Any) -> int:
    kind = node.get_type_name()
    if kind not in {
        "Convolution",
        "GroupConvolution",
        "ConvolutionBackpropData",
        "GroupConvolutionBackpropData",
        "MatMul",
    }:
        return 0
    data, weights = (list(node.input(index).get_partial_shape().to_shape()) for index in (0, 1))
    output = math.prod(node.output(0).get_partial_shape().to_shape())
    if kind == "MatMul":
        return int(output * data[-2 if node.get_attributes()["transpose_a"] and len(data) > 1 else -1])
    if kind == "Convolution":
        return int(output * math.prod(weights[1:]))
    if kind == "GroupConvolution":
        return int(output * math.prod(weights[2:]))
    # Transposed: each input element meets every output channel of its group under the whole kernel.
    return int(math.prod(data) * math.prod(weights[1 if kind == "ConvolutionBackpropData" else 2 :]))
