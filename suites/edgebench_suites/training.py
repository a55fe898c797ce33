"""How a network is trained: the settings as one value, and the loop that every task shares."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt
    from torch import Tensor, nn

    I64 = npt.NDArray[np.int64]

# The share of a one-cycle schedule in which the learning rate rises.
WARM_UP = 0.25


@dataclass(frozen=True, slots=True)
class Training:
    """How a network is trained: with Adam, `epochs` times over its samples in batches of `batch`.

    `size` is the input's side in pixels, or the bytes of a window of text; `subset` the share of the training samples
    (above 0, at most 1). `augment` shifts images. `schedule` is of the learning rate: ``constant`` at `lr`, or
    ``one-cycle``, which warms up to it and anneals. Order, shifts and dropout come from `seed`.
    """

    size: int
    epochs: int
    lr: float
    seed: int
    batch: int = 32
    augment: bool = False
    schedule: Literal["constant", "one-cycle"] = "constant"
    subset: float = 1.0

    def annealed(self, epochs: int, lr: float) -> Training:
        """Return it for training from nothing, or for a recovery from damage: with shifts and a rate that anneals."""
        return replace(self, epochs=epochs, lr=lr, augment=True, schedule="one-cycle")


def descend(
    module: nn.Module,
    rows: I64,
    loss_of: Callable[[I64], Tensor],
    training: Training,
    rng: np.random.Generator,
    *,
    clip: float | None = None,
) -> nn.Module:
    """Train in place on `loss_of` (a batch of `rows` to its loss) and return the module in evaluation mode.

    `rng` shuffles the rows anew in each epoch; `clip` is the largest norm of all gradients together. Only parameters
    that require gradients move. A last batch of one row is left out, as batch normalisation cannot train on it, unless
    one row is what a batch has.
    """
    import torch

    parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
    adam = torch.optim.Adam(parameters, lr=training.lr)
    starts = [at for at in range(0, len(rows), training.batch) if len(rows) - at >= min(2, training.batch)]
    steps = training.epochs * len(starts)
    cycle = None
    if training.schedule == "one-cycle" and steps > 0:
        cycle = torch.optim.lr_scheduler.OneCycleLR(adam, max_lr=training.lr, total_steps=steps, pct_start=WARM_UP)
    # Channels-last trains 1.5 times as fast on a CPU; the weights go back to the usual layout below, as the layout a
    # model is measured in is not training's business.
    module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch documents it, its types lack it
    module.train()
    for _ in range(training.epochs):
        order = rng.permutation(rows)
        for at in starts:
            loss = loss_of(order[at : at + training.batch])
            adam.zero_grad(set_to_none=True)
            loss.backward()
            if clip is not None:
                torch.nn.utils.clip_grad_norm_(parameters, clip)
            adam.step()
            if cycle is not None:
                cycle.step()
    module.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]  # as above
    return module.eval()


def seed_everything(seed: int) -> np.random.Generator:
    """Seed Python's, NumPy's and torch's global generators, as the study does, and return one of our own."""
    import torch

    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002  # libraries called from here draw from the global generator
    torch.manual_seed(seed)
    return np.random.default_rng(seed)
