"""The inputs of a user's model, asked of a process of its own before a plan is made."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edgebench.artifacts.messages import LookJob, Seen
from edgebench.errors import UsageError
from edgebench.session.jobs import child_environment, run_job

if TYPE_CHECKING:
    from edgebench.backends.inputs import ModelInput

# Reading a graph takes a second; importing torch for an exported program may take a slow board a minute.
_LIMIT_S = 300.0


def look(path: Path) -> Sequence[ModelInput]:
    """Return the inputs that a model file declares; UsageError says why it cannot be read."""
    cpus = tuple(sorted(os.sched_getaffinity(0)))
    found = run_job(
        "edgebench.artifacts.look",
        LookJob(str(path), cpus),
        (Seen,),
        environment=child_environment(threads=1, isa="none", seed=0),
        limit_s=_LIMIT_S,
    )
    if found.answer is None:
        told = found.error or "it gave no result"
        raise UsageError(told if str(path) in told else f"--model {path}: {told}")
    return found.answer.inputs
