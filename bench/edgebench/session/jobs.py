"""One job for one child process: its environment, its files, its result or the reason why there is none."""

from __future__ import annotations

import operator
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, reduce
from pathlib import Path
from typing import Generic, TypeVar, cast

import msgspec

from edgebench.machine.child import Outcome, run_child
from edgebench.machine.claims import scratch
from edgebench.machine.facts import ISA_ENVIRONMENT
from edgebench.measure.messages import Answer, Clock, Failure, Job, encode

# How a person raises the limit of a run.
LONGER = "--time-limit SECONDS gives each run longer"
# What a result may at most be: a hostile model must not make the session read gigabytes.
MAX_RESULT_BYTES = 64 * 2**20


T = TypeVar("T", bound=Answer)
T_co = TypeVar("T_co", bound=Answer, covariant=True)


@dataclass(frozen=True, slots=True)
class JobResult(Generic[T_co]):
    """What came back. `answer` is None when `error` says why; `inapplicable`: nothing failed, there is nothing to do.

    `start_s` of its `seconds` are process start and end, not work; `clock` is None of a process that told nothing.
    """

    answer: T_co | None
    error: str | None
    seconds: float
    cpu_s: float
    start_s: float
    clock: Clock | None
    inapplicable: bool = False


def child_environment(*, threads: int, isa: str, seed: int) -> dict[str, str]:
    """Return the environment of a child: ours, with what runtimes are told."""
    return {**os.environ, **runtime_environment(threads=threads, isa=isa, seed=seed)}


def runtime_environment(*, threads: int, isa: str, seed: int) -> dict[str, str]:
    """Return the variables by which runtimes are told their thread counts, the ISA ceiling and the seed."""
    count = str(threads)
    return {
        "OMP_NUM_THREADS": count,
        "MKL_NUM_THREADS": count,
        "OPENBLAS_NUM_THREADS": count,
        "PYTHONHASHSEED": str(seed),
        # torch and NNCF warn at length on stderr, where only the reason of a failure is looked for.
        "PYTHONWARNINGS": "ignore",
        # ONNX Runtime's packages upload usage data from threads that would run beside the measurement.
        "ORT_DISABLE_TELEMETRY": "1",
        **ISA_ENVIRONMENT[isa],
    }


def run_job(
    module: str,
    job: Job,
    kinds: tuple[type[T], ...],
    *,
    environment: Mapping[str, str],
    limit_s: float,
    longer: str = "",
    on_line: Callable[[str], None] | None = None,
    python: str = sys.executable,
    arguments: Sequence[str] = (),
) -> JobResult[T]:
    """Run ``PYTHON -m MODULE [ARGUMENTS] JOB ANSWER`` to an answer of one of these kinds.

    `longer` says how the limit is raised. It never raises for what the child does.
    """

    def run(job_file: Path, answer_file: Path) -> Outcome:
        argv = [python, "-m", module, *arguments, str(job_file), str(answer_file)]
        told = {**environment, "TMPDIR": str(job_file.parent)}
        return run_child(argv, environment=told, limit_s=limit_s, on_line=on_line)

    with scratch() as folder:
        return answered(folder, job, kinds, run, limit_s=limit_s, longer=longer)


def answered(
    folder: Path,
    job: Job,
    kinds: tuple[type[T], ...],
    run: Callable[[Path, Path], Outcome],
    *,
    limit_s: float,
    longer: str = "",
) -> JobResult[T]:
    """Put a job into a file of `folder`, `run` what reads it and writes its answer to another, and read that."""
    job_file, answer_file = folder / "job.json", folder / "answer.json"
    answer_file.unlink(missing_ok=True)
    job_file.write_bytes(encode(job))
    outcome = run(job_file, answer_file)
    error = outcome.failure(limit_s, longer)
    found: Answer | None = None
    if error is None:
        found, error = _read(answer_file, kinds)
    clock = None if found is None else found.clock
    start_s = outcome.seconds if clock is None else max(0.0, outcome.seconds - clock.work_s)
    inapplicable = False
    if isinstance(found, Failure):
        error, inapplicable, found = found.error, found.inapplicable, None
    return JobResult(cast("T | None", found), error, outcome.seconds, outcome.cpu_s, start_s, clock, inapplicable)


def _read(file: Path, kinds: tuple[type[Answer], ...]) -> tuple[Answer | None, str | None]:
    """Return the answer in a file, or a sentence that says why there is none."""
    try:
        if file.stat().st_size > MAX_RESULT_BYTES:
            return None, "the worker's result is too large to be one"
        return _decoder(kinds).decode(file.read_bytes()), None
    except OSError:
        return None, "the worker ended without a result"
    except (msgspec.DecodeError, RecursionError) as error:
        return None, f"the worker's result is not one that this edgebench reads ({str(error)[:300]})"


@cache
def _decoder(kinds: tuple[type[Answer], ...]) -> msgspec.json.Decoder[Answer]:
    return msgspec.json.Decoder(reduce(operator.or_, kinds, Failure))
