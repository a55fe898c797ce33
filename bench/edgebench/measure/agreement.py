"""Agreement with torch FP32: the same weights on the same inputs, in numbers, and what each precision must reach.

No labelled data is needed, so quality is known wherever a reference file is. No torch here: boards check as well.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgebench.errors import BackendError
from edgebench.measure.results import Agreement

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from edgebench.backends.base import LoadedModel
    from edgebench.measure.reference import Reference
    from edgebench_suites.tasks.base import Task

    Array = npt.NDArray[np.generic]


@dataclass(frozen=True, slots=True)
class Tolerance:
    """The least mean cosine and the least share of equal arg-max that a precision must reach."""

    cosine: float
    top1: float


# By the last step's name where it stands here, else by precision: INT8 weights alone keep more than INT8 arithmetic.
# The same table stands in docs/tasks.md.
TOLERANCES: Mapping[str, Tolerance] = {
    "fp32": Tolerance(0.9999, 0.99),
    "fp16": Tolerance(0.999, 0.95),
    "bf16": Tolerance(0.99, 0.90),
    "weights-int8": Tolerance(0.995, 0.95),
    "int8": Tolerance(0.95, 0.85),
    # Trained on: its weights moved away from the FP32 model that it is compared with.
    "qat": Tolerance(0.90, 0.85),
}


def compare(
    found: Sequence[Array], expected: Sequence[Array], *, axis: int, classes_in: int, ties: float = 0.0
) -> Agreement:
    """Compare outputs with those of torch FP32; both [samples, …] in the same order and shapes.

    The cosine is of each sample's whole output, averaged over samples and outputs. The arg-max is taken over `axis` of
    output `classes_in`: of a class for each image, pixel, anchor or token. Equal as well are two that the
    expected answers hold for as likely, but for the share `ties` of their range. Raises ValueError where shapes differ.
    """
    import numpy as np

    shapes = [array.shape for array in found], [array.shape for array in expected]
    if shapes[0] != shapes[1]:
        raise ValueError(f"outputs of shapes {shapes[0]} where torch gives {shapes[1]}")
    cosines = [cosine(first, second) for first, second in zip(found, expected, strict=True)]
    finite = all(bool(np.isfinite(array).all()) for array in found)
    first, second = found[classes_in], expected[classes_in]
    chosen, best = np.argmax(first, axis=axis), np.argmax(second, axis=axis)
    equal = chosen == best
    if ties:
        values = second.astype(np.float64)
        taken = np.take_along_axis(values, np.expand_dims(chosen, axis), axis).squeeze(axis)
        equal |= values.max(axis=axis) - taken <= ties * (values.max(axis=axis) - values.min(axis=axis))
    # What is not a number has no largest: such an answer agrees with nothing.
    equal &= np.isfinite(first).all(axis=axis)
    return Agreement(float(np.mean(cosines)) if finite else None, float(equal.mean()), int(equal.size))


def cosine(first: Array, second: Array) -> float:
    """Mean over samples of the cosine between flattened rows: 1 for the same direction; two rows of zeros agree."""
    import numpy as np

    rows = [np.asarray(array, dtype=np.float64).reshape(len(array), -1) for array in (first, second)]
    # Scaled first: the squares of large outputs would leave the range of a double.
    peaks = [np.abs(row).max(axis=1, initial=0.0) for row in rows]
    left, right = (row / np.where(peak > 0, peak, 1.0)[:, np.newaxis] for row, peak in zip(rows, peaks, strict=True))
    norms = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
    products = (left * right).sum(axis=1)
    both_zero = (peaks[0] == 0) & (peaks[1] == 0)
    each = np.where(both_zero, 1.0, products / np.where(norms > 0, norms, 1.0))
    return float(np.clip(each, -1.0, 1.0).mean())


def tolerance_of(precision: str, variant: str) -> tuple[str, Tolerance]:
    """Return the row of the table that a benchmark must reach, by name."""
    last = variant.rpartition("+")[2]
    name = last if last in TOLERANCES else precision
    return name, TOLERANCES.get(name, TOLERANCES["fp32"])


def shortfall(agreement: Agreement, precision: str, variant: str, reference: str = "torch FP32") -> str | None:
    """Say in one sentence where outputs agree less with the `reference` than their precision must, or None."""
    name, least = tolerance_of(precision, variant)
    found = agreement.cosine
    if found is None:
        return f"its outputs are not finite where those of {reference} are: the artifact or the runtime is wrong"
    if found >= least.cosine and agreement.top1 >= least.top1:
        return None
    return (
        f"its outputs agree with {reference} only to cosine {found:.4f} and arg-max {agreement.top1:.1%}, "
        f"where {name} must reach {least.cosine:g} and {least.top1:.0%}: "
        "its speed and energy are those of a model that answers differently"
    )


def compared(outputs: list[Array], known: Reference, task: Task) -> Agreement:
    """Return the agreement of outputs with those of the reference."""
    if len(outputs) != len(known.outputs):
        raise BackendError(f"the model gives {len(outputs)} outputs where torch gives {len(known.outputs)}")
    chosen = [[side[index] for index in task.compared] for side in (outputs, known.outputs)]
    try:
        return compare(*chosen, axis=task.axis, classes_in=task.compared.index(task.classes_in))
    except ValueError as error:
        raise BackendError(f"the model cannot be compared with torch FP32: {error}") from None


def by_name(model: LoadedModel, feeds: Mapping[str, Array]) -> Mapping[str, Array]:
    """Return the feeds under the model's own input names: an only input may be called anything."""
    if len(model.inputs) == 1 and len(feeds) == 1:
        return {model.inputs[0].name: next(iter(feeds.values()))}
    return feeds
