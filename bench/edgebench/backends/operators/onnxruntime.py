"""The operators as ONNX files of one node, for ONNX Runtime. In INT8 the tensors are u8, the weights i8.

The files are written as bytes (protobuf): a board has ONNX Runtime and no package that makes ONNX.
"""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edgebench.backends.base import LoadSpec
from edgebench.backends.onnxruntime import OnnxRuntimeBackend
from edgebench.backends.operators.grid import ACTIVATION_SCALE, OUTPUT_SCALE, WEIGHT_SCALE, integer_weights

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from edgebench.backends.onnxruntime import OnnxRuntimeModel
    from edgebench_suites.operators import Operator

# onnx.proto3, IR version 8: the numbers of fields and types that these files need.
_IR_VERSION, _OPSET = 8, 13
_TYPES = {"float32": 1, "uint8": 2, "int8": 3}
_INT, _INTS = 2, 7


def make_onnxruntime(operator: Operator, precision: str, threads: int) -> OnnxRuntimeModel:
    """Return the operator as a model of the ONNX Runtime backend."""
    folder = Path(tempfile.mkdtemp(prefix="edgebench-operator-"))
    try:
        file = folder / f"{operator.name}.onnx"
        file.write_bytes(_model(operator, int8=precision == "int8"))
        model = OnnxRuntimeBackend().load(LoadSpec(file, "onnx", threads, precision))
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    # What it executes is read from the file once more, whenever that is asked.
    weakref.finalize(model.session, shutil.rmtree, folder, ignore_errors=True)
    return model


def _model(operator: Operator, *, int8: bool) -> bytes:
    kind = "uint8" if int8 else "float32"
    shapes = {"x": operator.shape}
    if operator.kind == "copy":
        # As in OpenVINO: joining two halves reads and writes every element once.
        half = (*operator.shape[:-1], operator.shape[-1] // 2)
        shapes = {"x": half, "x2": half}
    tensors, node = _node(operator, list(shapes), int8=int8)
    parts = [_field(1, node), _field(2, operator.name.encode())]
    parts += [_field(5, tensor) for tensor in tensors]
    parts += [_field(11, _value(name, kind, shape)) for name, shape in shapes.items()]
    parts.append(_field(12, _value("y", kind, operator.output)))
    opset = _field(8, _number(2, _OPSET))
    return _number(1, _IR_VERSION) + opset + _field(7, b"".join(parts))


def _node(operator: Operator, inputs: Sequence[str], *, int8: bool) -> tuple[list[bytes], bytes]:
    """Return the constants and the one node."""
    import numpy as np

    attributes: dict[str, int | Sequence[int]] = {}
    if operator.kind in {"conv", "pool"}:
        attributes = {
            "kernel_shape": [operator.kernel] * 2,
            "strides": [operator.stride] * 2,
            "pads": [operator.kernel // 2] * 4,
        }
    if operator.kind == "pool":
        return [], _operation("MaxPool", inputs, attributes)
    if operator.kind == "copy":
        return [], _operation("Concat", inputs, {"axis": len(operator.shape) - 1})
    if operator.kind == "conv":
        attributes["group"] = operator.groups
    name = "Conv" if operator.kind == "conv" else "MatMul"
    weights = integer_weights(operator)
    if operator.kind == "matmul":
        weights = np.ascontiguousarray(weights.T)
    if not int8:
        return [_tensor("w", weights.astype(np.float32) * np.float32(WEIGHT_SCALE))], _operation(
            name, [*inputs, "w"], attributes
        )
    constants: dict[str, npt.NDArray[np.generic]] = {
        "xs": np.array(ACTIVATION_SCALE, np.float32),
        "xz": np.array(0, np.uint8),
        "w": weights,
        "ws": np.array(WEIGHT_SCALE, np.float32),
        "wz": np.array(0, np.int8),
        "ys": np.array(OUTPUT_SCALE, np.float32),
        "yz": np.array(0, np.uint8),
    }
    tensors = [_tensor(key, array) for key, array in constants.items()]
    return tensors, _operation(f"QLinear{name}", [*inputs, *constants], attributes)


def _operation(kind: str, inputs: Iterable[str], attributes: dict[str, int | Sequence[int]]) -> bytes:
    parts = [_field(1, name.encode()) for name in inputs]
    parts += [_field(2, b"y"), _field(3, kind.encode()), _field(4, kind.encode())]
    for name, value in attributes.items():
        if isinstance(value, int):
            told = _number(3, value) + _number(20, _INT)
        else:
            told = b"".join(_number(8, one) for one in value) + _number(20, _INTS)
        parts.append(_field(5, _field(1, name.encode()) + told))
    return b"".join(parts)


def _tensor(name: str, array: npt.NDArray[np.generic]) -> bytes:
    sizes = b"".join(_number(1, size) for size in array.shape)
    return sizes + _number(2, _TYPES[array.dtype.name]) + _field(8, name.encode()) + _field(9, array.tobytes())


def _value(name: str, kind: str, shape: Sequence[int]) -> bytes:
    sizes = b"".join(_field(1, _number(1, size)) for size in shape)
    tensor = _number(1, _TYPES[kind]) + _field(2, sizes)
    return _field(1, name.encode()) + _field(2, _field(1, tensor))


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _field(field: int, content: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])
