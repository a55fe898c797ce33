"""The scales of the operators' integer grid, and weights that lie on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgebench_suites.operators import Operator

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


# One grid for every 8-bit tensor: activations 0 … 5.1 in unsigned 8 bits (zero point 0), weights ±0.127 in signed.
ACTIVATION_SCALE = 0.02


WEIGHT_SCALE = 0.001


OUTPUT_SCALE = 0.05


# The scalar of STREAM's triad, a = b + 3 c.
TRIAD_FACTOR = 3.0


_SEED = 42


def integer_weights(operator: Operator) -> npt.NDArray[np.int8]:
    """Return an operator's weights in signed 8 bits (times WEIGHT_SCALE: their value), the same for every runtime."""
    import numpy as np

    return np.random.default_rng(_SEED).integers(-127, 128, operator.weights or (0,), dtype=np.int8)
