"""Samples that quantisers calibrate on: an array for a model's only input, or an array for each by its name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from edgebench.errors import CompressionError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

Sample: TypeAlias = "npt.NDArray[np.float32] | Mapping[str, npt.NDArray[np.generic]]"


def in_order(sample: Sample, names: Sequence[str]) -> list[Any]:
    """Return a sample's arrays in the order of a model's inputs, which may be called otherwise there."""
    if not isinstance(sample, Mapping):
        return [sample]
    if set(names) == set(sample):
        return [sample[name] for name in names]
    if len(sample) != len(names):
        raise CompressionError(f"calibration knows {len(sample)} inputs, and the model has {len(names)}")
    return list(sample.values())
