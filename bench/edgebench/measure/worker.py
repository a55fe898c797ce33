"""One run: `python -m edgebench.measure.worker JOB ANSWER` is one pyperf worker process.

It reads its job from one file and writes its answer to the other. The order is fixed: affinity, runtime, load, compile,
first inference, timed values (pyperf), peak memory, energy windows, then accuracy and executed layers, so that nothing
later can disturb what was measured before it.
"""

from __future__ import annotations

import contextlib
import gc
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgebench.backends.base import LoadSpec
from edgebench.backends.executed import count_compute, is_compute
from edgebench.backends.registry import get_backend
from edgebench.errors import BackendError
from edgebench.measure.inference import timed_values
from edgebench.measure.messages import (
    ArtifactFile,
    EvaluateJob,
    MeasureJob,
    RunClock,
    Shapes,
    SustainedJob,
    TimedJob,
)
from edgebench.measure.phases import peak_memory_bytes
from edgebench.measure.probes import opened
from edgebench.measure.process import answer_job
from edgebench.measure.results import InferenceResult, Layers, OperatorWork, Process, Quality, SustainedResult, Windows
from edgebench.measure.sustained import sustain
from edgebench.measure.windows import measure_passes
from edgebench_suites.operators import OPERATORS

if TYPE_CHECKING:
    from edgebench.backends.base import Backend, LoadedModel

    Feeds = dict[str, Any]
    Run = Callable[[], object]


def measure(job: MeasureJob, started_s: float) -> InferenceResult | SustainedResult:
    """Measure one run of one benchmark as the job says; the process began its job at `started_s`."""
    backend = get_backend(job.backend)
    if reason := backend.unavailable():
        raise BackendError(reason)
    versions = backend.versions()
    loading_s = time.monotonic()
    model = _load(backend, job)
    run = model.bind(_feeds(model, job.seed))
    begun = time.perf_counter()
    run()
    first_s = time.perf_counter() - begun
    measuring_s = time.monotonic()

    def took(cpu_percent: float) -> Process:
        return Process(
            load_s=model.load_s,
            compile_s=model.compile_s,
            first_inference_s=first_s,
            cpu_percent=cpu_percent,
            peak_memory_bytes=peak_memory_bytes(),
        )

    if isinstance(job.timing, SustainedJob):
        finish: Callable[..., InferenceResult | SustainedResult] = _sustained(run, job, job.timing, took)
    else:
        finish = _timed(run, job, job.timing, took)
    measured_s = time.monotonic()
    settings, layers, quality = None, None, None
    if job.describe:
        # Some runtimes tell only of a pass that is watched: nothing is timed after this.
        settings = model.effective()
        layers = _layers(model, "fp32" if job.weights_only else job.precision)
    if job.evaluate is not None and job.artifact is not None:
        del run
        quality = quality_of(backend, job.artifact, job.threads, job.precision, job.evaluate, job.seed)
    clock = RunClock(
        started_s=started_s,
        loading_s=loading_s,
        measuring_s=measuring_s,
        measured_s=measured_s,
        finished_s=time.monotonic(),
    )
    return finish(
        clock=clock,
        versions=versions,
        inputs=tuple(model.inputs),
        settings=settings,
        layers=layers,
        quality=quality,
    )


def _timed(
    run: Run, job: MeasureJob, timing: TimedJob, took: Callable[[float], Process]
) -> Callable[..., InferenceResult]:
    """Time passes one by one, then measure energy windows; the result waits for what is asked afterwards."""
    times, cpu_percent = timed_values(run, job.name, timing)
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


def _sustained(
    run: Run, job: MeasureJob, timing: SustainedJob, took: Callable[[float], Process]
) -> Callable[..., SustainedResult]:
    """Run without a pause for as long as the job says, every probe marked once a second."""
    with contextlib.ExitStack() as stack:
        probes = stack.enter_context(opened(job.energy.probes, job.cpus)) if job.energy.windows else []
        gc.collect()
        gc.freeze()
        course, cpu_percent = sustain(run, probes, timing.seconds)
    return partial(SustainedResult, course=course, process=took(cpu_percent))


def _energy(run: Run, pass_s: float, job: MeasureJob) -> Windows:
    asked = job.energy
    if not asked.windows:
        return Windows()
    with opened(asked.probes, job.cpus) as probes:
        return measure_passes(
            run, probes, pass_s=pass_s, count=asked.windows, target=asked.target, shortest_s=asked.window_s
        )


def _load(backend: Backend, job: MeasureJob) -> LoadedModel:
    if job.operator is not None:
        from edgebench.backends.operators.operators import make  # it brings the other runtimes' files

        return make(job.operator, backend=job.backend, precision=job.precision, threads=job.threads)
    if job.artifact is None:
        raise BackendError(f"{job.name} names neither an artifact nor an operator")
    return _opened(backend, job.artifact, job.threads, job.precision, job.shapes)


def _opened(backend: Backend, file: ArtifactFile, threads: int, precision: str, shapes: Shapes) -> LoadedModel:
    return backend.load(LoadSpec(Path(file.path), file.format, threads, precision, shapes=shapes))


def quality_of(
    backend: Backend, file: ArtifactFile, threads: int, precision: str, asked: EvaluateJob, seed: int
) -> Quality:
    """Quality by the model's task, at the size it was trained at, in this very runtime."""
    from edgebench.measure.quality import evaluate  # a cell's other runs need neither data nor tasks

    return evaluate(lambda shapes: _opened(backend, file, threads, precision, shapes), asked, seed=seed)


def _feeds(model: LoadedModel, seed: int) -> Feeds:
    """Standard normal inputs (as normalised images are), or zeros-and-ones for integers; the same in every run."""
    import numpy as np

    generator = np.random.default_rng(seed)
    feeds: Feeds = {}
    for spec in model.inputs:
        if np.issubdtype(np.dtype(spec.dtype), np.integer) or spec.dtype == "bool":
            feeds[spec.name] = generator.integers(0, 2, size=spec.shape).astype(spec.dtype)
        else:
            feeds[spec.name] = generator.standard_normal(size=spec.shape, dtype=np.float32).astype(spec.dtype)
    return feeds


def _layers(model: LoadedModel, asked: str) -> Layers | None:
    """Count the layers that multiply by the precision they were executed in; in INT8 the others fell back."""
    layers = model.layers()
    if not layers:
        return None
    fallback = tuple(
        f"{layer.name[:200]} ({layer.type}, {layer.precision})"
        for layer in layers
        if asked == "int8" and is_compute(layer) and layer.precision != "int8"
    )
    source = getattr(model, "layers_source", None)
    return Layers(executed=len(layers), counts=count_compute(layers), fallback=fallback, source=source)


if __name__ == "__main__":
    sys.exit(answer_job(sys.argv[1:], MeasureJob, measure))
