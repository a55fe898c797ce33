"""What every inference runtime offers the worker: load an artifact, run it fast, say what it really executed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Array = npt.NDArray[np.generic]


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """One model input: its name, shape (all dimensions fixed) and NumPy dtype name, e.g. ``float32``."""

    name: str
    shape: tuple[int, ...]
    dtype: str


@dataclass(frozen=True, slots=True)
class LoadSpec:
    """How to load an artifact.

    `path` is the file the runtime opens (or, for torch checkpoints, the artifact's folder). `shapes` fixes dynamic
    dimensions by input name; the name ``*`` stands for a model's only input. `threads` is at least 1.
    `precision` is the precision asked for: ``fp32``, ``bf16``, ``fp16`` or ``int8``. `sequences` is how many texts a
    language model is led through at once.
    """

    path: Path
    format: str
    threads: int
    precision: str
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    sequences: int = 1


@dataclass(frozen=True, slots=True)
class Layer:
    """One executed node: what the runtime says it ran, not what was asked for."""

    name: str
    type: str
    precision: str
    kernel: str = ""


class LoadedModel(Protocol):
    """A model ready to run."""

    @property
    def inputs(self) -> Sequence[TensorSpec]:
        """The inputs a run feeds, shapes fixed, in the model's order."""

    @property
    def load_s(self) -> float | None:
        """Seconds spent reading the artifact; None of what was made in memory."""

    @property
    def compile_s(self) -> float | None:
        """Seconds spent making it executable; None where nothing is, or `load_s` has them (`BackendRow.uncompiled`)."""

    def bind(self, feeds: Mapping[str, Array]) -> Callable[[], object]:
        """Return the runtime's fastest synchronous pass over preset inputs (no copy, no dictionary in the pass)."""

    def run(self, feeds: Mapping[str, Array]) -> list[Array]:
        """Run once and return every output as a NumPy array, in the model's order."""

    def layers(self) -> list[Layer]:
        """Return the executed layers with their executed precision; empty where the runtime does not tell."""

    def effective(self) -> dict[str, Any]:
        """Return the settings the runtime really uses (threads, precision hint, device, ISA), JSON-ready."""


class Backend(Protocol):
    """One runtime."""

    @property
    def name(self) -> str:
        """The backend's name in suites and reports."""

    def unavailable(self) -> str | None:
        """Say why this runtime cannot be used here and how to get it, or None; imports nothing heavy."""

    def versions(self) -> dict[str, str]:
        """Return {distribution: version} of the runtime's packages."""

    def load(self, spec: LoadSpec) -> LoadedModel:
        """Open and compile an artifact; raises BackendError with one sentence when the runtime refuses."""
