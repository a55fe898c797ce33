"""Single operators as models: the cells of the operators suite, in the runtimes whose kernels it compares."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgebench.backends.operators.openvino import make_openvino
from edgebench.backends.operators.torch import make_torch
from edgebench.errors import BackendError
from edgebench_suites.operators import OPERATORS, PRECISIONS

if TYPE_CHECKING:
    from edgebench.backends.base import LoadedModel

RUNTIMES = ("torch", "openvino")


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
            return make_torch(operator, precision, threads)
        case "openvino":
            return make_openvino(operator, precision, threads)
    raise BackendError(f"operators run through {' and '.join(RUNTIMES)}, not {backend}: choose one of these")
