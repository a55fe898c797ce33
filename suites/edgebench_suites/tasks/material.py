"""The data of the tasks beyond classification, each at one size: scenes for boxes and masks, text for language."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from edgebench_suites.data import text as book
from edgebench_suites.data.load import preprocess
from edgebench_suites.errors import SuiteDataError
from edgebench_suites.tasks import scenes
from edgebench_suites.tasks.training import detection_loss, fit, language_loss, segmentation_loss

if TYPE_CHECKING:
    import numpy.typing as npt
    from torch import nn

    from edgebench_suites.tasks.base import Material
    from edgebench_suites.tasks.scenes import Scenes
    from edgebench_suites.training import Training

    F32 = npt.NDArray[np.float32]
    I64 = npt.NDArray[np.int64]

TRAIN_SCENES = 256
TEST_SCENES = 40
# Whole outputs of dense tasks are large; this many images of them are kept in a reference.
REFERENCE_SCENES = 8
TEST_WINDOWS = 32
_TEST_SEED_OFFSET = 1_000_003


@dataclass(frozen=True)
class SceneData:
    """Generated scenes of `size` pixels: `TRAIN_SCENES` to train on and, of another seed, `TEST_SCENES` to test."""

    task: str
    size: int
    seed: int
    name: str = "scenes"
    classes: int = len(scenes.SHAPES)

    @cached_property
    def training(self) -> Scenes:
        """The training scenes."""
        return scenes.make_scenes(TRAIN_SCENES, self.size, self.seed)

    @cached_property
    def testing(self) -> Scenes:
        """The test scenes."""
        return test_scenes(self.size, self.seed)

    @property
    def digest(self) -> str:
        """Over both sets."""
        return hashlib.sha256((self.training.digest + self.testing.digest).encode()).hexdigest()

    def reference_inputs(self, module: nn.Module) -> dict[str, Any]:
        """Return the first test scenes; for detection also the anchors that the heads refer to."""
        stored: dict[str, Any] = {"images": self.testing.images[:REFERENCE_SCENES], "size": self.size}
        if self.task == "detection":
            detector: Any = module
            stored["test.anchors"] = np.repeat(detector.anchors(self.size).numpy()[np.newaxis], REFERENCE_SCENES, 0)
        return stored

    def calibration(self, count: int) -> list[F32]:
        """Return the first training scenes, one a batch."""
        return [preprocess(image[np.newaxis], self.size) for image in self.training.images[:count]]

    def train(self, module: nn.Module, training: Training) -> nn.Module:
        """Train on the first `subset` of the training scenes."""
        loss = (detection_loss if self.task == "detection" else segmentation_loss)(module, self.training, self.size)
        return fit(module, loss, max(2, round(training.subset * TRAIN_SCENES)), training)


def test_scenes(size: int, seed: int) -> Scenes:
    """Return the test scenes of a seed: a board makes them again, from nothing but NumPy."""
    return scenes.make_scenes(TEST_SCENES, size, seed + _TEST_SEED_OFFSET)


@dataclass(frozen=True)
class TextData:
    """English text that ships with Python, as bytes: the first nine tenths for training, the rest for testing.

    `size` is the context: bytes a window. `decode`: the reference is of one step after `size` bytes, not of prefill.
    """

    size: int
    seed: int
    decode: bool
    name: str = "python-topics"
    classes: int = book.BYTES

    @cached_property
    def text(self) -> I64:
        """All of the text as bytes (int64): the language reference's topics, sorted by name."""
        try:
            from pydoc_data.topics import topics
        except ImportError:
            raise SuiteDataError(
                "the language model's text is Python's own help topics, which this Python lacks: "
                "install its standard library whole (pydoc_data)"
            ) from None
        joined = "\n".join(topics[name] for name in sorted(topics))
        return np.frombuffer(joined.encode("utf-8"), dtype=np.uint8).astype(np.int64)

    @property
    def training(self) -> I64:
        """The first nine tenths."""
        return self.text[: len(self.text) * 9 // 10]

    @property
    def testing(self) -> I64:
        """The last tenth."""
        return self.text[len(self.text) * 9 // 10 :]

    @property
    def digest(self) -> str:
        """Over the text: Python's versions differ in it."""
        return hashlib.sha256(self.text.astype(np.uint8).tobytes()).hexdigest()

    def windows(self) -> I64:
        """Return the test windows [TEST_WINDOWS, size + 1], evenly spread over the test text."""
        begins = np.linspace(0, len(self.testing) - self.size - 1, TEST_WINDOWS).astype(np.int64)
        found: I64 = self.testing[begins[:, np.newaxis] + np.arange(self.size + 1)]
        return found

    def reference_inputs(self, module: nn.Module) -> dict[str, Any]:
        """Return the test windows; for a decoding step their last byte, and the cache of those before it from torch."""
        import torch

        windows = self.windows()
        stored: dict[str, Any] = {"input.tokens": windows[:, :-1], "test.next": windows[:, 1:]}
        if self.decode:
            _, cache = module(torch.from_numpy(windows[:, :-1]))
            stored = {"input.tokens": windows[:, -1:], "input.past": cache.numpy()}
        return {**stored, "test.digest": np.repeat(f"sha256:{self.digest}", TEST_WINDOWS)}

    def calibration(self, count: int) -> list[F32]:
        """Refuse: static quantisation would need caches of real text."""
        del count
        raise SuiteDataError("a language model is quantised by its weights: choose the variant weights-int8")

    def train(self, module: nn.Module, training: Training) -> nn.Module:
        """Train on windows at random places; an epoch is as many as cover the `subset` of the text once."""
        loss = language_loss(module, self.training, self.size, np.random.default_rng(self.seed))
        return fit(module, loss, max(2, int(training.subset * len(self.training)) // self.size), training)


@dataclass(frozen=True)
class BookData:
    """The book that ships, as bytes, but for its last tenth; `size` is the context: bytes a window."""

    size: int
    seed: int
    name: str = book.NAME
    classes: int = book.BYTES

    @property
    def digest(self) -> str:
        """Over the whole book."""
        return book.text_digest(book.whole_text())

    def reference_inputs(self, module: nn.Module) -> dict[str, Any]:
        """Refuse: what a generating model is compared with is its answers to a text (artifacts/links/reading.py)."""
        del module
        raise SuiteDataError("a generating model has no reference of whole outputs")

    def calibration(self, count: int) -> list[F32]:
        """Refuse: static quantisation would need caches of real text."""
        del count
        raise SuiteDataError("a language model is quantised by its weights: choose weights-int8 or a GGUF format")

    def train(self, module: nn.Module, training: Training) -> nn.Module:
        """Train on windows at random places; an epoch is as many as cover the `subset` of the text once."""
        text = np.frombuffer(book.training_text(), dtype=np.uint8).astype(np.int64)
        loss = language_loss(module, text, self.size, np.random.default_rng(self.seed))
        return fit(module, loss, max(2, int(training.subset * len(text)) // self.size), training)


def material_of(task: str, size: int, seed: int) -> Material:
    """Return the data of a task beyond classification."""
    if task == "generation":
        return BookData(size, seed)
    if task.startswith("language"):
        return TextData(size, seed, decode=task == "language-step")
    return SceneData(task, size, seed)
