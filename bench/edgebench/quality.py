"""Quality after timing: accuracy on labelled data, and agreement with torch FP32 where there is a reference."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgebench.agreement import compare
from edgebench.errors import BackendError
from edgebench.reference import read_reference
from edgebench_suites.tasks import task_of
from edgebench_suites.tasks.base import REFERENCE_IMAGES

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from edgebench.backends.base import LoadedModel
    from edgebench.reference import Reference
    from edgebench_suites.tasks.base import Task

    Array = npt.NDArray[np.generic]
    Load = Callable[[Mapping[str, tuple[int, ...]]], LoadedModel]


def evaluate(load: Load, asked: Mapping[str, Any], *, seed: int) -> dict[str, Any]:
    """Return the parts of a run's result that tell quality: ``evaluation`` or ``quality``, and ``agreement``.

    `load` opens the artifact at the shapes it is given. Raises BackendError where the runtime or the reference fails.
    """
    task = task_of(asked["model"])
    known = None if asked["reference"] is None else read_reference(Path(asked["reference"]))
    if task.name != "classification":
        from edgebench.task_quality import evaluate_task

        return evaluate_task(load, asked, task, known, seed=seed)
    import numpy as np

    from edgebench_suites.data import load_data
    from edgebench_suites.scoring import score

    data = load_data(Path(asked["data"]) if asked["data"] else None, seed=seed)
    model = load(task.shapes(REFERENCE_IMAGES, asked["size"]))
    name = model.inputs[0].name
    found = score(
        lambda images: model.run({name: images})[0].astype(np.float32), data, asked["size"], batch=REFERENCE_IMAGES
    )
    evaluation = {
        "images": len(data.test_labels),
        "correct": int(found.correct.sum()),
        "loss": found.loss if math.isfinite(found.loss) else None,
        # One bit an image, so that two variants are compared image by image.
        "correct_bits": np.packbits(found.correct).tobytes().hex(),
        "size": asked["size"],
        "data": {
            "name": data.name,
            "digest": f"sha256:{data.digest}",
            "classes": data.classes,
            "train_images": len(data.train_labels),
            "test_images": len(data.test_labels),
            "note": data.note,
        },
    }
    if known is None:
        return {"evaluation": evaluation}
    if known.samples != REFERENCE_IMAGES:
        model = load(known.shapes)
    return {"evaluation": evaluation, "agreement": agreement(model, known, task)}


def agreement(model: LoadedModel, known: Reference, task: Task) -> dict[str, Any]:
    """Return the agreement of a model, loaded at the reference's shapes, with torch FP32, JSON-ready."""
    return compared(model.run(by_name(model, known.feeds)), known, task)


def compared(outputs: list[Array], known: Reference, task: Task) -> dict[str, Any]:
    """Return the agreement of outputs with those of the reference, JSON-ready."""
    if len(outputs) != len(known.outputs):
        raise BackendError(f"the model gives {len(outputs)} outputs where torch gives {len(known.outputs)}")
    chosen = [[side[index] for index in task.compared] for side in (outputs, known.outputs)]
    try:
        found = compare(*chosen, axis=task.axis, classes_in=task.compared.index(task.classes_in))
    except ValueError as error:
        raise BackendError(f"the model cannot be compared with torch FP32: {error}") from None
    return asdict(found)


def by_name(model: LoadedModel, feeds: Mapping[str, Array]) -> Mapping[str, Array]:
    """Return the feeds under the model's own input names: an only input may be called anything."""
    if len(model.inputs) == 1 and len(feeds) == 1:
        return {model.inputs[0].name: next(iter(feeds.values()))}
    return feeds
