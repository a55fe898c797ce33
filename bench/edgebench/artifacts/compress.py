"""One phase of making an artifact, measured: `python -m edgebench.artifacts.compress JOB.json`.

A benchmark of kind ``compress`` measures the making itself. Phase ``export`` turns the torch checkpoint into what the
other runtimes read, phase ``build`` turns that into the compressed file. Each runs in a process of its own, so that
neither's memory is the other's, and takes nothing from the store. Imports and images are loaded before a phase starts.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgebench.artifacts.convert.build import Build, build_file, export_file, measured_bytes
from edgebench.artifacts.families import EXPORTS, FILES, preload
from edgebench.artifacts.store import content_digest
from edgebench.backends.registry import get_backend
from edgebench.compress.checkpoint import load_checkpoint
from edgebench.errors import EdgebenchError
from edgebench.machine.child import die_with_parent
from edgebench.measure.phases import phase
from edgebench.measure.probes import ProbeSettings, opened
from edgebench.measure.worker import quality_of
from edgebench_suites.data.dataset import DataChoice
from edgebench_suites.data.load import calibration_batches, load_data
from edgebench_suites.errors import SuiteDataError
from edgebench_suites.zoo import task_of

if TYPE_CHECKING:
    from edgebench_probes.base import Probe


def main(job_file: str) -> int:
    """Do the phase; what it cost, or the reason why it failed, goes to the job's `result` file."""
    started_s = time.monotonic()
    die_with_parent()
    job = json.loads(Path(job_file).read_text(encoding="utf-8"))
    os.sched_setaffinity(0, job["cpus"])
    Path(job["scratch"], job["phase"]).mkdir()
    try:
        with opened(ProbeSettings(tuple(job["probes"]["specs"]), job["probes"]["sysfs"]), job["cpus"]) as probes:
            result = _export(job, probes) if job["phase"] == "export" else _build(job, probes)
        result |= _finished(job)
    except (EdgebenchError, SuiteDataError) as error:
        result = {"error": str(error)}
    result["clock"] = {"started": started_s, "finished": time.monotonic()}
    Path(job["result"]).write_text(json.dumps(result), encoding="utf-8")
    return 0


def _export(job: Mapping[str, Any], probes: Sequence[Probe]) -> dict[str, Any]:

    family = EXPORTS[job["family"]]
    preload(family, None)
    module, _ = load_checkpoint(Path(job["base"]))
    target = _exported(job)
    task = task_of(job["model"])
    inputs = task.inputs(1, job["size"], job["width"])
    return _measured("export", probes, lambda: export_file(module, inputs, family, target, task.outputs))


def _build(job: Mapping[str, Any], probes: Sequence[Probe]) -> dict[str, Any]:
    build = Build(job["step"], tuple(map(tuple, job["shapes"])), job["engine_int8"])
    preload(job["family"], build.step)
    calibration = []
    if build.calibrates:
        folder, choice = job["data"], DataChoice.of(job["choice"])
        data = load_data(Path(folder) if folder else None, seed=job["seed"], choice=choice)
        calibration = calibration_batches(data, size=job["size"], count=job["calibration_images"], seed=job["seed"])
    target = _built(job)
    return _measured("build", probes, lambda: build_file(_exported(job), target, job["family"], build, calibration))


def _measured(name: str, probes: Sequence[Probe], work: Any) -> dict[str, Any]:
    ledger: list[dict[str, Any]] = []
    cpu_s = time.process_time()
    with phase(name, ledger, probes):
        work()
    return {"phase": {**ledger[0], "cpu_s": time.process_time() - cpu_s}}


def _finished(job: Mapping[str, Any]) -> dict[str, Any]:
    """What the last phase left: size, digest and (asked of the first run) the accuracy of the file itself."""
    if not job["last"]:
        return {}

    backend = get_backend(job["backend"])
    path = _built(job) if job["phase"] == "build" else _exported(job)
    folder = Path(job["scratch"], job["phase"])
    found: dict[str, Any] = {
        "size_bytes": measured_bytes(folder, job["family"], [tuple(shape) for shape in job["shapes"]]),
        "digest": content_digest(folder),
        "format": job["family"],
        "versions": backend.versions(),
    }
    if job["evaluate"] is not None:
        artifact = {"path": str(path), "format": job["family"]}
        found |= quality_of(backend, {**job, "artifact": artifact, "shapes": {}})
    return found


def _exported(job: Mapping[str, Any]) -> Path:
    return Path(job["scratch"], "export", FILES[EXPORTS[job["family"]]])


def _built(job: Mapping[str, Any]) -> Path:
    return Path(job["scratch"], "build", FILES[job["family"]])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
