"""What a task decides: what a model takes and gives, and which steps can compress it. No torch in this module."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from torch import nn

    from edgebench_suites.training import Training

    F32 = npt.NDArray[np.float32]
    Array = npt.NDArray[np.generic]

# Accuracy needs no batch of one. This divides the test sets of both data sets of images (360 and 10,000), and is the
# number of images of a classifier's FP32 reference, so that checking it compiles nothing more.
REFERENCE_IMAGES = 40


@dataclass(frozen=True, slots=True)
class InputInfo:
    """One input at a size: `free` names the axes that an exported file leaves open."""

    name: str
    shape: tuple[int, ...]
    dtype: str = "float32"
    free: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Task:
    """One task. `inputs(batch, size, width)` are a model's inputs; `size` is pixels, or tokens of a language model.

    `outputs` are the names that exported files give; the arg-max of output `classes_in` over `axis` is the answer that
    is compared with FP32. `compared` are the outputs whose cosine counts. `refuses` are the steps it has no recipe for.
    """

    name: str
    inputs: Callable[[int, int, float], tuple[InputInfo, ...]]
    outputs: tuple[str, ...] = ("output",)
    compared: tuple[int, ...] = (0,)
    classes_in: int = 0
    axis: int = 1
    refuses: frozenset[str] = frozenset()

    def shapes(self, batch: int, size: int, width: float = 1.0) -> dict[str, tuple[int, ...]]:
        """Return the inputs' shapes by name, ``*`` for an only one: runtimes may call it as they like."""
        inputs = self.inputs(batch, size, width)
        return {item.name if len(inputs) > 1 else "*": item.shape for item in inputs}


class Material(Protocol):
    """The data of a task at one size: what a model is trained on, calibrated with and scored with."""

    @property
    def name(self) -> str:
        """The data's name in the report."""

    @property
    def classes(self) -> int:
        """How many classes (or bytes) a model tells apart."""

    @property
    def digest(self) -> str:
        """SHA-256 over everything generated or read."""

    def reference_inputs(self, module: nn.Module) -> dict[str, Any]:
        """Return what a reference file stores: inputs of the first test samples, and `test.NAME` for scoring."""

    def calibration(self, count: int) -> list[F32]:
        """Return about `count` training inputs, one a batch."""

    def train(self, module: nn.Module, training: Training) -> nn.Module:
        """Train in place, at the size of this data, and return the model in evaluation mode."""
