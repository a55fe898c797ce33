"""The roofs of this machine, once a thread count: from the cache, or measured in a process of their own."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from edgebench.backends.fitness import Asked, why_not
from edgebench.backends.registry import get_backend, rows
from edgebench.machine.facts import cpus_for
from edgebench.measure.roof_messages import RoofJob, RoofResult
from edgebench.plan.digest import digest_of
from edgebench.plan.estimate import roof_threads
from edgebench.report.records import RoofRecord
from edgebench.session.jobs import child_environment, run_job
from edgebench_suites.operators import PRODUCT

if TYPE_CHECKING:
    from edgebench.machine.facts import MachineFacts
    from edgebench.plan.plan import Plan
    from edgebench.report.log import Log
    from edgebench.session.options import Options, Progress

# It starts quicker than the others, which matters to a session of a minute.
_FIRST = "openvino"
_LIMIT_S = 120.0
# Rounds further apart than this were disturbed: such a measurement is kept for a day, a good one until a change.
_APART = 0.15
_DAY_S = 86_400.0
_METHOD = 1


def measure_roofs(plan: Plan, options: Options, log: Log, progress: Progress) -> None:
    """Put down the roofs for every thread count of the plan that runs operators or single passes."""
    if log.start is None:
        return
    for threads in sorted(roof_threads(plan) - {record.threads for record in log.roofs()}):
        log.add(_roof(threads, plan, options, log.start.machine, progress))
        progress.advance(f"roofs {threads}")


def _roof(threads: int, plan: Plan, options: Options, machine: MachineFacts, progress: Progress) -> RoofRecord:
    able = [name for name, row in rows().items() if row.operators]
    backend = next(
        (
            name
            for name in sorted(able, key=lambda name: name != _FIRST)
            if why_not(name, Asked("fp32", operator=PRODUCT)) is None
        ),
        None,
    )
    if backend is None:
        reason = f"the peak of this machine is measured through {' or '.join(able)}, and none is installed"
        return RoofRecord(threads=threads, error=reason)
    cpus = tuple(cpus_for(threads, options.cpus))
    file = options.cache / "roofs" / f"{_key(machine, backend, cpus, threads)[:24]}.json"
    if (kept := _kept(file)) is not None:
        return kept
    told = f"what this machine can do at most, {threads} thread{'s' if threads > 1 else ''}"
    progress.step("measure", told, f"roofs {threads}")
    outcome = run_job(
        "edgebench.measure.roofs",
        RoofJob(backend=backend, threads=threads, cpus=cpus),
        (RoofResult,),
        environment=child_environment(threads=threads, isa="none", seed=plan.seed),
        limit_s=_LIMIT_S,
    )
    created = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    record = RoofRecord(threads=threads, created=created, result=outcome.answer, error=outcome.error)
    if outcome.answer is not None:
        # A cache that cannot be written costs the next session two seconds.
        with suppress(OSError):
            _keep(file, record)
    return record


def _key(machine: MachineFacts, backend: str, cpus: tuple[int, ...], threads: int) -> str:
    """Return what a roof holds for: the machine and its state as far as it is set, the runtime, the threads."""
    facts = asdict(machine)
    for changing in ("container", "cpus_used", "os"):
        del facts[changing]
    return digest_of([_METHOD, facts, backend, get_backend(backend).versions(), cpus, threads])


def _kept(file: Path) -> RoofRecord | None:
    """Return an earlier measurement, unless it was disturbed and is a day old."""
    try:
        record = msgspec.json.decode(file.read_bytes(), type=RoofRecord)
        age_s = time.time() - file.stat().st_mtime
    except (OSError, msgspec.DecodeError):
        return None
    if record.result is None:
        return None
    peaks = [record.result.bytes_per_s, *record.result.operations_per_s.values()]
    disturbed = any(peak.high - peak.low > _APART * peak.value for peak in peaks)
    return None if disturbed and age_s > _DAY_S else record


def _keep(file: Path, record: RoofRecord) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    # Beside it and renamed: another session never reads half of it.
    half = file.with_suffix(f".{time.monotonic_ns()}.part")
    half.write_bytes(msgspec.json.encode(record))
    half.replace(file)
