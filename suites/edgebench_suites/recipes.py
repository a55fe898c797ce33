"""Training and evaluation of torch models on a data set: the study's recipe, with what the digits need."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edgebench_suites.data.dataset import Dataset, stratified_subset
from edgebench_suites.data.load import preprocess
from edgebench_suites.scoring import Evaluation, score

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt
    from torch import Tensor, nn

    F32 = npt.NDArray[np.float32]
    Progress = Callable[[int, int, float], None]


@dataclass(frozen=True, slots=True)
class Distillation:
    """Knowledge distillation (Hinton, Vinyals and Dean 2015, arXiv:1503.02531).

    loss = alpha * T^2 * KL(teacher / T, student / T) + (1 - alpha) * cross-entropy with the labels.
    """

    teacher: nn.Module
    temperature: float = 4.0
    alpha: float = 0.7


def train(
    model: nn.Module,
    dataset: Dataset,
    *,
    size: int,
    epochs: int,
    lr: float,
    batch: int = 32,
    seed: int,
    augment: bool = False,
    optimizer: str = "adam",
    schedule: str = "constant",
    subset: float = 1.0,
    distil_from: Distillation | None = None,
    progress: Progress | None = None,
) -> nn.Module:
    """Train all parameters of `model` in place with cross-entropy and return it in evaluation mode.

    The study's recipe is the default: Adam, constant `lr`, batch 32, no augmentation, a stratified `subset` of the
    training set. `schedule` "one-cycle" warms up and anneals (for training from nothing). `augment` shifts every
    image by up to a sixteenth of its side. `progress` gets (step, steps, loss of the step). A last batch of one image
    is left out, as batch normalisation cannot train on it.

    Reproducible: random, NumPy and torch are seeded with `seed`, and order and shifts come from it, so the same
    machine, library versions and number of threads give the same weights. Not reproducible: across machines, threads
    or versions, as the order of floating-point sums differs; accuracies then agree to a few images only.
    """
    import torch

    if optimizer != "adam":
        raise ValueError("the recipe's optimiser is adam")
    rng = seed_everything(seed)
    chosen = stratified_subset(dataset.train_labels, subset, seed)
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    adam = torch.optim.Adam(parameters, lr=lr)
    starts = [at for at in range(0, len(chosen), batch) if len(chosen) - at > 1]
    steps = epochs * len(starts)
    cycle = None
    if schedule == "one-cycle" and steps > 0:
        cycle = torch.optim.lr_scheduler.OneCycleLR(adam, max_lr=lr, total_steps=steps, pct_start=0.25)
    elif schedule != "constant" and steps > 0:
        raise ValueError("schedule is constant or one-cycle")
    # Channels-last trains 1.5 times as fast on a CPU; the weights go back to the usual layout below, as the layout a
    # model is measured in is not training's business.
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch documents it, its types lack it
    model.train()
    if distil_from is not None:
        distil_from.teacher.eval()
    step = 0
    for _ in range(epochs):
        order = rng.permutation(chosen)
        for at in starts:
            rows = order[at : at + batch]
            array = preprocess(dataset.train_images[rows], size)
            inputs = torch.from_numpy(shift(array, size // 16, rng) if augment else array)
            inputs = inputs.to(memory_format=torch.channels_last)
            loss = _loss(model, inputs, torch.from_numpy(dataset.train_labels[rows]), distil_from)
            adam.zero_grad(set_to_none=True)
            loss.backward()
            adam.step()
            if cycle is not None:
                cycle.step()
            step += 1
            if progress is not None:
                progress(step, steps, float(loss.detach()))
    model.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]  # as above
    return model.eval()


def seed_everything(seed: int) -> np.random.Generator:
    """Seed Python's, NumPy's and torch's global generators, as the study does, and return one of our own."""
    import torch

    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002  # libraries called from here draw from the global generator
    torch.manual_seed(seed)
    return np.random.default_rng(seed)


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
