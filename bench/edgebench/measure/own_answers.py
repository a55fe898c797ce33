"""What a user's model answers: whether it computes anything, and whether a quantised form answers as its FP32 one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from edgebench.errors import BackendError
from edgebench.measure.agreement import compare
from edgebench.measure.feeds import Maker, named_as
from edgebench.measure.reference import read_reference
from edgebench.measure.results import Answers, Quality

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from edgebench.backends.base import LoadedModel
    from edgebench.backends.feeds import Feed

    Array = npt.NDArray[np.generic]

# How many inputs a form is compared on: one arg-max each says little, and a large model takes seconds for one.
SAMPLES = 8
# A file brings no data, and on noise a network often holds two answers for as likely: a share of their range.
TIES = 0.02
# Outputs of all samples, at most: those of a network that answers with images are large.
MOST_BYTES = 256 << 20


def answers_of(model: LoadedModel, feeds: Sequence[Mapping[str, Array]]) -> list[Array]:
    """Return the model's outputs [samples, …]. BackendError where they cannot be compared."""
    import numpy as np

    found = []
    for feed in feeds:
        found.append(model.run(named_as(model.inputs, feed)))
        if sum(array.nbytes for array in found[0]) * (len(found) + 1) > MOST_BYTES and len(found) > 1:
            break
    try:
        stacked = [np.stack(arrays) for arrays in zip(*found, strict=True)]
    except ValueError:
        raise BackendError("the sizes of its outputs depend on what it is fed") from None
    if any(array.dtype.kind not in "fiub" for array in stacked):
        raise BackendError("its outputs are no numbers")
    return stacked


def check_answers(model: LoadedModel, reference: str | None, fed: Sequence[Feed], seed: int) -> Quality:
    """Return what is known of a user's model: its answers, and their agreement with FP32's where there is a reference.

    Raises BackendError where the runtime fails.
    """
    import numpy as np

    known = None if reference is None else read_reference(Path(reference))
    if known is None:
        feeds = Maker(fed, seed).several(1, 2)
    else:
        feeds = [{name: array[index] for name, array in known.feeds.items()} for index in range(known.samples)]
    varied = any(not np.array_equal(feeds[0][name], feed[name]) for feed in feeds[1:] for name in feed)
    try:
        found = answers_of(model, feeds)
    except BackendError as error:
        return Quality(answers=Answers(why_not=str(error)))
    answers = Answers(
        finite=all(bool(np.isfinite(array).all()) for array in found),
        constant=all(bool((array == array[:1]).all()) for array in found) if varied else None,
    )
    if known is None:
        return Quality(answers=answers)
    if not all(bool(np.isfinite(array).all()) for array in known.outputs):
        return Quality(answers=replace(answers, why_not="the outputs of its FP32 form are not finite"))
    rows = [_by_row(found), _by_row(known.outputs)]
    try:
        return Quality(answers=answers, agreement=compare(*rows, axis=-1, classes_in=0, ties=TIES))
    except (ValueError, IndexError) as error:
        raise BackendError(f"the model cannot be compared with its FP32 form: {error}") from None


def _by_row(outputs: Sequence[Array]) -> list[Array]:
    """Return outputs as [samples, rows, last dimension]: the arg-max is taken in each row."""
    return [array.reshape(len(array), -1, array.shape[-1] if array.ndim > 1 else 1) for array in outputs]
