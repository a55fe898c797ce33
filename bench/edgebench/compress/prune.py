"""Pruning of torch models: single weights (the study) and whole channels (its future work)."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

from edgebench.compress.boundary import needed, refusals
from edgebench.errors import CompressionError
from edgebench_suites.zoo import last_linear

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import numpy.typing as npt
    from torch import Tensor, nn

    F32 = npt.NDArray[np.float32]


def l1_unstructured(model: nn.Module, amount: float = 0.4, *, linear: bool = False) -> int:
    """Mask the share `amount` of smallest weights of every convolution, in place; return how many weights that is.

    With `linear` those of linear layers as well.

    ``torch.nn.utils.prune.l1_unstructured``, layer by layer, as in the study. The masks hold through training; call
    `make_permanent` afterwards. Zeros speed up no dense kernel and shrink no file: measure it.
    """
    from torch.nn.utils import prune

    masked = 0
    for layer in _prunable(model) if linear else _convolutions(model):
        prune.l1_unstructured(layer, "weight", amount)
        masked += int((layer.get_buffer("weight_mask") == 0).sum())
    return masked


def make_permanent(model: nn.Module) -> nn.Module:
    """Remove the masks and keep their zeros; the state dict has the original names again."""
    import torch
    from torch.nn.utils import prune

    for layer in _prunable(model):
        if prune.is_pruned(layer):
            with torch.no_grad():
                # Training moved the original weights after the last masked forward pass.
                layer.get_parameter("weight_orig").mul_(layer.get_buffer("weight_mask"))
            prune.remove(layer, "weight")
    return model


def _convolutions(model: nn.Module) -> list[nn.Module]:
    from torch import nn

    return [layer for layer in model.modules() if isinstance(layer, nn.Conv1d | nn.Conv2d | nn.Conv3d)]


def _prunable(model: nn.Module) -> list[nn.Module]:
    from torch import nn

    return [*_convolutions(model), *(layer for layer in model.modules() if isinstance(layer, nn.Linear))]


def sparsity(model: nn.Module) -> float | None:
    """Return the share of exact zeros among the weights of convolutions and linear layers, 0 to 1.

    Of a quantised layer the integers are counted, where small weights have become 0 too. None without such a layer.
    """
    zeros = total = 0
    for layer in model.modules():
        weight = _weight(layer)
        if weight is not None:
            values = weight.int_repr() if weight.is_quantized else weight
            zeros += int((values == 0).sum())
            total += values.numel()
    return zeros / total if total else None


def _weight(layer: nn.Module) -> Tensor | None:
    import torch
    from torch import nn

    if not isinstance(layer, nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d):
        name = type(layer).__module__
        if not name.startswith("torch.ao.nn.") or not hasattr(layer, "weight"):
            return None
    weight = layer.weight() if callable(layer.weight) else layer.weight
    return weight if isinstance(weight, torch.Tensor) else None


def parameters(model: nn.Module) -> int:
    """Count the parameters of a float model."""
    return sum(parameter.numel() for parameter in model.parameters())


def structured(model: nn.Module, amount: float, *, size: int = 64, round_to: int = 8) -> nn.Module:
    """Return a copy of `model` with about the share `amount` of every layer's channels really removed.

    torch-pruning's dependency graph (Fang et al. 2023, arXiv:2301.12900) removes coupled channels together, ranked by
    their group's L1 norm; the last linear layer keeps its classes. Widths are rounded up to multiples of `round_to`,
    which vector kernels want. The copy wants fine-tuning. `size` is the side in pixels of the traced input.
    Raises CompressionError when torch-pruning is missing or cannot follow the network.
    """
    import torch

    with needed("torch-pruning", "torch", "removing channels"):
        import torch_pruning
    pruned = copy.deepcopy(model).eval()
    importance = torch_pruning.importance.GroupMagnitudeImportance(p=1)
    with refusals("channels of this model cannot be removed"):
        pruner = torch_pruning.pruner.BasePruner(
            pruned,
            torch.zeros(1, 3, size, size),
            importance=importance,
            pruning_ratio=amount,
            ignored_layers=[last_linear(pruned)[1]],
            round_to=round_to,
        )
        pruner.step()
        pruned(torch.zeros(1, 3, size, size))
    return pruned


def reestimate_batch_norm(model: nn.Module, batches: Sequence[F32]) -> nn.Module:
    """Replace the running statistics of every batch norm by their mean over `batches` ([n, 3, H, W]), in place.

    Pruning shifts activations; this alone restores most of the accuracy and trains nothing. Dropout stays off.
    Raises CompressionError where a batch of one image leaves a norm nothing to take a variance of.
    """
    import torch
    from torch import nn

    model.eval()
    norms = [layer for layer in model.modules() if isinstance(layer, nn.modules.batchnorm._BatchNorm)]  # noqa: SLF001  # their common base has no public name
    if not norms or not batches:
        return model
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain mean over all batches
        norm.train()
    with torch.no_grad():
        for batch in batches:
            try:
                model(torch.from_numpy(batch))
            except ValueError as error:
                if "more than 1 value per channel" not in str(error):
                    raise
                raise CompressionError(
                    f"batch norms are re-estimated image by image, and at {batch.shape[-1]} pixels this network "
                    "shrinks an image to one value a channel, which has no variance: raise train_size"
                ) from None
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    return model.eval()
