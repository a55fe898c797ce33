"""Single operators as models: the cells of the operators suite, in the runtimes whose kernels it compares."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgebench.backends.fitness import Asked, why_not
from edgebench.backends.registry import resolve, row_of
from edgebench.errors import BackendError, unknown
from edgebench_suites.operators import OPERATORS

if TYPE_CHECKING:
    from edgebench.backends.base import LoadedModel


def make(name: str, backend: str, precision: str, threads: int) -> LoadedModel:
    """Return operator `name` ready to run in a backend that has operators and in `precision` (fp32 or int8).

    In int8 the tensors themselves are 8 bits wide, so that a pass quantises nothing except in `quantise`; what was
    really executed stands in `layers()`. Raises BackendError for unknown names.
    """
    if (operator := OPERATORS.get(name)) is None:
        raise BackendError(unknown("operator", name, OPERATORS))
    if reason := why_not(backend, Asked(precision, operator=name)):
        raise BackendError(reason)
    model: LoadedModel = resolve(row_of(backend).operators)(operator, precision, threads)
    return model
