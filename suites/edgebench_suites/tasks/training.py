"""Training for the tasks beyond classification: a loss a task; brief, on data that is generated or ships."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from edgebench_suites.data.load import preprocess
from edgebench_suites.training import descend, seed_everything

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt
    from torch import Tensor, nn

    from edgebench_suites.tasks.scenes import Scenes
    from edgebench_suites.training import Training

    I64 = npt.NDArray[np.int64]

# The largest norm of all gradients together: one steep step shall not undo those before it.
MAX_NORM = 5.0


def fit(module: nn.Module, loss_of: Callable[[I64], Tensor], samples: int, training: Training) -> nn.Module:
    """Train in place on `loss_of` (indices of a batch's samples to its loss); return it in evaluation mode."""
    import torch

    rng = seed_everything(training.seed)
    for layer in module.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            # torchvision's 0.01 and 0.03 suit long training: after a hundred steps the statistics would be half empty.
            layer.momentum = 0.1
    return descend(module, np.arange(samples), loss_of, training, rng, clip=MAX_NORM)


def detection_loss(module: Any, scenes: Scenes, size: int) -> Callable[[I64], Tensor]:
    """Return torchvision's own SSD loss (matching, hard negatives) of a raw detector over scenes."""
    import torch
    from torchvision.models.detection._utils import SSDMatcher
    from torchvision.ops import box_iou

    anchors = module.anchors(size)
    module.train()
    matcher = SSDMatcher(0.5)
    (full,) = module.full
    targets = [
        {"boxes": torch.from_numpy(boxes), "labels": torch.from_numpy(labels)}
        for boxes, labels in zip(scenes.boxes, scenes.labels, strict=True)
    ]
    matched = [matcher(box_iou(target["boxes"], anchors)) for target in targets]

    def loss(rows: I64) -> Tensor:
        regressions, logits = module(_batch(scenes, rows, size))
        heads = {"bbox_regression": regressions, "cls_logits": logits}
        parts = full.compute_loss(
            [targets[row] for row in rows], heads, [anchors] * len(rows), [matched[row] for row in rows]
        )
        total: Tensor = parts["bbox_regression"] + parts["classification"]
        return total

    return loss


def segmentation_loss(module: nn.Module, scenes: Scenes, size: int) -> Callable[[I64], Tensor]:
    """Return the mean cross-entropy of a segmenter's pixels over scenes."""
    import torch
    from torch.nn import functional

    def loss(rows: I64) -> Tensor:
        logits = module(_batch(scenes, rows, size))
        return functional.cross_entropy(logits, torch.from_numpy(scenes.masks[rows].astype(np.int64)))

    return loss


def _batch(scenes: Scenes, rows: I64, size: int) -> Tensor:
    import torch

    return torch.from_numpy(preprocess(scenes.images[rows], size)).to(memory_format=torch.channels_last)


def language_loss(module: nn.Module, text: I64, context: int, rng: np.random.Generator) -> Callable[[I64], Tensor]:
    """Return the mean cross-entropy (nats a byte) of the next byte over windows that begin anywhere in the text."""
    import torch
    from torch.nn import functional

    def loss(rows: I64) -> Tensor:
        begins = rng.integers(0, len(text) - context, size=len(rows))
        windows = torch.from_numpy(text[begins[:, np.newaxis] + np.arange(context + 1)])
        logits, _ = module(windows[:, :-1])
        return functional.cross_entropy(logits.flatten(0, 1), windows[:, 1:].flatten())

    return loss
