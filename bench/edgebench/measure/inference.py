"""Timed passes of one inference."""

from __future__ import annotations

import contextlib
import gc
import io
import time
from array import array
from collections.abc import Callable
from functools import partial

from edgebench.measure.messages import MeasureJob, TimedJob
from edgebench.measure.probes import opened
from edgebench.measure.results import InferenceResult, OperatorWork, PassTimes, Process, Windows
from edgebench.measure.windows import measure_passes
from edgebench_suites.operators import OPERATORS

Run = Callable[[], object]


def timed(run: Run, job: MeasureJob, took: Callable[[float], Process]) -> Callable[..., InferenceResult]:
    """Time passes one by one, then measure energy windows; the result waits for what is asked afterwards."""
    assert isinstance(job.timing, TimedJob)  # noqa: S101  # what the kind of benchmark asks for
    times, cpu_percent = timed_values(run, job.name, job.timing)
    process = took(cpu_percent)
    work = None
    if job.operator:
        operator = OPERATORS[job.operator]
        work = OperatorWork(operations=operator.operations, bytes_moved=operator.bytes_moved(job.precision))
    return partial(
        InferenceResult,
        times=times,
        process=process,
        energy=_energy(run, times.p50_s, job),
        tokens_a_pass=job.tokens_a_pass,
        operator=work,
    )


def _energy(run: Run, pass_s: float, job: MeasureJob) -> Windows:
    asked = job.energy
    if not asked.windows:
        return Windows()
    with opened(asked.probes, job.cpus) as found:
        windows = measure_passes(
            run, found.probes, pass_s=pass_s, count=asked.windows, target=asked.target, shortest_s=asked.window_s
        )
        return found.told(windows)


class TimedPasses:
    """pyperf's time function: every pass has its own timestamp, about 0.1 µs a pass (see `tox -e bench`)."""

    def __init__(self, run: Callable[[], object]) -> None:
        self._run = run
        self._stamps = array("q")
        self.calls: list[array[int]] = []
        self.cpu_s = 0.0
        self.wall_s = 0.0

    def __call__(self, loops: int) -> float:
        """Run `loops` passes; return the seconds from before the first to after the last."""
        if len(self._stamps) != loops + 1:
            self._stamps = array("q", bytes(8 * (loops + 1)))
        stamps, run, clock = self._stamps, self._run, time.perf_counter_ns
        cpu = time.process_time()
        stamps[0] = clock()
        for index in range(1, loops + 1):
            run()
            stamps[index] = clock()
        self.cpu_s = time.process_time() - cpu
        self.wall_s = (stamps[loops] - stamps[0]) * 1e-9
        self.calls.append(array("q", stamps))
        return self.wall_s


def timed_values(run: Callable[[], object], name: str, job: TimedJob) -> tuple[PassTimes, float]:
    """Let pyperf's worker drive warm-ups and values.

    Return them with percentiles of the single passes, and the processor time of the last value in percent of its time.
    """
    import numpy as np
    import pyperf

    loops = job.loops or _calibrate(run, job.passes // job.values, job.min_value_s)
    warmups = -(-job.warmup_passes // loops)
    timed = TimedPasses(run)
    runner = pyperf.Runner()
    runner.parse_args(
        ["--worker", "--loops", str(loops), "--warmups", str(warmups), "--values", str(job.values), "--quiet"]
    )
    gc.collect()
    gc.freeze()
    # pyperf's worker prints its result for a parent of its own kind; ours travels in the result file.
    with contextlib.redirect_stdout(io.StringIO()):
        bench = runner.bench_time_func(name, timed)
    run_of_pyperf = bench.get_runs()[0]
    single = np.concatenate([np.diff(np.frombuffer(call, dtype=np.int64)) for call in timed.calls[warmups:]]) * 1e-9
    p50, p90, p95, p99 = (float(value) for value in np.percentile(single, [50, 90, 95, 99]))
    times = PassTimes(
        values=tuple(run_of_pyperf.values),
        warmups=tuple(value for _, value in run_of_pyperf.warmups),
        loops=loops,
        passes=int(single.size),
        p50_s=p50,
        p90_s=p90,
        p95_s=p95,
        p99_s=p99,
        min_s=float(single.min()),
        max_s=float(single.max()),
    )
    return times, 100 * timed.cpu_s / timed.wall_s


def _calibrate(run: Callable[[], object], loops: int, min_value_s: float) -> int:
    """Return the loops of a value: as asked, or more until a value lasts `min_value_s`, in powers of two as pyperf."""
    while True:
        begun = time.perf_counter()
        for _ in range(loops):
            run()
        if time.perf_counter() - begun >= min_value_s:
            return loops
        loops *= 2
