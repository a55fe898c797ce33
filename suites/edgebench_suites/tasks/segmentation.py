"""Segmentation: a class for each pixel, judged by intersection over union. NumPy only."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edgebench_suites.tasks.base import Task
from edgebench_suites.tasks.images import image_inputs

if TYPE_CHECKING:
    import numpy.typing as npt

    I64 = npt.NDArray[np.int64]
    Labels = npt.NDArray[np.integer]

SEGMENTATION = Task("segmentation", image_inputs, refuses=frozenset({"channels", "distil", "ptq-dynamic", "qat"}))


def confusion(found: Labels, truth: Labels, classes: int) -> I64:
    """Count pixels by [true class, found class]; both arrays of labels below `classes`, of equal shape."""
    pairs = truth.astype(np.int64).ravel() * classes + found.astype(np.int64).ravel()
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes).astype(np.int64)


def mean_iou(counts: I64) -> float | None:
    """Return the mean over classes of intersection over union (Long et al. 2015, arXiv:1411.4038); None without pixels.

    A class that is neither in the truth nor found says nothing and is left out.
    """
    inside = np.diag(counts)
    union = counts.sum(axis=0) + counts.sum(axis=1) - inside
    present = union > 0
    return float((inside[present] / union[present]).mean()) if present.any() else None


def pixel_accuracy(counts: I64) -> float | None:
    """Return the share of pixels of the right class; None without pixels."""
    total = int(counts.sum())
    return float(np.diag(counts).sum() / total) if total else None
