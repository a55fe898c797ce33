"""Generated scenes: shapes on a noisy background with true boxes and masks, from a seed and nothing else.

There is no labelled data for detection or segmentation that may ship; these scenes are the same on every machine.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    U8 = npt.NDArray[np.uint8]
    F32 = npt.NDArray[np.float32]
    I64 = npt.NDArray[np.int64]

# Class 0 is the background.
SHAPES = ("background", "disc", "square", "triangle")
MOST_OBJECTS = 4
NOTE = "generated scenes: up to four discs, squares and triangles on a noisy background"


@dataclass(frozen=True, slots=True)
class Scenes:
    """Images uint8 [N, 3, S, S]; masks uint8 [N, S, S] of classes; each image's boxes float32 [n, 4] and labels [n].

    A box is x0, y0, x1, y1 in pixels, its right and lower edges excluded.
    """

    images: U8
    masks: U8
    boxes: tuple[F32, ...]
    labels: tuple[I64, ...]

    @property
    def digest(self) -> str:
        """SHA-256 over images and masks; the boxes follow from them."""
        total = hashlib.sha256()
        for array in (self.images, self.masks):
            total.update(f"{array.dtype.str}{array.shape}".encode())
            total.update(array.tobytes())
        return total.hexdigest()


def make_scenes(count: int, size: int, seed: int) -> Scenes:
    """Return `count` scenes of `size` x `size` pixels; equal arguments give equal scenes, and more begin the same."""
    images = np.empty((count, 3, size, size), dtype=np.uint8)
    masks = np.zeros((count, size, size), dtype=np.uint8)
    boxes, labels = [], []
    for index in range(count):
        found, classes = _scene(images[index], masks[index], np.random.default_rng([seed, size, index]))
        boxes.append(found)
        labels.append(classes)
    return Scenes(images, masks, tuple(boxes), tuple(labels))


def _scene(image: U8, mask: U8, rng: np.random.Generator) -> tuple[F32, I64]:
    """Draw one scene in place; objects never touch, so that every pixel of one is seen."""
    size = image.shape[-1]
    ramp = np.linspace(-1.0, 1.0, size)
    base = rng.uniform(60, 190, size=3)[:, np.newaxis, np.newaxis]
    slope = rng.uniform(-40, 40, size=(2, 3))[:, :, np.newaxis, np.newaxis]
    canvas = base + slope[0] * ramp[np.newaxis, :, np.newaxis] + slope[1] * ramp[np.newaxis, np.newaxis, :]
    canvas = canvas + rng.normal(0, 12, size=image.shape)
    boxes: list[tuple[int, int, int, int]] = []
    labels: list[int] = []
    for _ in range(int(rng.integers(1, MOST_OBJECTS + 1))):
        label = int(rng.integers(1, len(SHAPES)))
        side = int(rng.integers(size // 5, size // 2 - size // 16))
        colour = canvas.mean(axis=(1, 2)) + rng.choice([-1, 1], size=3) * rng.uniform(50, 110, size=3)
        for _ in range(20):
            left, top = (int(value) for value in rng.integers(0, size - side, size=2))
            box = (left, top, left + side, top + side)
            if all(_apart(box, other) for other in boxes):
                break
        else:
            continue
        shape = _shape(label, side)
        area = canvas[:, top : top + side, left : left + side]
        noise = rng.normal(0, 12, size=area.shape)
        area[:, shape] = (colour[:, np.newaxis, np.newaxis] + noise)[:, shape]
        mask[top : top + side, left : left + side][shape] = label
        boxes.append(box)
        labels.append(label)
    np.clip(np.rint(canvas), 0, 255, out=canvas)
    image[...] = canvas.astype(np.uint8)
    return np.array(boxes, dtype=np.float32), np.array(labels, dtype=np.int64)


def _shape(label: int, side: int) -> npt.NDArray[np.bool_]:
    """The pixels of a shape in its box [side, side]; each touches all four edges of it."""
    middle = (np.arange(side) + 0.5) / side
    y, x = middle[:, np.newaxis], middle[np.newaxis, :]
    if label == SHAPES.index("disc"):
        return (x - 0.5) ** 2 + (y - 0.5) ** 2 <= 0.25
    if label == SHAPES.index("square"):
        return np.ones((side, side), dtype=np.bool_)
    return np.abs(x - 0.5) <= (y + 0.5 / side) / 2


def _apart(first: tuple[int, int, int, int], second: tuple[int, int, int, int]) -> bool:
    return first[2] <= second[0] or second[2] <= first[0] or first[3] <= second[1] or second[3] <= first[1]
