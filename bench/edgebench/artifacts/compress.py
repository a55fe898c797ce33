"""One phase of making an artifact, measured: `python -m edgebench.artifacts.compress JOB ANSWER`.

A benchmark of kind ``compress`` measures the making itself. Phase ``export`` turns the torch checkpoint into what the
other runtimes read, phase ``build`` turns that into the compressed file. Each runs in a process of its own, so that
neither's memory is the other's, and takes nothing from the store. Imports and images are loaded before a phase starts.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edgebench.artifacts.convert.build import Build, build_file, export_file, measured_bytes
from edgebench.artifacts.families import export_of, file_of, preload
from edgebench.artifacts.messages import MadeFile, PhaseJob, PhaseMade
from edgebench.artifacts.store import content_digest
from edgebench.backends.registry import get_backend
from edgebench.compress.checkpoint import load_checkpoint
from edgebench.measure.ledger import LedgerPhase, MadePhase
from edgebench.measure.messages import ArtifactFile, Clock
from edgebench.measure.phases import phase
from edgebench.measure.probes import opened
from edgebench.measure.process import answer_job
from edgebench.measure.worker import quality_of
from edgebench_suites.data.load import calibration_batches, load_data
from edgebench_suites.zoo import task_of

if TYPE_CHECKING:
    from edgebench_probes.base import Probe


def make(job: PhaseJob, started_s: float) -> PhaseMade:
    """Do the phase; `started_s` is when the process began."""
    folder = Path(job.scratch, job.phase)
    folder.mkdir()
    with opened(job.probes, job.cpus) as found:
        made = _export(job, found.probes) if job.phase == "export" else _build(job, found.probes)
    file = _finished(job, folder) if job.last else None
    return PhaseMade(phase=made, file=file, clock=Clock(started_s=started_s, finished_s=time.monotonic()))


def _export(job: PhaseJob, probes: Sequence[Probe]) -> MadePhase:
    family = export_of(job.family)
    preload(family, None)
    module, _ = load_checkpoint(Path(job.base))
    target = _exported(job)
    task = task_of(job.model)
    inputs = task.inputs(1, job.size, job.width)
    return _measured("export", probes, lambda: export_file(module, inputs, family, target, task.outputs))


def _build(job: PhaseJob, probes: Sequence[Probe]) -> MadePhase:
    build = Build(job.step, job.shapes, job.engine_int8)
    preload(job.family, build.step)
    calibration = []
    if build.calibrates:
        data = load_data(Path(job.data) if job.data else None, seed=job.seed, choice=job.choice)
        calibration = calibration_batches(data, size=job.size, count=job.calibration_images, seed=job.seed)
    target = _built(job)
    return _measured("build", probes, lambda: build_file(_exported(job), target, job.family, build, calibration))


def _measured(name: str, probes: Sequence[Probe], work: Callable[[], object]) -> MadePhase:
    ledger: list[LedgerPhase] = []
    cpu_s = time.process_time()
    with phase(name, ledger, probes):
        work()
    return MadePhase(cost=ledger[0], cpu_s=time.process_time() - cpu_s)


def _finished(job: PhaseJob, folder: Path) -> MadeFile:
    """What the last phase left: size, digest and (asked of the first run) the quality of the file itself."""
    backend = get_backend(job.backend)
    quality = None
    if job.evaluate is not None:
        file = ArtifactFile(str(_built(job) if job.phase == "build" else _exported(job)), job.family)
        quality = quality_of(backend, file, job.threads, job.precision, job.evaluate, job.seed)
    return MadeFile(
        size_bytes=measured_bytes(folder, job.family, job.shapes),
        digest=content_digest(folder),
        format=job.family,
        versions=backend.versions(),
        quality=quality,
    )


def _exported(job: PhaseJob) -> Path:
    return Path(job.scratch, "export", file_of(export_of(job.family)))


def _built(job: PhaseJob) -> Path:
    return Path(job.scratch, "build", file_of(job.family))


if __name__ == "__main__":
    sys.exit(answer_job(sys.argv[1:], PhaseJob, make))
