"""Data sets as small uint8 arrays, and the study's preprocessing in plain NumPy (no torch in this module).

A measuring process that runs OpenVINO or ONNX Runtime evaluates accuracy without importing torch.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgebench_suites.data.cifar import read_cifar10
from edgebench_suites.data.dataset import DataChoice, Dataset, arrays_digest, limited_rows, stratified_subset
from edgebench_suites.data.digits import NOTE, read_digits, stratified_split
from edgebench_suites.data.images import holds_images, read_images
from edgebench_suites.data.saved import read_data
from edgebench_suites.errors import SuiteDataError

if TYPE_CHECKING:
    import numpy.typing as npt

    U8 = npt.NDArray[np.uint8]
    F32 = npt.NDArray[np.float32]
    I64 = npt.NDArray[np.int64]

# Of ImageNet's training images in [0, 1], as every torchvision weight expects them.
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
DIGITS_TEST_IMAGES = 360


def load_data(folder: Path | None, *, seed: int, choice: DataChoice | None = None) -> Dataset:
    """Load CIFAR-10 or a folder of images from `folder`, or without one the digits that ship.

    All ten digits have 1,437 images for training and 360 for testing. `seed` decides every split and choice;
    CIFAR-10 comes split. A `.npz` file in place of a folder is a data set that was saved before (see saved.py), chosen
    and split as it was. Raises SuiteDataError.
    """
    choice = choice or DataChoice()
    if folder is None:
        return _digits(seed, choice)
    if folder.suffix == ".npz":
        return read_data(folder)

    if holds_images(folder):
        return read_images(folder, seed=seed, tested=choice.test_images)

    train_images, train_labels, test_images, test_labels, note = read_cifar10(folder)
    data = _dataset("cifar10", 10, train_images, train_labels, test_images, test_labels, note)
    return _limited(data, choice.test_images, seed)


def _limited(data: Dataset, count: int, seed: int) -> Dataset:
    """Keep `count` of the test images, stratified; all where there are no more, or for a count of 0."""
    total = len(data.test_labels)
    if not 0 < count < total:
        return data
    kept = limited_rows(data.test_labels, count, seed)
    return _dataset(
        data.name,
        data.classes,
        data.train_images,
        data.train_labels,
        data.test_images[kept],
        data.test_labels[kept],
        f"{data.note}; {len(kept)} of {total} test images",
    )


def _digits(seed: int, choice: DataChoice) -> Dataset:
    images, labels = read_digits()
    taken = choice.digits or tuple(range(10))
    rows = np.flatnonzero(np.isin(labels, taken))
    tested = choice.test_images or round(len(rows) * DIGITS_TEST_IMAGES / len(labels))
    images, labels = images[rows], np.searchsorted(np.asarray(taken), labels[rows]).astype(np.int64)
    if tested > len(rows) // 2:
        raise SuiteDataError(f"{tested} test images are more than half of the {len(rows)} digits there are: ask fewer")
    train, test = stratified_split(labels, tested, seed)
    note = f"{NOTE}, only {', '.join(map(str, taken))}" if choice.digits else NOTE
    return _dataset(
        choice.name_of("digits"), len(taken), images[train], labels[train], images[test], labels[test], note
    )


def _dataset(
    name: str, classes: int, train_images: U8, train_labels: I64, test_images: U8, test_labels: I64, note: str
) -> Dataset:
    digest = arrays_digest(train_images, train_labels, test_images, test_labels)
    return Dataset(name, classes, train_images, train_labels, test_images, test_labels, digest, note)


@lru_cache(maxsize=64)
def _resize_matrix(source: int, target: int) -> F32:
    """Weights [target, source] of bilinear resizing with antialiasing, as in Pillow and torchvision's Resize.

    A triangle filter of the source pixels' width, or of the target's when that is larger (shrinking), normalised at
    the edges. For upscaling this is plain bilinear interpolation with half-pixel centres.
    """
    scale = source / target
    support = max(scale, 1.0)
    centres = (np.arange(target, dtype=np.float64)[:, np.newaxis] + 0.5) * scale
    pixels = np.arange(source, dtype=np.float64)[np.newaxis, :] + 0.5
    weights = np.clip(1.0 - np.abs(pixels - centres) / support, 0.0, None)
    matrix: F32 = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
    return matrix


def preprocess(images: U8, size: int) -> F32:
    """Turn uint8 [N, 1 or 3, H, W] into float32 [N, 3, size, size]: bilinear resizing, ImageNet mean and deviation.

    Grey images get three equal channels. The study resizes with torchvision (Pillow, which rounds to whole grey
    levels); here nothing is rounded, so values differ from it by at most half a grey level.
    """
    rows, columns = (_resize_matrix(length, size) for length in images.shape[2:])
    resized = rows @ (images.astype(np.float32) @ columns.T)
    mean = np.asarray(IMAGENET_MEAN, dtype=np.float32).reshape(1, 3, 1, 1)
    std = np.asarray(IMAGENET_STD, dtype=np.float32).reshape(1, 3, 1, 1)
    result: F32 = np.ascontiguousarray((resized / np.float32(255.0) - mean) / std, dtype=np.float32)
    return result


def calibration_batches(dataset: Dataset, *, size: int, count: int, seed: int, batch: int = 1) -> list[F32]:
    """Return about `count` preprocessed training images (stratified, seeded) as batches [batch, 3, size, size].

    For static quantisation: a sample of the training set, never of the test set.
    """
    total = len(dataset.train_labels)
    chosen = stratified_subset(dataset.train_labels, min(1.0, count / total), seed)
    chosen = np.random.default_rng(seed).permutation(chosen)
    return [preprocess(dataset.train_images[chosen[at : at + batch]], size) for at in range(0, len(chosen), batch)]
