"""Knowledge distillation (Hinton, Vinyals and Dean 2015, arXiv:1503.02531) into a narrower model of the zoo."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgebench_suites.recipes import Distillation, train

if TYPE_CHECKING:
    from torch import nn

    from edgebench_suites.data.dataset import Dataset
    from edgebench_suites.recipes import Progress


def distil(
    teacher: nn.Module,
    student: nn.Module,
    dataset: Dataset,
    *,
    size: int,
    epochs: int,
    lr: float,
    seed: int,
    batch: int = 32,
    temperature: float = 4.0,
    alpha: float = 0.7,
    augment: bool = False,
    schedule: str = "one-cycle",
    subset: float = 1.0,
    progress: Progress | None = None,
) -> nn.Module:
    """Train `student` in place on the teacher's softened answers and the labels; return it in evaluation mode.

    The loss is alpha * temperature^2 * KL(teacher || student) at that temperature + (1 - alpha) * cross-entropy. The
    teacher is not changed. Whether this beats training the student alone is a question for a measurement.
    """
    return train(
        student,
        dataset,
        size=size,
        epochs=epochs,
        lr=lr,
        batch=batch,
        seed=seed,
        augment=augment,
        schedule=schedule,
        subset=subset,
        distil_from=Distillation(teacher, temperature, alpha),
        progress=progress,
    )
