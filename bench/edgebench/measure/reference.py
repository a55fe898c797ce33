"""Reference outputs on disk, read within bounds."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgebench.errors import BackendError
from edgebench_suites.data.load import preprocess

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Array = npt.NDArray[np.generic]


FILE = "reference.npz"


# 40 images at 1024 pixels would take 0.5 GB as floats; what tasks store is far below.
MAX_BYTES = 1 << 30


@dataclass(frozen=True, slots=True)
class Reference:
    """What to feed and what torch FP32 answers; `test` holds what a task's scoring needs besides."""

    feeds: Mapping[str, Array]
    outputs: tuple[Array, ...]
    test: Mapping[str, Array] = field(default_factory=dict)

    @property
    def samples(self) -> int:
        """How many inputs it holds."""
        return len(self.outputs[0])

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shapes it is fed in, ``*`` for an only input."""
        return {name if len(self.feeds) > 1 else "*": array.shape for name, array in self.feeds.items()}


def feeds_of(stored: Mapping[str, Any]) -> dict[str, Array]:
    """Return the arrays a runtime is fed: stored images are preprocessed as for accuracy."""
    if "images" in stored:
        return {"input": preprocess(stored["images"], int(stored["size"]))}
    return {name.removeprefix("input."): array for name, array in stored.items() if name.startswith("input.")}


def read_reference(path: Path) -> Reference:
    """Read a reference file; raises BackendError in one sentence when it is missing, damaged or too large."""
    import numpy as np

    again = "prepare the artifact again"
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > MAX_BYTES:
                raise BackendError(f"{path}: holds more than {MAX_BYTES >> 20} MiB: {again}")
        with np.load(path, allow_pickle=False) as archive:
            stored = {name: archive[name] for name in archive.files}
        outputs = tuple(stored[f"output.{index}"] for index in range(len(stored)) if f"output.{index}" in stored)
        test = {name.removeprefix("test."): array for name, array in stored.items() if name.startswith("test.")}
        found = Reference(feeds_of(stored), outputs, test)
        rows = {len(array) for array in (*found.feeds.values(), *outputs)}
    except OSError as error:
        raise BackendError(f"{path}: cannot be read ({error.strerror or 'it is damaged'}): {again}") from None
    except (ValueError, KeyError, EOFError, TypeError, zipfile.BadZipFile, zlib.error):
        raise BackendError(f"{path}: is not a reference of FP32 outputs: {again}") from None
    if not found.feeds or not outputs or len(rows) != 1:
        raise BackendError(f"{path}: is not a reference of FP32 outputs: {again}")
    return found
