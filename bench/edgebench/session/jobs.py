"""One job for one child process: its environment, its files, its result or the reason why there is none."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgebench.machine.child import run_child
from edgebench.machine.facts import ISA_ENVIRONMENT

# What a result may at most be: a hostile model must not make the session read gigabytes.
MAX_RESULT_BYTES = 64 * 2**20


@dataclass(frozen=True, slots=True)
class JobResult:
    """What came back. `data` is empty when `error` says why. `start_s` is process start and end, not work."""

    data: Mapping[str, Any]
    error: str | None
    seconds: float
    cpu_s: float
    start_s: float


def child_environment(*, threads: int, isa: str, seed: int) -> dict[str, str]:
    """Return the environment of a child: ours, with the thread counts and the ISA ceiling that runtimes read."""
    count = str(threads)
    return {
        **os.environ,
        "OMP_NUM_THREADS": count,
        "MKL_NUM_THREADS": count,
        "OPENBLAS_NUM_THREADS": count,
        "PYTHONHASHSEED": str(seed),
        # torch and NNCF warn at length on stderr, where only the reason of a failure is looked for.
        "PYTHONWARNINGS": "ignore",
        **ISA_ENVIRONMENT[isa],
    }


def run_job(
    module: str,
    job: Mapping[str, Any],
    *,
    environment: Mapping[str, str],
    limit_s: float,
    on_line: Callable[[str], None] | None = None,
    python: str = sys.executable,
) -> JobResult:
    """Run ``PYTHON -m MODULE JOB.json`` to its result; never raises for what the child does."""
    with tempfile.TemporaryDirectory(prefix="edgebench-") as folder:
        job_file, result_file = Path(folder, "job.json"), Path(folder, "result.json")
        job_file.write_text(json.dumps({**job, "result": str(result_file)}), encoding="utf-8")
        spawned_s = time.monotonic()
        outcome = run_child(
            [python, "-m", module, str(job_file)], environment=environment, limit_s=limit_s, on_line=on_line
        )
        error = outcome.failure(limit_s)
        data: dict[str, Any] = {}
        if error is None:
            try:
                if result_file.stat().st_size > MAX_RESULT_BYTES:
                    error = "the worker's result is too large to be one"
                else:
                    data = json.loads(result_file.read_text(encoding="utf-8"))
                    error = data.pop("error", None)
            except (OSError, ValueError):
                error = "the worker ended without a result"
    clock = data.get("clock", {})
    work_s = clock.get("finished", spawned_s) - clock.get("loading", clock.get("started", spawned_s))
    return JobResult(data, error, outcome.seconds, outcome.cpu_s, max(0.0, outcome.seconds - work_s))
