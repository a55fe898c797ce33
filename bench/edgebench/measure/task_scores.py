"""Quality of the tasks beyond classification, scored in the runtime that is measured; needs NumPy and no torch."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from edgebench.measure.agreement import by_name, compared
from edgebench.measure.results import DataFacts, Quality, TaskQuality
from edgebench_suites.data.load import preprocess
from edgebench_suites.tasks import detection, segmentation
from edgebench_suites.tasks.language import next_byte
from edgebench_suites.tasks.material import REFERENCE_SCENES, TEST_SCENES, TRAIN_SCENES, test_scenes
from edgebench_suites.tasks.scenes import NOTE, SHAPES

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from edgebench.backends.base import LoadedModel
    from edgebench.measure.reference import Reference
    from edgebench_suites.tasks.base import Task
    from edgebench_suites.tasks.scenes import Scenes

    Array = npt.NDArray[np.generic]
    Load = Callable[[Mapping[str, tuple[int, ...]]], LoadedModel]

# An FP32 detection counts as true, for the agreement of detections, from this score on.
SURE = 0.3
_NO_REFERENCE = "there is no torch FP32 model of these weights to compare with"


def evaluate_task(load: Load, size: int, task: Task, known: Reference | None, *, seed: int) -> Quality:
    """Return the quality of a model by its task, at inputs of `size` pixels."""
    if task.name in ("language", "language-step"):
        return _language(load, task, known)
    scenes = test_scenes(size, seed)
    outputs = _run_scenes(load, task, scenes, size)
    judge = _detection if task.name == "detection" else _segmentation
    metrics, missing = judge(outputs, scenes, size, known)
    data = DataFacts(
        name="scenes",
        digest=f"sha256:{scenes.digest}",
        classes=len(SHAPES) - 1,
        train_images=TRAIN_SCENES,
        test_images=TEST_SCENES,
        note=NOTE,
    )
    agreement = None if known is None else compared([array[: known.samples] for array in outputs], known, task)
    return Quality(task=_quality(task, metrics, missing, TEST_SCENES, data), agreement=agreement)


def _quality(
    task: Task, metrics: Mapping[str, float | None], missing: Mapping[str, str], samples: int, data: DataFacts | None
) -> TaskQuality:
    """Put a result together: what is None or not finite is missing, never a number."""
    sound = {name: float(value) for name, value in metrics.items() if value is not None and math.isfinite(value)}
    lost = {name: "the model's outputs are not finite" for name in metrics if name not in sound and name not in missing}
    return TaskQuality(task=task.name, metrics=sound, missing={**lost, **missing}, samples=int(samples), data=data)


def _run_scenes(load: Load, task: Task, scenes: Scenes, size: int) -> list[Array]:
    """Return each output over all scenes, run in the reference's batch so that one compiled model does both."""
    import numpy as np

    model = load(task.shapes(REFERENCE_SCENES, size))
    parts = []
    for at in range(0, len(scenes.images), REFERENCE_SCENES):
        images = preprocess(scenes.images[at : at + REFERENCE_SCENES], size)
        parts.append(model.run({model.inputs[0].name: images}))
    return [np.concatenate(output) for output in zip(*parts, strict=True)]


def _detection(
    outputs: list[Any], scenes: Scenes, size: int, known: Reference | None
) -> tuple[dict[str, float | None], dict[str, str]]:
    """Mean average precision against the true boxes and against FP32's detections; the time of postprocessing."""
    if known is None:
        reason = "detections need the anchors that stand in the FP32 reference"
        return {}, dict.fromkeys(("map50", "agreement_map50", "postprocess_s"), reason)
    anchors: Any = known.test["anchors"][0]
    found, seconds = [], []
    for boxes, scores in zip(*outputs, strict=True):
        begun = time.perf_counter()
        found.append(detection.detect(boxes, scores, anchors, size))
        seconds.append(time.perf_counter() - begun)
    heads: list[Any] = list(known.outputs)
    sure = [
        detection.detect(boxes, scores, anchors, size).above(SURE) for boxes, scores in zip(*heads[:2], strict=True)
    ]
    metrics = {
        "map50": detection.mean_average_precision(found, scenes.boxes, scenes.labels),
        "agreement_map50": detection.mean_average_precision(
            found[: known.samples], [one.boxes for one in sure], [one.labels for one in sure]
        ),
        "postprocess_s": statistics.median(seconds),
    }
    missing = {}
    if metrics["agreement_map50"] is None:
        missing["agreement_map50"] = f"torch FP32 itself detects nothing with a score of {SURE:g}"
    return metrics, missing


def _segmentation(
    outputs: list[Any], scenes: Scenes, size: int, known: Reference | None
) -> tuple[dict[str, float | None], dict[str, str]]:
    """Mean intersection over union and pixel accuracy against the true masks."""
    del size, known
    counts = segmentation.confusion(outputs[0].argmax(axis=1), scenes.masks, len(SHAPES))
    return {"miou": segmentation.mean_iou(counts), "pixel_accuracy": segmentation.pixel_accuracy(counts)}, {}


def _language(load: Load, task: Task, known: Reference | None) -> Quality:
    """Score the next byte of the test windows, which stand in the reference: a board's Python may have other text."""
    names = ("accuracy_top1", "loss")
    if known is None:
        return Quality(task=_quality(task, {}, dict.fromkeys(names, _NO_REFERENCE), 0, None))
    model = load(known.shapes)
    outputs = model.run(by_name(model, known.feeds))
    agreement = compared(outputs, known, task)
    data = DataFacts(
        name="python-topics",
        digest=str(known.test["digest"][0]),
        classes=outputs[0].shape[-1],
        train_images=0,
        test_images=known.samples,
        note="the help topics that ship with Python (PSF licence); test_images counts windows of text",
    )
    if task.name == "language-step":
        reason = "a step answers one byte a window: the quality of these weights stands with prefill"
        return Quality(task=_quality(task, {}, dict.fromkeys(names, reason), 0, data), agreement=agreement)
    logits: Any = outputs[0]
    following: Any = known.test["next"]
    right, total, loss = next_byte(logits, following)
    metrics = {"accuracy_top1": right / total, "loss": loss}
    return Quality(task=_quality(task, metrics, {}, total, data), agreement=agreement)
