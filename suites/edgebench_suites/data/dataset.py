"""A data set in memory: its arrays, choice, digest and subsets."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    I64 = npt.NDArray[np.int64]
    U8 = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Dataset:
    """Images uint8 [N, channels (1 or 3), height, width] as stored, not upscaled; labels int64 [N] below `classes`.

    `digest` is the SHA-256 over arrays and labels; `note` says in words where the images came from.
    """

    name: str
    classes: int
    train_images: U8
    train_labels: I64
    test_images: U8
    test_labels: I64
    digest: str
    note: str


@dataclass(frozen=True, slots=True)
class DataChoice:
    """What a suite takes of a data set: some `digits` of the embedded ten (none: all), and how many `test_images`.

    0 test images stands for all of them.
    """

    digits: tuple[int, ...] = ()
    test_images: int = 0

    def name_of(self, dataset: str) -> str:
        """Return the data set's name with what is taken of it, e.g. ``digits-3-8``."""
        return "-".join([dataset, *map(str, self.digits)]) if dataset == "digits" else dataset


def limited_rows(labels: I64, count: int, seed: int) -> I64:
    """Return the sorted indices of `count` images, as many of each class as their share."""
    share = min(1.0, (count + len(np.unique(labels))) / len(labels))
    return np.sort(np.random.default_rng(seed).permutation(stratified_subset(labels, share, seed))[:count])


def arrays_digest(*arrays: npt.NDArray[np.generic]) -> str:
    """SHA-256 over types, shapes and contents: what makes two data sets the same."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def stratified_subset(labels: I64, fraction: float, seed: int) -> I64:
    """Return sorted indices of a seeded random subset with the share `fraction` of every class (at least one each).

    Raises ValueError unless 0 < fraction <= 1.
    """
    if not 0 < fraction <= 1:
        raise ValueError("fraction must be above 0 and at most 1")
    rng = np.random.default_rng(seed)
    chosen = []
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        count = max(1, round(fraction * len(members)))
        chosen.append(rng.permutation(members)[:count])
    return np.sort(np.concatenate(chosen)).astype(np.int64)
