"""Single operators as models: the cells of the operators suite, in the runtimes whose kernels it compares."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgebench.errors import BackendError
from edgebench_suites.operators import OPERATORS, PRECISIONS, Operator

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from edgebench.backends.base import LoadedModel

RUNTIMES = ("torch", "openvino")

# One grid for every 8-bit tensor: activations 0 … 5.1 in unsigned 8 bits (zero point 0), weights ±0.127 in signed.
ACTIVATION_SCALE = 0.02
WEIGHT_SCALE = 0.001
OUTPUT_SCALE = 0.05
_SEED = 42


def make(name: str, backend: str, precision: str, threads: int) -> LoadedModel:
    """Return operator `name` ready to run in `backend` (torch or openvino) and `precision` (fp32 or int8).

    In int8 the tensors themselves are 8 bits wide, so that a pass quantises nothing except in `quantise`; what was
    really executed stands in `layers()`. Raises BackendError for unknown names.
    """
    if (operator := OPERATORS.get(name)) is None:
        raise BackendError(f"unknown operator {name!r}: choose from {', '.join(OPERATORS)}")
    if precision not in PRECISIONS:
        raise BackendError(f"operators run in {' and '.join(PRECISIONS)}, not {precision}: choose one of these")
    match backend:
        case "torch":
            from edgebench.backends.operators_torch import make_torch

            return make_torch(operator, precision, threads)
        case "openvino":
            from edgebench.backends.operators_openvino import make_openvino

            return make_openvino(operator, precision, threads)
    raise BackendError(f"operators run through {' and '.join(RUNTIMES)}, not {backend}: choose one of these")


def integer_weights(operator: Operator) -> npt.NDArray[np.int8]:
    """Return an operator's weights in signed 8 bits (times WEIGHT_SCALE: their value), the same for every runtime."""
    import numpy as np

    return np.random.default_rng(_SEED).integers(-127, 128, operator.weights or (0,), dtype=np.int8)
