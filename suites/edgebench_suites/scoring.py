"""Accuracy and loss of anything that turns images into logits; no torch, so every runtime is scored alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edgebench_suites.data.dataset import Dataset
from edgebench_suites.data.load import preprocess

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    F32 = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """`predictions` int64 [N] in the order of the test set, `correct` bool [N], mean cross-entropy `loss` (nats)."""

    predictions: npt.NDArray[np.int64]
    correct: npt.NDArray[np.bool_]
    loss: float

    @property
    def accuracy_top1(self) -> float:
        """Share of correct predictions, 0 to 1."""
        return float(self.correct.mean())


def score(run: Callable[[F32], F32], dataset: Dataset, size: int, *, batch: int = 32) -> Evaluation:
    """Score `run` (float32 [n, 3, size, size] to logits [n, classes]) on every test image.

    `batch` is the largest n; a model of fixed batch size 1 wants 1, and other fixed sizes must divide the test set.
    Logits that are not finite count as wrong and give an infinite loss. Raises ValueError for a wrong shape.
    """
    parts = []
    for at in range(0, len(dataset.test_labels), batch):
        images = preprocess(dataset.test_images[at : at + batch], size)
        logits = np.asarray(run(images), dtype=np.float64)
        if logits.shape != (len(images), dataset.classes):
            raise ValueError(f"{logits.shape} are no logits of {len(images)} images in {dataset.classes} classes")
        parts.append(logits)
    logits = np.concatenate(parts)
    labels = dataset.test_labels
    predictions = logits.argmax(axis=1)
    finite = np.isfinite(logits).all(axis=1)
    correct = (predictions == labels) & finite
    if not finite.all():
        return Evaluation(predictions, correct, float("inf"))
    peak = logits.max(axis=1, keepdims=True)
    log_sum = np.log(np.exp(logits - peak).sum(axis=1)) + peak[:, 0]
    return Evaluation(predictions, correct, float((log_sum - logits[np.arange(len(labels)), labels]).mean()))
