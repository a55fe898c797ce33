"""What models are for: the tasks beyond classification, each with its data, its training and its scores."""

from __future__ import annotations

from edgebench_suites.tasks.base import Task
from edgebench_suites.tasks.detection import DETECTION
from edgebench_suites.tasks.images import CLASSIFICATION
from edgebench_suites.tasks.language import DECODE, GENERATION, PREFILL
from edgebench_suites.tasks.segmentation import SEGMENTATION

TASKS: dict[str, Task] = {
    task.name: task for task in (CLASSIFICATION, DETECTION, SEGMENTATION, PREFILL, DECODE, GENERATION)
}
