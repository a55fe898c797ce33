"""Rebuild the shape of a transformed network from its state dict, before the weights are loaded into it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgebench.compress import quantise
from edgebench_suites.transfer import convolutional_base, joined

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torch import nn


def _transfer(module: nn.Module, state: dict[str, Any]) -> nn.Module:
    width, features = _weight_shape(state, "head.1", 2)
    return joined(convolutional_base(module), features, width, _weight_shape(state, "head.4", 2)[0])


def _channels(module: nn.Module, state: dict[str, Any]) -> nn.Module:
    resize(module, state)
    return module


# Each returns the module after the transform, with the tensor shapes of a state dict; its values are not loaded.
TRANSFORMS: Mapping[str, Callable[[nn.Module, dict[str, Any]], nn.Module]] = {
    "transfer": _transfer,
    "channels": _channels,
    "ptq-dynamic": lambda module, _state: quantise.dynamic(module),
    "ptq-static": lambda module, _state: quantise.static_torch(module, []),
}


def resize(module: nn.Module, state: dict[str, Any]) -> None:
    """Give convolutions, batch norms and linear layers the shapes of `state`'s tensors; depthwise stays depthwise.

    `state` may be of the network after it was quantised: shapes then come from INT8 weights, and a batch norm that was
    folded into its convolution takes the width of what reaches it.
    Raises ValueError where a tensor cannot be a layer's weight, KeyError where one is missing.
    """
    import torch
    from torch import nn

    folded = []
    for path, layer in module.named_modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            _resize_layer(layer, _weight_shape(state, path, layer.weight.dim()))
        elif isinstance(layer, nn.BatchNorm2d):
            if f"{path}.weight" in state:
                _widen(layer, _weight_shape(state, path, 1)[0])
            else:
                folded.append(layer)
    handles = [
        layer.register_forward_pre_hook(lambda norm, inputs: _widen(norm, inputs[0].shape[1])) for layer in folded
    ]
    if handles:
        with torch.inference_mode():
            module.eval()(torch.zeros(1, 3, 64, 64))
        for handle in handles:
            handle.remove()


def _resize_layer(layer: nn.Conv2d | nn.Linear, shape: tuple[int, ...]) -> None:
    from torch import nn

    layer.weight = _empty(shape)
    if layer.bias is not None:
        layer.bias = _empty(shape[:1])
    if isinstance(layer, nn.Linear):
        layer.out_features, layer.in_features = shape
        return
    depthwise = layer.groups > 1 and layer.groups == layer.in_channels
    if layer.groups > 1 and not depthwise:
        raise ValueError(layer.groups)
    layer.out_channels = shape[0]
    layer.in_channels = shape[0] if depthwise else shape[1]
    layer.groups = shape[0] if depthwise else 1


def _weight_shape(state: dict[str, Any], path: str, dimensions: int) -> tuple[int, ...]:
    import torch

    packed = state.get(f"{path}._packed_params._packed_params")
    tensor = packed[0] if isinstance(packed, tuple) else state[f"{path}.weight"]
    if not isinstance(tensor, torch.Tensor) or tensor.dim() != dimensions:
        raise ValueError(path)
    return tuple(tensor.shape)


def _empty(shape: Sequence[int]) -> nn.Parameter:
    """Make a parameter of zeros, so that what is not loaded cannot be left-over memory."""
    import torch

    return torch.nn.Parameter(torch.zeros(tuple(shape)))


def _widen(norm: Any, width: int) -> None:
    import torch

    norm.num_features = width
    norm.weight, norm.bias = _empty((width,)), _empty((width,))
    norm.running_mean, norm.running_var = torch.zeros(width), torch.ones(width)
