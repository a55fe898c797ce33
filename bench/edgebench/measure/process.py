"""What the processes that do one job have in common: the job from one file, the answer to another, a failure as one."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

import msgspec

from edgebench.errors import EdgebenchError, InapplicableError
from edgebench.machine.child import die_with_parent
from edgebench.measure.messages import Answer, Clock, Failure, encode
from edgebench_suites.errors import SuiteDataError


class Pinned(Protocol):
    """A job that says which processors it may use."""

    @property
    def cpus(self) -> tuple[int, ...]:
        """Their numbers."""


J = TypeVar("J", bound=Pinned)
A = TypeVar("A", bound=Answer)


def answer_job(files: Sequence[str], kind: type[J], work: Callable[[J, float], Answer]) -> int:
    """Read a job of that kind from the first file and write what `attempted` gives to the second; return 0."""
    started_s = time.monotonic()
    die_with_parent()
    job_file, answer_file = map(Path, files)
    job = msgspec.json.decode(job_file.read_bytes(), type=kind)
    answer_file.write_bytes(encode(attempted(job, started_s, work)))
    return 0


def attempted(job: J, started_s: float, work: Callable[[J, float], A]) -> A | Failure:
    """Bind this process, which began at `started_s` (CLOCK_MONOTONIC), to the job's processors and `work` on it.

    What a user can cause, which the work raises, is answered as a failure.
    """
    os.sched_setaffinity(0, job.cpus)
    try:
        return work(job, started_s)
    except (EdgebenchError, SuiteDataError) as error:
        clock = Clock(started_s=started_s, finished_s=time.monotonic())
        return Failure(error=str(error), inapplicable=isinstance(error, InapplicableError), clock=clock)
