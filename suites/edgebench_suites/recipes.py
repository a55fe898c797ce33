"""Training and evaluation of torch models on a data set: the study's recipe, with what the digits need."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edgebench_suites.data.dataset import Dataset, stratified_subset
from edgebench_suites.data.load import preprocess
from edgebench_suites.scoring import Evaluation, score
from edgebench_suites.training import Training, descend, seed_everything

if TYPE_CHECKING:
    import numpy.typing as npt
    from torch import Tensor, nn

    F32 = npt.NDArray[np.float32]
    I64 = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Distillation:
    """Knowledge distillation (Hinton, Vinyals and Dean 2015, arXiv:1503.02531).

    loss = alpha * T^2 * KL(teacher / T, student / T) + (1 - alpha) * cross-entropy with the labels.
    """

    teacher: nn.Module
    temperature: float = 4.0
    alpha: float = 0.7


def train(
    model: nn.Module, dataset: Dataset, training: Training, *, distil_from: Distillation | None = None
) -> nn.Module:
    """Train all parameters of `model` in place with cross-entropy and return it in evaluation mode.

    The study's recipe is the default of `Training`: Adam, a constant rate, batch 32, no augmentation; a `subset` is
    stratified. `augment` shifts every image by up to a sixteenth of its side.

    Reproducible: random, NumPy and torch are seeded with `seed`, and order and shifts come from it, so the same
    machine, library versions and number of threads give the same weights. Not reproducible: across machines, threads
    or versions, as the order of floating-point sums differs; accuracies then agree to a few images only.
    """
    import torch

    rng = seed_everything(training.seed)
    chosen = stratified_subset(dataset.train_labels, training.subset, training.seed)
    if distil_from is not None:
        distil_from.teacher.eval()

    def loss_of(rows: I64) -> Tensor:
        array = preprocess(dataset.train_images[rows], training.size)
        inputs = torch.from_numpy(shift(array, training.size // 16, rng) if training.augment else array)
        inputs = inputs.to(memory_format=torch.channels_last)
        return _loss(model, inputs, torch.from_numpy(dataset.train_labels[rows]), distil_from)

    return descend(model, chosen, loss_of, training, rng)


def shift(images: F32, most: int, rng: np.random.Generator) -> F32:
    """Shift every image [N, C, H, W] by up to `most` pixels in each direction, repeating its edge."""
    if most == 0:
        return images
    padded = np.pad(images, ((0, 0), (0, 0), (most, most), (most, most)), mode="edge")
    height, width = images.shape[2:]
    shifted = np.empty_like(images)
    for index, (down, right) in enumerate(rng.integers(0, 2 * most + 1, size=(len(images), 2))):
        shifted[index] = padded[index, :, down : down + height, right : right + width]
    return shifted


def _loss(model: nn.Module, inputs: Tensor, labels: Tensor, distil_from: Distillation | None) -> Tensor:
    import torch
    from torch.nn import functional

    logits = model(inputs)
    hard = functional.cross_entropy(logits, labels)
    if distil_from is None:
        return hard
    with torch.no_grad():
        guide = functional.log_softmax(distil_from.teacher(inputs) / distil_from.temperature, dim=1)
    soft = functional.log_softmax(logits / distil_from.temperature, dim=1)
    divergence = functional.kl_div(soft, guide, reduction="batchmean", log_target=True)
    return distil_from.alpha * distil_from.temperature**2 * divergence + (1 - distil_from.alpha) * hard


def evaluate(model: nn.Module, dataset: Dataset, size: int, *, batch: int = 32) -> Evaluation:
    """Score a torch model on every test image at `size` pixels; the model is left in evaluation mode."""
    import torch

    model.eval()

    def logits(array: F32) -> F32:
        with torch.inference_mode():
            result: F32 = model(torch.from_numpy(array)).numpy()
        return result

    return score(logits, dataset, size, batch=batch)
