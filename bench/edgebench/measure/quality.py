"""Quality after timing: accuracy on labelled data, and agreement with torch FP32 where there is a reference."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from edgebench.backends.families import families
from edgebench.measure.agreement import compared
from edgebench.measure.messages import EvaluateJob
from edgebench.measure.reference import read_reference
from edgebench.measure.results import DataFacts, Evaluation, Quality
from edgebench.measure.task_scores import evaluate_task
from edgebench_suites.data.load import load_data
from edgebench_suites.scoring import score
from edgebench_suites.tasks.base import REFERENCE_IMAGES
from edgebench_suites.zoo import task_of

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from edgebench.backends.base import LoadedModel

    Array = npt.NDArray[np.generic]
    Load = Callable[[Mapping[str, tuple[int, ...]]], LoadedModel]


def evaluate(load: Load, asked: EvaluateJob, *, seed: int) -> Quality:
    """Return what is known of a file's answers.

    `load` opens the artifact at the shapes it is given. Raises BackendError where the runtime or the reference fails.
    """
    task = task_of(asked.model)
    known = None if asked.reference is None else read_reference(Path(asked.reference))
    if task.name != "classification":
        return evaluate_task(load, asked.size, task, known, seed=seed)
    import numpy as np

    data = load_data(Path(asked.data) if asked.data else None, seed=seed, choice=asked.choice)
    family = families().get(asked.format or "")
    batch = 1 if family is not None and family.one_a_pass else REFERENCE_IMAGES
    model = load(task.shapes(batch, asked.size))
    answers = partial(in_batches, model, batch=batch)
    found = score(lambda images: answers(images)[0].astype(np.float32), data, asked.size, batch=batch)
    evaluation = Evaluation(
        images=len(data.test_labels),
        correct=int(found.correct.sum()),
        loss=float(found.loss) if math.isfinite(found.loss) else None,
        # One bit an image, so that two variants are compared image by image.
        correct_bits=np.packbits(found.correct).tobytes().hex(),
        size=asked.size,
        data=DataFacts(
            name=data.name,
            digest=f"sha256:{data.digest}",
            classes=data.classes,
            train_images=len(data.train_labels),
            test_images=len(data.test_labels),
            note=data.note,
        ),
    )
    if known is None:
        return Quality(evaluation=evaluation)
    (images,) = known.feeds.values()
    return Quality(evaluation=evaluation, agreement=compared(answers(images), known, task))


def in_batches(model: LoadedModel, images: Array, *, batch: int) -> list[Array]:
    """Return the outputs for any number of images from a model whose batch is fixed.

    The last batch is filled up with copies of its last image.
    """
    import numpy as np

    name, parts = model.inputs[0].name, []
    for at in range(0, len(images), batch):
        some = images[at : at + batch]
        filled = np.concatenate([some, np.repeat(some[-1:], batch - len(some), axis=0)])
        parts.append([output[: len(some)] for output in model.run({name: filled})])
    return [np.concatenate(outputs) for outputs in zip(*parts, strict=True)]
