"""One run: `python -m edgebench.measure.worker JOB.json` is one pyperf worker process.

It writes its result beside the job. The order is fixed: affinity, runtime, load, compile, first inference, timed values
(pyperf), peak memory, energy windows, then accuracy and executed layers, so that nothing later can disturb what was
measured before it.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgebench.backends.base import LoadSpec
from edgebench.backends.executed import count_compute, is_compute
from edgebench.backends.operators.operators import make
from edgebench.backends.registry import get_backend
from edgebench.errors import BackendError, EdgebenchError
from edgebench.machine.child import die_with_parent
from edgebench.measure.inference import timed_values
from edgebench.measure.phases import peak_memory_bytes
from edgebench.measure.probes import ProbeSettings, opened, sampler_share
from edgebench.measure.quality import evaluate
from edgebench.measure.sustained import sustain
from edgebench.measure.windows import measure_passes
from edgebench_suites.errors import SuiteDataError
from edgebench_suites.operators import OPERATORS

if TYPE_CHECKING:
    from edgebench.backends.base import Backend, LoadedModel

    Feeds = dict[str, Any]


def main(job_file: str) -> int:
    """Do the job; the result, or the reason why there is none, goes to the job's `result` file."""
    started_s = time.monotonic()
    die_with_parent()
    job = json.loads(Path(job_file).read_text(encoding="utf-8"))
    os.sched_setaffinity(0, job["cpus"])
    try:
        result = measure(job)
    except (EdgebenchError, SuiteDataError) as error:
        result = {"error": str(error)}
    result["clock"] = {"started": started_s, "finished": time.monotonic(), **result.get("clock", {})}
    Path(job["result"]).write_text(json.dumps(result), encoding="utf-8")
    return 0


def measure(job: Mapping[str, Any]) -> dict[str, Any]:
    """Measure one run of one benchmark as the job says."""
    backend = get_backend(job["backend"])
    if reason := backend.unavailable():
        raise BackendError(reason)
    versions = backend.versions()
    loading_s = time.monotonic()
    model = _load(backend, job)
    run = model.bind(_feeds(model, job["seed"]))
    begun = time.perf_counter()
    run()
    first_s = time.perf_counter() - begun
    measuring_s = time.monotonic()
    if job.get("sustained_s"):
        timing = _sustained(run, job)
    else:
        passes, timing = timed_values(run, job)
        timing["cpu_percent"] = 100 * passes.cpu_s / passes.wall_s
    result: dict[str, Any] = {
        **timing,
        "load_s": model.load_s,
        "compile_s": model.compile_s,
        "first_inference_s": first_s,
        "peak_memory_bytes": peak_memory_bytes(),
        "inputs": [{"name": spec.name, "shape": spec.shape, "dtype": spec.dtype} for spec in model.inputs],
        "versions": versions,
        "tokens_a_pass": job["tokens"],
    }
    energy = job["energy"]
    if energy is not None and "sustained" not in timing:
        result["energy"] = _energy(run, result["pass_p50_s"], energy, job["cpus"])
    measured_s = time.monotonic()
    if job["describe"]:
        # Some runtimes tell only of a pass that is watched: nothing is timed after this.
        result["settings"] = model.effective()
        result["layers"] = _layers(model, "fp32" if job["weights_only"] else job["precision"])
    if job["operator"]:
        operator = OPERATORS[job["operator"]]
        result["operator"] = {"operations": operator.operations, "bytes": operator.bytes_moved(job["precision"])}
    if job["evaluate"] is not None:
        del run
        result |= quality_of(backend, job)
    result["clock"] = {"loading": loading_s, "measuring": measuring_s, "measured": measured_s}
    return result


def _sustained(run: Callable[[], object], job: Mapping[str, Any]) -> dict[str, Any]:
    """Run without a pause for as long as the job says, every probe marked once a second."""
    energy = job["energy"] or {"specs": (), "sysfs": "", "windows": 0}
    with contextlib.ExitStack() as stack:
        probes = []
        if energy["windows"]:
            probes = stack.enter_context(opened(ProbeSettings(tuple(energy["specs"]), energy["sysfs"]), job["cpus"]))
        gc.collect()
        gc.freeze()
        return sustain(run, probes, job["sustained_s"])


def _load(backend: Backend, job: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]] | None = None) -> LoadedModel:
    if job["operator"]:
        return make(job["operator"], backend=job["backend"], precision=job["precision"], threads=job["threads"])
    if shapes is None:
        shapes = {name: tuple(given) for name, given in job["shapes"].items()}
    artifact = job["artifact"]
    return backend.load(
        LoadSpec(Path(artifact["path"]), artifact["format"], job["threads"], job["precision"], shapes=shapes)
    )


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


def _layers(model: LoadedModel, asked: str) -> dict[str, Any] | None:
    """Count the layers that multiply by the precision they were executed in; in INT8 the others fell back."""
    layers = model.layers()
    if not layers:
        return None
    fallback = [
        f"{layer.name[:200]} ({layer.type}, {layer.precision})"
        for layer in layers
        if asked == "int8" and is_compute(layer) and layer.precision != "int8"
    ]
    source = getattr(model, "layers_source", None)
    return {"source": source, "executed": len(layers), "counts": count_compute(layers), "fallback": fallback}


def _energy(run: Callable[[], object], pass_s: float, energy: Mapping[str, Any], cpus: Sequence[int]) -> dict[str, Any]:
    with opened(ProbeSettings(tuple(energy["specs"]), energy["sysfs"]), cpus) as probes:
        result = measure_passes(
            run,
            probes,
            pass_s=pass_s,
            count=energy["windows"],
            target=energy["target"],
            shortest_s=energy["window_s"],
        )
        shares = {f"{probe.info.name}:{probe.info.scope}": sampler_share(probe) for probe in probes}
    windows = [asdict(window) for window in result.windows]
    return {"windows": windows, "discarded": result.discarded, "failed": result.failed, "sampler_share": shares}


def quality_of(backend: Backend, job: Mapping[str, Any]) -> dict[str, Any]:
    """Quality by the model's task, at the size it was trained at, in this very runtime."""
    return evaluate(lambda shapes: _load(backend, job, shapes), job["evaluate"], seed=job["seed"])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
