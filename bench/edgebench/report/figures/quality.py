"""Metrics of quality: accuracy, agreement with FP32, and what a model's task is judged by."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgebench.plan.kinds import KINDS
from edgebench.report.metric import Metrics, Reasons, single_value
from edgebench.report.quantity import Missing

if TYPE_CHECKING:
    from edgebench.measure.results import Quality
    from edgebench.plan.plan import Benchmark


def quality_metrics(cell: Benchmark, quality: Quality | None, found: Metrics, missing: Reasons) -> None:
    """Add the metrics of a benchmark's first run to `found`, or the reasons why there are none to `missing`."""
    if cell.params.operator is not None:
        return
    agreement = None if quality is None else quality.agreement
    if agreement is None:
        reason = _unscored(cell) or "there is no torch FP32 model of these weights to compare with"
        if quality is not None and quality.answers is not None:
            given = "this is the file as it is: there is no other form to compare it with"
            made = "the file could not be run in its own precision to compare with"
            reason = quality.answers.why_not or (given if cell.params.variant == "baseline" else made)
        missing |= {name: Missing(reason=reason) for name in ("agreement_cosine", "agreement_top1")}
    else:
        if agreement.cosine is None:
            missing["agreement_cosine"] = Missing(reason="the model's outputs are not finite")
        else:
            found["agreement_cosine"] = single_value("agreement_cosine", agreement.cosine)
        found["agreement_top1"] = single_value("agreement_top1", agreement.top1)
    if quality is None or (task := quality.task) is None:
        return
    for name, value in task.metrics.items():
        extra = {"images": task.samples} if name == "accuracy_top1" else {}
        found[name] = single_value(name, value, **extra)
    missing |= {name: Missing(reason=reason) for name, reason in task.missing.items()}


def _unscored(cell: Benchmark) -> str | None:
    """Say that a benchmark's kind asks for no quality, or None."""
    kind = KINDS[cell.kind]
    return None if kind.scored or kind.makes else f"a benchmark of kind {cell.kind} measures no quality"


def quality_params(quality: Quality) -> dict[str, Any]:
    """Return the parameters that name a benchmark's task and the data it was judged on, where it has some."""
    found: dict[str, Any] = {} if quality.task is None else {"task": quality.task.task}
    of_task = None if quality.task is None else quality.task.data
    data = of_task if quality.reading is None else quality.reading.data
    return found | ({} if data is None else {"data": data.name, "data_digest": data.digest})


def accuracy(cell: Benchmark, quality: Quality | None, found: Metrics, missing: Reasons) -> None:
    """Add accuracy and loss of a run that was evaluated on labelled images, or why there are none."""
    evaluation = None if quality is None else quality.evaluation
    if evaluation is None:
        if cell.params.operator is None and (quality is None or quality.task is None):
            reason = Missing(reason=_unscored(cell) or "there is no labelled data for a model of your own")
            missing |= {"accuracy_top1": reason, "loss": reason}
        return
    found["accuracy_top1"] = single_value(
        "accuracy_top1", evaluation.correct / evaluation.images, images=evaluation.images
    )
    if evaluation.loss is None:
        missing["loss"] = Missing(reason="the model's outputs are not finite")
    else:
        found["loss"] = single_value("loss", evaluation.loss)
