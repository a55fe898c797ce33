"""A model's inputs: what the file declares, what a run fixes, and arrays that fit."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from edgebench.backends.base import TensorSpec
from edgebench.backends.uses import Use
from edgebench.errors import BackendError

if TYPE_CHECKING:
    from edgebench.backends.base import Array

ONLY_INPUT = "*"
# One input tensor larger than this is a mistake (or an attack) rather than an edge workload.
MAX_INPUT_BYTES = 4 << 30
MAX_RANK = 16


class ModelInput(NamedTuple):
    """One input as the file declares it: None stands for a free dimension; `dtype` is a NumPy dtype name.

    `use` is what the graph does with it, as far as the file was asked for that.
    """

    name: str
    shape: tuple[int | None, ...]
    dtype: str
    use: Use = Use()


def fix_shapes(
    declared: Sequence[ModelInput], shapes: Mapping[str, tuple[int, ...]], path: Path, *, may_change: bool = False
) -> list[TensorSpec]:
    """Return the inputs with every dimension fixed by `shapes` (``*``: the only input).

    `may_change` allows a shape to replace dimensions that the file fixes (OpenVINO can reshape them).
    """
    if not declared:
        raise BackendError(f"model {path} has no input: edgebench measures models that take at least one tensor")
    given = dict(shapes)
    if ONLY_INPUT in given and len(declared) == 1:
        given.setdefault(declared[0].name, given.pop(ONLY_INPUT))
        given.pop(ONLY_INPUT, None)
    names = ", ".join(repr(item.name) for item in declared)
    for name in given:
        if name not in {item.name for item in declared}:
            raise BackendError(f"model {path} has no input {name!r}: its inputs are {names}")
    return [_fixed(item, given.get(item.name), path, may_change=may_change) for item in declared]


def _fixed(item: ModelInput, asked: tuple[int, ...] | None, path: Path, *, may_change: bool) -> TensorSpec:
    text = shape_text(item.shape)
    if len(item.shape) > MAX_RANK:
        raise BackendError(
            f"input {item.name!r} of {path} has {len(item.shape)} dimensions: at most {MAX_RANK} are run"
        )
    if asked is None:
        if any(size is None for size in item.shape):
            raise BackendError(f"input {item.name!r} of {path} has free dimensions {text}: give its shape")
        shape = tuple(size for size in item.shape if size is not None)
    else:
        if len(asked) != len(item.shape):
            raise BackendError(f"input {item.name!r} of {path} is {text}, not {shape_text(asked)}: give as many sizes")
        clash = any(have is not None and have != want for have, want in zip(item.shape, asked, strict=True))
        if clash and not may_change:
            raise BackendError(
                f"input {item.name!r} of {path} is fixed to {text} and cannot be {shape_text(asked)}: "
                "export the model with free dimensions, or measure it at its own shape"
            )
        shape = tuple(asked)
    if any(size < 1 for size in shape):
        raise BackendError(f"input {item.name!r} of {path} has an empty shape {shape_text(shape)}: give positive sizes")
    spec = TensorSpec(item.name, shape, item.dtype)
    if bytes_of(spec) > MAX_INPUT_BYTES:
        raise BackendError(
            f"input {item.name!r} of {path} would take {bytes_of(spec) / 2**30:.3g} GiB at {shape_text(shape)}: "
            f"give a smaller shape (at most {MAX_INPUT_BYTES >> 30} GiB)"
        )
    return spec


def bytes_of(spec: TensorSpec) -> int:
    """Return the bytes of a tensor."""
    import numpy as np

    return math.prod(spec.shape) * np.dtype(spec.dtype).itemsize


def fit_feeds(inputs: Sequence[TensorSpec], feeds: Mapping[str, Array]) -> list[Array]:
    """Return one contiguous array an input, in the model's order; raises BackendError where shape or kind differ."""
    import numpy as np

    fitted = []
    for spec in inputs:
        array = feeds.get(spec.name)
        if array is None and len(inputs) == 1:
            array = feeds.get(ONLY_INPUT)
        if array is None:
            raise BackendError(f"no data for input {spec.name!r}: feed {', '.join(item.name for item in inputs)}")
        if array.shape != spec.shape:
            raise BackendError(
                f"input {spec.name!r} takes {shape_text(spec.shape)}, got {shape_text(array.shape)}: "
                "load the model at the shape of the data"
            )
        if not np.can_cast(array.dtype, spec.dtype, casting="same_kind"):
            raise BackendError(f"input {spec.name!r} takes {spec.dtype}, got {array.dtype}: convert the data first")
        fitted.append(np.asarray(array, dtype=spec.dtype, order="C"))  # keeps a scalar without a dimension
    return fitted


def shape_text(shape: Sequence[int | None]) -> str:
    """Return a shape as people write it: ``[?, 3, 224, 224]``."""
    return f"[{', '.join('?' if size is None else str(size) for size in shape)}]"
