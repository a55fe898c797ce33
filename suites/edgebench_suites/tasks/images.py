"""Classification of images: the task of the studies, on the data sets of `edgebench_suites.data.load`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgebench_suites.data.dataset import Dataset
from edgebench_suites.data.load import calibration_batches
from edgebench_suites.recipes import train
from edgebench_suites.tasks.base import REFERENCE_IMAGES, InputInfo, Task

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from torch import nn

    from edgebench_suites.training import Training

    F32 = npt.NDArray[np.float32]

IMAGE_AXES = {0: "batch", 2: "height", 3: "width"}


def image_inputs(batch: int, size: int, width: float = 1.0) -> tuple[InputInfo, ...]:
    """One image batch [n, 3, size, size], all but the channels free."""
    del width
    return (InputInfo("input", (batch, 3, size, size), free=IMAGE_AXES),)


CLASSIFICATION = Task("classification", image_inputs)


@dataclass(frozen=True, slots=True)
class LabelledImages:
    """A data set at the training size."""

    data: Dataset
    size: int
    seed: int

    @property
    def name(self) -> str:
        """The data set's name."""
        return self.data.name

    @property
    def classes(self) -> int:
        """Its classes."""
        return self.data.classes

    @property
    def digest(self) -> str:
        """Its digest."""
        return self.data.digest

    def reference_inputs(self, module: nn.Module) -> dict[str, Any]:
        """Return the first test images as stored, and the size they are fed at."""
        del module
        return {"images": self.data.test_images[:REFERENCE_IMAGES], "size": self.size}

    def calibration(self, count: int) -> list[F32]:
        """Return preprocessed training images (stratified, seeded), one a batch."""
        return calibration_batches(self.data, size=self.size, count=count, seed=self.seed)

    def train(self, module: nn.Module, training: Training) -> nn.Module:
        """Train by the recipe for images."""
        return train(module, self.data, training)
