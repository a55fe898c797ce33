"""Detection: boxes from a network's raw heads, and their mean average precision. NumPy only, so boards score too.

The network gives box regressions and class scores for each anchor; decoding and suppression are no part of the
measured model, as runtimes differ in whether they can do them at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edgebench_suites.tasks.base import Task
from edgebench_suites.tasks.images import image_inputs

if TYPE_CHECKING:
    import numpy.typing as npt

    F32 = npt.NDArray[np.float32]
    F64 = npt.NDArray[np.float64]
    I64 = npt.NDArray[np.int64]

# torchvision's SSDLite: weights of its box coder, and what it keeps of an image.
CODER_WEIGHTS = (10.0, 10.0, 5.0, 5.0)
_LARGEST_SCALE = float(np.log(1000.0 / 16))
LEAST_SCORE = 0.05
MOST_CANDIDATES = 300
OVERLAP = 0.55
MOST_DETECTIONS = 100


# Removing channels breaks the anchors' heads, and a classifier's distillation has no meaning for boxes.
DETECTION = Task(
    "detection",
    image_inputs,
    outputs=("boxes", "scores"),
    compared=(0, 1),
    classes_in=1,
    axis=2,
    refuses=frozenset({"channels", "distil", "ptq-dynamic", "qat"}),
)


@dataclass(frozen=True, slots=True)
class Detections:
    """What was found in one image: boxes float [n, 4] (x0, y0, x1, y1 in pixels), labels and scores [n], best first."""

    boxes: F64
    labels: I64
    scores: F64

    def above(self, score: float) -> Detections:
        """Return those with at least this score."""
        kept = self.scores >= score
        return Detections(self.boxes[kept], self.labels[kept], self.scores[kept])


def detect(regressions: F32, logits: F32, anchors: F32, size: int) -> Detections:
    """Turn one image's raw heads [A, 4] and [A, classes] into detections, as torchvision's SSD does.

    Softmax over classes (0: background), decoding against `anchors` [A, 4], suppression class by class.
    """
    scores = _softmax(logits.astype(np.float64))
    boxes = np.clip(decode(regressions, anchors), 0, size)
    kept_boxes, kept_labels, kept_scores = [], [], []
    for label in range(1, scores.shape[1]):
        candidates = np.flatnonzero(scores[:, label] > LEAST_SCORE)
        order = candidates[np.argsort(-scores[candidates, label], kind="stable")][:MOST_CANDIDATES]
        kept = order[suppress(boxes[order], OVERLAP)]
        kept_boxes.append(boxes[kept])
        kept_scores.append(scores[kept, label])
        kept_labels.append(np.full(len(kept), label, dtype=np.int64))
    found = np.concatenate(kept_scores)
    best = np.argsort(-found, kind="stable")[:MOST_DETECTIONS]
    return Detections(np.concatenate(kept_boxes)[best], np.concatenate(kept_labels)[best], found[best])


def decode(regressions: F32, anchors: F32) -> F64:
    """Turn regressions [A, 4] (weighted centre shifts and log sizes; arXiv:1504.08083) into boxes [A, 4]."""
    shifts = np.nan_to_num(regressions.astype(np.float64)) / np.array(CODER_WEIGHTS)
    sizes = (anchors[:, 2:] - anchors[:, :2]).astype(np.float64)
    centres = anchors[:, :2] + 0.5 * sizes + shifts[:, :2] * sizes
    halves = 0.5 * sizes * np.exp(np.minimum(shifts[:, 2:], _LARGEST_SCALE))
    return np.concatenate([centres - halves, centres + halves], axis=1)


def suppress(boxes: F64, overlap: float) -> I64:
    """Return the indices of boxes (best first) that overlap no better kept one by more than `overlap` (IoU)."""
    kept: list[int] = []
    alive = np.ones(len(boxes), dtype=np.bool_)
    for index in range(len(boxes)):
        if alive[index]:
            kept.append(index)
            alive &= iou(boxes[index : index + 1], boxes)[0] <= overlap
    return np.array(kept, dtype=np.int64)


def iou(first: npt.NDArray[np.floating], second: npt.NDArray[np.floating]) -> F64:
    """Return intersection over union of every pair of boxes: [n, 4] and [m, 4] to [n, m]; 0 for empty ones."""
    low = np.maximum(first[:, np.newaxis, :2], second[np.newaxis, :, :2])
    high = np.minimum(first[:, np.newaxis, 2:], second[np.newaxis, :, 2:])
    inside = np.clip(high - low, 0, None).prod(axis=2, dtype=np.float64)
    areas = [np.clip(boxes[:, 2:] - boxes[:, :2], 0, None).prod(axis=1, dtype=np.float64) for boxes in (first, second)]
    union = areas[0][:, np.newaxis] + areas[1][np.newaxis, :] - inside
    ratio: F64 = np.where(union > 0, inside / np.where(union > 0, union, 1.0), 0.0)
    return ratio


def mean_average_precision(
    found: Sequence[Detections],
    boxes: Sequence[npt.NDArray[np.floating]],
    labels: Sequence[I64],
    threshold: float = 0.5,
) -> float | None:
    """Return COCO's AP at one IoU threshold, averaged over the classes that occur in the truth; None when none does.

    COCO's definition (Lin et al. 2014, arXiv:1405.0312, and its reference evaluator): detections best first over all
    images, each takes the free true box of its class and image that it overlaps most, if by `threshold` at least;
    precision is made falling and read at the 101 recalls 0, 0.01, …, 1.
    """
    classes = np.unique(np.concatenate([np.asarray(label, dtype=np.int64) for label in labels])) if labels else ()
    scores = [_average_precision(found, boxes, labels, int(label), threshold) for label in classes]
    return float(np.mean(scores)) if scores else None


def _average_precision(
    found: Sequence[Detections],
    boxes: Sequence[npt.NDArray[np.floating]],
    labels: Sequence[I64],
    label: int,
    threshold: float,
) -> float:
    hits: list[npt.NDArray[np.bool_]] = []
    scores: list[F64] = []
    total = 0
    for detections, true_boxes, true_labels in zip(found, boxes, labels, strict=True):
        mine = detections.labels == label
        truth = true_boxes[true_labels == label]
        total += len(truth)
        hits.append(_matched(detections.boxes[mine], truth, threshold))
        scores.append(detections.scores[mine])
    order = np.argsort(-np.concatenate(scores), kind="stable")
    right = np.cumsum(np.concatenate(hits)[order])
    recall = right / total
    precision = right / np.arange(1, len(right) + 1)
    falling = np.maximum.accumulate(precision[::-1])[::-1]
    at = np.searchsorted(recall, np.linspace(0, 1, 101), side="left")
    return float(np.where(at < len(falling), np.append(falling, 0.0)[np.minimum(at, len(falling))], 0.0).mean())


def _matched(boxes: F64, truth: npt.NDArray[np.floating], threshold: float) -> npt.NDArray[np.bool_]:
    """Say of each detection in one image, best first, whether it takes a true box that none before it took."""
    overlaps = iou(boxes, truth)
    free = np.ones(len(truth), dtype=np.bool_)
    hits = np.zeros(len(boxes), dtype=np.bool_)
    for index, row in enumerate(overlaps):
        possible = np.where(free & (row >= min(threshold, 1 - 1e-10)), row, -1.0)
        if possible.size and possible.max() >= 0:
            # The last of equals, as COCO's evaluator.
            best = len(possible) - 1 - int(possible[::-1].argmax())
            free[best] = False
            hits[index] = True
    return hits


def _softmax(logits: F64) -> F64:
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    result: F64 = np.nan_to_num(shifted / shifted.sum(axis=1, keepdims=True))
    return result
