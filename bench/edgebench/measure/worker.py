"""One run: `python -m edgebench.measure.worker JOB ANSWER` is one pyperf worker process.

It reads its job from one file and writes its answer to the other. The order is fixed: affinity, runtime, load, compile,
first inference, timed values (pyperf), peak memory, energy windows, then accuracy and executed layers, so that nothing
later can disturb what was measured before it.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from edgebench.backends.base import LoadSpec
from edgebench.backends.executed import count_compute, is_compute
from edgebench.backends.registry import get_backend, resolve, row_of
from edgebench.errors import BackendError
from edgebench.measure.courses import SustainedResult
from edgebench.measure.feeds import Maker, named_as, random_feeds
from edgebench.measure.messages import (
    ArtifactFile,
    EvaluateJob,
    GenerateJob,
    MeasureJob,
    ReadJob,
    RunClock,
    Shapes,
    SustainedJob,
)
from edgebench.measure.own_answers import check_answers
from edgebench.measure.phases import peak_memory_bytes
from edgebench.measure.process import answer_job
from edgebench.measure.results import InferenceResult, Layers, Process, Quality

if TYPE_CHECKING:
    from edgebench.backends.base import Array, Backend, LoadedModel
    from edgebench.backends.decoder import Reader, Request


def measure(job: MeasureJob, started_s: float) -> InferenceResult | SustainedResult:
    """Measure one run of one benchmark as the job says; the process began its job at `started_s`."""
    backend = get_backend(job.backend)
    if reason := backend.unavailable():
        raise BackendError(reason)
    versions = backend.versions()
    loading_s = time.monotonic()
    model = _load(backend, job)
    run = model.bind(_fed(model, job))
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
            untold=_untold(job, model),
        )

    finish: Callable[..., InferenceResult | SustainedResult] = resolve(job.measure)(run, job, took)
    measured_s = time.monotonic()
    settings, layers, quality = None, None, None
    if job.describe:
        # Some runtimes tell only of a pass that is watched: nothing is timed after this.
        settings = model.effective()
        layers = _layers(model, "fp32" if job.weights_only else job.precision)
    if job.evaluate is not None and job.artifact is not None:
        del run
        quality = quality_of(backend, job.artifact, job.threads, job.precision, job.evaluate, job.seed)
    elif job.read is not None and job.artifact is not None:
        del run
        quality = read_text(job, job.artifact, job.read)
    elif job.answers is not None:
        quality = check_answers(model, job.answers.reference, job.feeds, job.seed)
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


def _untold(job: MeasureJob, model: LoadedModel) -> dict[str, str]:
    """Say why a model has no seconds of loading or compiling: none is never told as zero."""
    reasons = {"load_s": "it is made in memory: there is no file to read", "compile_s": row_of(job.backend).uncompiled}
    return {name: reason for name, reason in reasons.items() if getattr(model, name) is None}


def _fed(model: LoadedModel, job: MeasureJob) -> Mapping[str, Array]:
    return (
        named_as(model.inputs, Maker(job.feeds, job.seed).sample(0))
        if job.feeds
        else random_feeds(model.inputs, job.seed)
    )


def _load(backend: Backend, job: MeasureJob) -> LoadedModel:
    if job.operator is not None:
        from edgebench.backends.operators.operators import make  # it brings the other runtimes' files

        return make(job.operator, backend=job.backend, precision=job.precision, threads=job.threads)
    if job.artifact is None:
        raise BackendError(f"{job.name} names neither an artifact nor an operator")
    asked = job.timing.request if isinstance(job.timing, SustainedJob) else job.timing
    if isinstance(asked, GenerateJob):
        decoder = open_decoder(job, job.artifact, asked.prompt + asked.generate, asked.batch)
        return request_of(decoder, asked, job.seed)
    return _opened(backend, job.artifact, job.threads, job.precision, job.shapes)


def _opened(backend: Backend, file: ArtifactFile, threads: int, precision: str, shapes: Shapes) -> LoadedModel:
    return backend.load(LoadSpec(Path(file.path), file.format, threads, precision, shapes=shapes))


def open_decoder(job: MeasureJob, file: ArtifactFile, context: int, sequences: int = 1) -> Reader:
    """Open a language model's file with room for `context` tokens of so many texts each."""
    if not (opener := row_of(job.backend).decoder):
        raise BackendError(f"{job.backend} generates no text: choose another backend")
    spec = LoadSpec(Path(file.path), file.format, job.threads, job.precision, job.shapes, sequences)
    decoder: Reader = resolve(opener)(spec, context)
    return decoder


def request_of(decoder: Reader, timing: GenerateJob, seed: int) -> Request:
    """Return the requests that are made again and again."""
    from edgebench.measure.reading import prompts_of  # no run of another kind reads a text

    prompts = prompts_of(decoder, timing.text, timing.prompt, timing.batch, seed)
    return decoder.request(prompts, timing.generate)


def read_text(job: MeasureJob, file: ArtifactFile, asked: ReadJob) -> Quality:
    """Let the model read a text, in a context of its own; what it cannot read is no failure of the run."""
    from edgebench.measure.reading import WINDOW, read  # a cell's other runs read nothing

    try:
        return Quality(reading=read(open_decoder(job, file, WINDOW), asked))
    except BackendError as error:
        return Quality(unread=str(error))


def quality_of(
    backend: Backend, file: ArtifactFile, threads: int, precision: str, asked: EvaluateJob, seed: int
) -> Quality:
    """Quality by the model's task, at the size it was trained at, in this very runtime."""
    from edgebench.measure.quality import evaluate  # a cell's other runs need neither data nor tasks

    return evaluate(lambda shapes: _opened(backend, file, threads, precision, shapes), asked, seed=seed)


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
