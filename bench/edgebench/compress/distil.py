"""Knowledge distillation (Hinton, Vinyals and Dean 2015, arXiv:1503.02531) into a narrower model of the zoo."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgebench_suites.recipes import Distillation, train

if TYPE_CHECKING:
    from torch import nn

    from edgebench_suites.data.dataset import Dataset
    from edgebench_suites.training import Training


def distil(
    teacher: nn.Module,
    student: nn.Module,
    dataset: Dataset,
    training: Training,
    *,
    temperature: float = 4.0,
    alpha: float = 0.7,
) -> nn.Module:
    """Train `student` in place on the teacher's softened answers and the labels; return it in evaluation mode.

    The loss is alpha * temperature^2 * KL(teacher || student) at that temperature + (1 - alpha) * cross-entropy. The
    teacher is not changed. Whether this beats training the student alone is a question for a measurement.
    """
    return train(student, dataset, training, distil_from=Distillation(teacher, temperature, alpha))
