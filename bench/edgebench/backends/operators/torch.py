"""The operators in torch: ATen in FP32, its quantised operators on the oneDNN engine in INT8, both channels last."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgebench.backends.base import LoadSpec, TensorSpec
from edgebench.backends.boundary import refusals
from edgebench.backends.operators.grid import (
    ACTIVATION_SCALE,
    OUTPUT_SCALE,
    TRIAD_FACTOR,
    WEIGHT_SCALE,
    integer_weights,
)
from edgebench.backends.torch import wrap_module
from edgebench.compress.quiet import quiet
from edgebench.errors import BackendError

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch

    from edgebench.backends.torch import TorchModel
    from edgebench_suites.operators import Operator

_ENGINE = "onednn"


def make_torch(operator: Operator, precision: str, threads: int) -> TorchModel:
    """Return the operator as a model of the torch backend."""
    import torch

    int8 = precision == "int8"
    with refusals("torch", f"operator {operator.name}"), quiet():
        torch.set_num_threads(threads)
        if int8 and _ENGINE not in torch.backends.quantized.supported_engines:
            raise BackendError("this torch has no oneDNN engine for int8: install the CPU build for x86")
        # The deprecation that torch tells once a process is told here, not inside a pass.
        torch.quantize_per_tensor(torch.zeros(1), 1.0, 0, torch.quint8)
        run = _int8(operator) if int8 else _fp32(operator)
    dtype = "uint8" if int8 and operator.kind == "copy" else "float32"
    spec = LoadSpec(Path(operator.name), "torch", threads, precision)
    names = ("b", "c") if operator.kind == "triad" else ("x",)
    inputs = [TensorSpec(name, operator.shape, dtype) for name in names]
    return wrap_module(run, inputs, spec, prepare=_prepare(operator, int8=int8))


def _prepare(operator: Operator, *, int8: bool) -> Callable[[torch.Tensor], torch.Tensor]:
    import torch

    def prepare(tensor: torch.Tensor) -> torch.Tensor:
        if operator.kind in {"copy", "triad"}:
            return tensor
        if tensor.dim() == 4:
            tensor = tensor.contiguous(memory_format=torch.channels_last)
        return tensor if operator.kind == "quantise" or not int8 else _quantise(tensor)

    return prepare


def _fp32(operator: Operator) -> Callable[..., Any]:
    import torch
    from torch.nn import functional

    if operator.kind == "quantise":
        return lambda x: torch.fake_quantize_per_tensor_affine(x, ACTIVATION_SCALE, 0, 0, 255)
    if operator.kind in {"copy", "pool"}:
        return _any_precision(operator)
    if operator.kind == "triad":
        target = torch.empty(operator.shape)
        return lambda b, c: torch.add(b, c, alpha=TRIAD_FACTOR, out=target)
    weights = torch.from_numpy(integer_weights(operator)).float() * WEIGHT_SCALE
    if operator.kind == "matmul":
        return lambda x: functional.linear(x, weights)
    weights = weights.contiguous(memory_format=torch.channels_last)
    stride, padding, groups = operator.stride, operator.kernel // 2, operator.groups
    return lambda x: functional.conv2d(x, weights, None, stride, padding, 1, groups)


def _int8(operator: Operator) -> Callable[[torch.Tensor], Any]:
    import torch

    if operator.kind == "quantise":
        held = _quantise(torch.full(operator.shape, 1.0).contiguous(memory_format=torch.channels_last))
        return lambda x: (_quantise(x), held.dequantize())
    if operator.kind in {"copy", "pool"}:
        return _any_precision(operator)
    weights = torch.quantize_per_tensor(
        torch.from_numpy(integer_weights(operator)).float() * WEIGHT_SCALE, WEIGHT_SCALE, 0, torch.qint8
    )
    ops, engine = torch.ops.quantized, str(torch.backends.quantized.engine)
    # Prepacking binds the weights to an engine; the operator then follows its weights.
    torch.backends.quantized.engine = _ENGINE
    try:
        if operator.kind == "matmul":
            packed = ops.linear_prepack(weights, None)
            return lambda x: ops.linear(x, packed, OUTPUT_SCALE, 0)
        stride, padding = [operator.stride] * 2, [operator.kernel // 2] * 2
        packed = ops.conv2d_prepack(weights, None, stride, padding, [1, 1], operator.groups)
        return lambda x: ops.conv2d(x, packed, OUTPUT_SCALE, 0)
    finally:
        torch.backends.quantized.engine = engine


def _any_precision(operator: Operator) -> Callable[[torch.Tensor], Any]:
    """Pooling and copying follow the tensor's type."""
    import torch
    from torch.nn import functional

    if operator.kind == "pool":
        return lambda x: functional.max_pool2d(x, operator.kernel, operator.stride, operator.kernel // 2)
    targets: dict[torch.dtype, torch.Tensor] = {
        dtype: torch.empty(operator.shape, dtype=dtype) for dtype in (torch.float32, torch.uint8)
    }
    return lambda x: targets[x.dtype].copy_(x)


def _quantise(tensor: torch.Tensor) -> torch.Tensor:
    import torch

    return torch.quantize_per_tensor(tensor, ACTIVATION_SCALE, 0, torch.quint8)
