"""The operators as small OpenVINO models. In INT8 inputs and outputs are u8 tensors, weights i8 constants.

The 8-bit patterns (convert and scale before, fake-quantise and convert after) are those that OpenVINO's low-precision
transformations fuse into one int8 node. Tensors are NCHW: a pass includes the reorders to the kernel's own layout.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgebench.backends.base import LoadSpec
from edgebench.backends.boundary import refusals
from edgebench.backends.openvino import compile_model
from edgebench.backends.operators.grid import (
    ACTIVATION_SCALE,
    OUTPUT_SCALE,
    TRIAD_FACTOR,
    WEIGHT_SCALE,
    integer_weights,
)

if TYPE_CHECKING:
    from edgebench.backends.openvino import OpenVINOModel
    from edgebench_suites.operators import Operator

_LEVELS = 256


def make_openvino(operator: Operator, precision: str, threads: int) -> OpenVINOModel:
    """Return the operator as a model of the OpenVINO backend."""
    import openvino

    with refusals("openvino", f"operator {operator.name}"):
        outputs, parameters = _graph(operator, int8=precision == "int8")
        model = openvino.Model(outputs, parameters, operator.name)
    return compile_model(model, LoadSpec(Path(operator.name), "openvino", threads, precision))


def _graph(operator: Operator, *, int8: bool) -> tuple[list[Any], list[Any]]:
    import numpy as np
    from openvino import opset13 as op

    kind = np.uint8 if int8 else np.float32
    if operator.kind == "quantise":
        source = op.parameter(list(operator.shape), np.float32, name="x")
        if not int8:
            return [_fake_quantise(source, ACTIVATION_SCALE, grid=ACTIVATION_SCALE)], [source]
        # Two branches, so that the 8-bit tensor really goes to memory and really comes from it.
        stored = op.parameter(list(operator.shape), np.uint8, name="q")
        return [_to_u8(source, ACTIVATION_SCALE), _from_u8(stored)], [source, stored]
    if operator.kind == "copy":
        # A model that only passes its input on copies nothing; joining two halves reads and writes every element once.
        half = [*operator.shape[:-1], operator.shape[-1] // 2]
        halves = [op.parameter(half, kind, name=name) for name in ("x", "x2")]
        return [op.concat(halves, len(half) - 1)], halves
    if operator.kind == "triad":
        pair = [op.parameter(list(operator.shape), np.float32, name=name) for name in ("b", "c")]
        return [op.add(pair[0], op.multiply(pair[1], op.constant(np.float32(TRIAD_FACTOR))))], pair
    source = op.parameter(list(operator.shape), kind, name="x")
    data = _from_u8(source) if int8 else source
    result = _compute(operator, data, int8=int8)
    if not int8:
        return [result], [source]
    # Pooling keeps the grid of its input: then nothing is rescaled.
    return [_to_u8(result, ACTIVATION_SCALE if operator.kind == "pool" else OUTPUT_SCALE)], [source]


def _compute(operator: Operator, data: Any, *, int8: bool) -> Any:
    import numpy as np
    from openvino import opset13 as op

    pads, strides = [operator.kernel // 2] * 2, [operator.stride] * 2
    if operator.kind == "pool":
        return op.max_pool(data, strides, [1, 1], pads, pads, [operator.kernel] * 2).output(0)
    integers = integer_weights(operator)
    if int8:
        scale = np.full((integers.shape[0],) + (1,) * (integers.ndim - 1), WEIGHT_SCALE, np.float32)
        weights = op.multiply(op.convert(op.constant(integers), "f32"), op.constant(scale))
    else:
        weights = op.constant(integers.astype(np.float32) * np.float32(WEIGHT_SCALE))
    if operator.kind == "matmul":
        return op.matmul(data, weights, transpose_a=False, transpose_b=True)
    if operator.groups == 1:
        return op.convolution(data, weights, strides, pads, pads, [1, 1])
    channels = integers.shape[0]
    grouped = np.array([operator.groups, channels // operator.groups, *integers.shape[1:]])
    weights = op.reshape(weights, op.constant(grouped), special_zero=False)
    return op.group_convolution(data, weights, strides, pads, pads, [1, 1])


def _from_u8(tensor: Any) -> Any:
    import numpy as np
    from openvino import opset13 as op

    return op.multiply(op.convert(tensor, "f32"), op.constant(np.float32(ACTIVATION_SCALE)))


def _to_u8(tensor: Any, scale: float) -> Any:
    from openvino import opset13 as op

    return op.convert(_fake_quantise(tensor, scale, grid=1.0), "u8")


def _fake_quantise(tensor: Any, scale: float, *, grid: float) -> Any:
    import numpy as np
    from openvino import opset13 as op

    limits = [op.constant(np.float32(limit)) for limit in (0, scale * (_LEVELS - 1), 0, grid * (_LEVELS - 1))]
    return op.fake_quantize(tensor, *limits, _LEVELS)
