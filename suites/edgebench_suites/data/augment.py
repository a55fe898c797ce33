"""Augmentation of training images: rotation, shift, zoom and horizontal flip, drawn from one generator."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

KINDS = ("rotate", "shift", "zoom", "flip")
# The study names the four kinds, not their strength: these are ours.
MAX_DEGREES = 15.0
MAX_SHIFT = 0.1  # of the side
MAX_ZOOM = 0.1


def augmented(images: Tensor, kinds: Collection[str], rng: np.random.Generator) -> Tensor:
    """Return `images` [N, C, H, W], each under its own random transform of `kinds` (of KINDS), edges repeated."""
    if not kinds:
        return images
    import torch
    from torch.nn import functional

    theta = torch.from_numpy(_matrices(len(images), kinds, rng))
    grid = functional.affine_grid(theta, list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)


def _matrices(
    count: int, kinds: Collection[str], rng: np.random.Generator
) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """One affine matrix [2, 3] an image, in the coordinates -1 to 1 that grid_sample reads from."""

    def draw(kind: str, most: float) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
        return rng.uniform(-most, most, count) if kind in kinds else np.zeros(count)

    angle = np.deg2rad(draw("rotate", MAX_DEGREES))
    scale = 1 + draw("zoom", MAX_ZOOM)
    mirror = np.where(rng.random(count) < 0.5, -1.0, 1.0) if "flip" in kinds else np.ones(count)
    across, down = draw("shift", 2 * MAX_SHIFT), draw("shift", 2 * MAX_SHIFT)
    rows = [
        [scale * np.cos(angle) * mirror, -scale * np.sin(angle), across],
        [scale * np.sin(angle) * mirror, scale * np.cos(angle), down],
    ]
    return np.stack([np.stack(row, axis=1) for row in rows], axis=1).astype(np.float32)
