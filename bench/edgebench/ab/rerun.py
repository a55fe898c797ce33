"""One run for `edgebench ab`, in the environment that made its job."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from edgebench.measure.messages import MeasureJob, TimedJob
from edgebench.measure.process import attempted
from edgebench.measure.worker import measure

if TYPE_CHECKING:
    from edgebench.ab.messages import RunQuestion
    from edgebench.measure.messages import Answer


def answer_run(question: RunQuestion, started_s: float) -> Answer:
    """Measure one run of the job with the loops that are asked for; only a first run describes and evaluates."""
    job = msgspec.json.decode(question.job, type=MeasureJob)
    if isinstance(job.timing, TimedJob):
        timing = msgspec.structs.replace(job.timing, loops=question.loops)
        job = msgspec.structs.replace(job, timing=timing)
    if not question.first:
        job = msgspec.structs.replace(job, describe=False, evaluate=None, read=None)
    return attempted(job, started_s, measure)
