"""What this machine can do at most: `python -m edgebench.measure.roofs JOB ANSWER` runs two operators in turns.

A large matrix product gives operations a second, STREAM's triad (else its copy) bytes a second: the two roofs of a
roofline (Williams, Waterman and Patterson 2009, Communications of the ACM 52(4):65). They are what the runtime's own
kernels reach, not what a data sheet promises.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable

import numpy as np

from edgebench.backends.executed import is_compute
from edgebench.backends.fitness import Asked, why_not
from edgebench.backends.operators.operators import make
from edgebench.backends.registry import get_backend
from edgebench.errors import BackendError
from edgebench.measure.messages import Clock
from edgebench.measure.process import answer_job
from edgebench.measure.roof_messages import Peak, RoofJob, RoofResult
from edgebench_suites.operators import COPY, OPERATORS, PRECISIONS, PRODUCT, STREAM

_WARM = 2


def roofs(job: RoofJob, started_s: float) -> RoofResult:
    """Measure both roofs, round by round so that a slow moment hits all alike."""
    passes: dict[tuple[str, str], Callable[[], object]] = {}
    missing: dict[str, str] = {}
    able = (name for name in (STREAM, COPY) if why_not(job.backend, Asked("fp32", operator=name)) is None)
    stream = next(able, STREAM)
    for operator, precision in [*((PRODUCT, one) for one in PRECISIONS), (stream, "fp32")]:
        if reason := why_not(job.backend, Asked(precision, operator=operator)):
            missing[precision] = reason
            continue
        model = make(operator, backend=job.backend, precision=precision, threads=job.threads)
        # What runs in another precision than asked for is no roof of it.
        ran = {layer.precision for layer in model.layers() if is_compute(layer)}
        if operator == PRODUCT and ran != {precision}:
            missing[precision] = f"{job.backend} does not multiply in {precision} on this processor"
            continue
        run = model.bind({spec.name: np.ones(spec.shape, spec.dtype) for spec in model.inputs})
        for _ in range(_WARM):
            run()
        passes[operator, precision] = run
    if (stream, "fp32") not in passes:
        raise BackendError(f"{job.backend} does not run the memory stream: {missing.get('fp32', '')}")
    rates: dict[tuple[str, str], list[float]] = {key: [] for key in passes}
    for _ in range(job.rounds):
        for key, run in passes.items():
            rates[key].append(_a_second(run, job.round_s) * _amount(*key))
    return RoofResult(
        clock=Clock(started_s=started_s, finished_s=time.monotonic()),
        backend=job.backend,
        threads=job.threads,
        operations_per_s={
            precision: _peak(found) for (operator, precision), found in rates.items() if operator == PRODUCT
        },
        bytes_per_s=_peak(rates[stream, "fp32"]),
        missing=missing,
        versions=get_backend(job.backend).versions(),
    )


def _amount(operator: str, precision: str) -> float:
    found = OPERATORS[operator]
    return float(found.operations or 0 if operator == PRODUCT else found.bytes_moved(precision))


def _a_second(run: Callable[[], object], least_s: float) -> float:
    """Return passes a second over at least so long."""
    count, begun = 0, time.perf_counter()
    while (took := time.perf_counter() - begun) < least_s or not count:
        run()
        count += 1
    return count / took


def _peak(rates: list[float]) -> Peak:
    return Peak(statistics.median(rates), min(rates), max(rates))


if __name__ == "__main__":
    sys.exit(answer_job(sys.argv[1:], RoofJob, roofs))
