"""What ran, in one vocabulary: precisions and layer types of every runtime, and how many layers ran in which."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from edgebench.backends.base import Layer

# The names runtimes use, to the report's. Both signednesses of 8 bits are one arithmetic: int8.
_PRECISIONS = {
    "f32": "fp32",
    "float": "fp32",
    "float32": "fp32",
    "f16": "fp16",
    "float16": "fp16",
    "bf16": "bf16",
    "bfloat16": "bf16",
    "f64": "fp64",
    "double": "fp64",
    "float64": "fp64",
    "i8": "int8",
    "u8": "int8",
    "s8": "int8",
    "int8": "int8",
    "uint8": "int8",
    "qint8": "int8",
    "quint8": "int8",
    "qint32": "int32",
    "i32": "int32",
    "s32": "int32",
    "int32": "int32",
    "i64": "int64",
    "int64": "int64",
}

# Layers that multiply and accumulate: where precision decides the time. Names of OpenVINO, ONNX, TFLite, ATen, oneDNN.
_COMPUTE = re.compile(
    r"(conv|(?<!q)linear|matmul|gemm|addmm|bmm|(^|\.)mm(\.|$)|fully_?connected|inner_?product|rnnseq|lstm|gru|attention)",
    re.IGNORECASE,
)
_NOT_COMPUTE = re.compile(r"(quantizelinear|dequantizelinear|convert|prepack|nonlinear)", re.IGNORECASE)


def precision_name(name: str) -> str:
    """Return a runtime's name of a precision as the report writes it (``fp32``, ``int8``); unknown ones stay."""
    short = name.lower().removeprefix("torch.").removeprefix("tensor(").removesuffix(")")
    return _PRECISIONS.get(short, short)


def is_compute(layer: Layer) -> bool:
    """Say whether a layer multiplies and accumulates (convolution, matrix product), whatever the runtime calls it."""
    return bool(_COMPUTE.search(layer.type)) and not _NOT_COMPUTE.search(layer.type)


def count_compute(layers: Iterable[Layer]) -> dict[str, int]:
    """Return {executed precision: number of multiplying layers}; in an int8 artifact those outside int8 fell back."""
    counted = Counter(layer.precision for layer in layers if is_compute(layer))
    return dict(sorted(counted.items()))
