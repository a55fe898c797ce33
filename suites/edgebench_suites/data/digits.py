"""The images that ship: handwritten digits, 8 x 8 pixels of 0 to 16.

`digits.npz` is the test set (`optdigits.tes`, 1,797 images of 13 people) of: E. Alpaydin and C. Kaynak (1998), Optical
Recognition of Handwritten Digits, UCI Machine Learning Repository, https://doi.org/10.24432/C50P49, under the licence
Creative Commons Attribution 4.0 International (https://creativecommons.org/licenses/by/4.0/). Changed in its form only:
arrays in the place of text. scikit-learn bundles the same images.
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    U8 = npt.NDArray[np.uint8]
    I64 = npt.NDArray[np.int64]

NOTE = "handwritten digits that ship (UCI Optical Recognition of Handwritten Digits, CC BY 4.0, 8 x 8 grey)"


def read_digits() -> tuple[U8, I64]:
    """Return the images as uint8 [1797, 1, 8, 8] of 0 to 255, and their labels."""
    with np.load(Path(str(resources.files("edgebench_suites")), "data", "digits.npz"), allow_pickle=False) as stored:
        # Counts of set pixels of 16; 0 to 255 is what every image reader gives.
        images: U8 = np.rint(stored["counts"] * (255.0 / 16.0)).astype(np.uint8)[:, np.newaxis]
        return images, stored["labels"].astype(np.int64)


def stratified_split(labels: I64, tested: int, seed: int) -> tuple[I64, I64]:
    """Return which rows train and which `tested` ones test, of every class its share, both in random order.

    The draws are those of scikit-learn's `train_test_split(stratify=labels, random_state=seed)`, so that a seed stands
    for the same split as in reports made with it.
    """
    rng = np.random.RandomState(seed)  # whose draws these are
    classes, counts = np.unique(labels, return_counts=True)
    trained = _shares(counts, len(labels) - tested, rng)
    left = _shares(counts - trained, tested, rng)
    train: list[int] = []
    test: list[int] = []
    for label, count, first, second in zip(classes, counts, trained, left, strict=True):
        rows = np.flatnonzero(labels == label)[rng.permutation(count)]
        train += rows[:first].tolist()
        test += rows[first : first + second].tolist()
    return rng.permutation(train), rng.permutation(test)


def _shares(counts: I64, drawn: int, rng: np.random.RandomState) -> I64:
    """Return how many of `drawn` each class gives: whole parts, then one more by the largest rest, ties by lot."""
    exact = counts / counts.sum() * drawn
    shares = np.floor(exact)
    rests = exact - shares
    missing = int(drawn - shares.sum())
    for rest in np.unique(rests)[::-1]:
        if missing <= 0:
            break
        alike = np.flatnonzero(rests == rest)
        chosen = rng.choice(alike, size=min(len(alike), missing), replace=False)
        shares[chosen] += 1
        missing -= len(chosen)
    counted: I64 = shares.astype(np.int64)
    return counted
