"""What a user's file declares: `python -m edgebench.artifacts.look JOB ANSWER`.

A process of its own, as a hostile file may take a native parser down.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from edgebench.artifacts.messages import LookJob, Seen
from edgebench.backends.describe import read_inputs
from edgebench.measure.messages import Clock
from edgebench.measure.process import answer_job


def look(job: LookJob, started_s: float) -> Seen:
    """Do the job; `started_s` is when the process began."""
    inputs = tuple(read_inputs(Path(job.path)))
    return Seen(inputs=inputs, clock=Clock(started_s=started_s, finished_s=time.monotonic()))


if __name__ == "__main__":
    sys.exit(answer_job(sys.argv[1:], LookJob, look))
