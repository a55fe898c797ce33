"""What a model is fed when nobody gives it data: the same for the same seed, in every process."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from edgebench.backends.base import TensorSpec

    Array = npt.NDArray[np.generic]


def random_feeds(inputs: Sequence[TensorSpec], seed: int) -> dict[str, Array]:
    """Standard normal inputs (as normalised images are), or zeros-and-ones for integers."""
    import numpy as np

    generator = np.random.default_rng(seed)
    feeds: dict[str, Array] = {}
    for spec in inputs:
        if np.issubdtype(np.dtype(spec.dtype), np.integer) or spec.dtype == "bool":
            feeds[spec.name] = generator.integers(0, 2, size=spec.shape).astype(spec.dtype)
        else:
            feeds[spec.name] = generator.standard_normal(size=spec.shape, dtype=np.float32).astype(spec.dtype)
    return feeds
