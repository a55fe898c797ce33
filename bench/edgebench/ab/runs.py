"""Runs of `edgebench ab`: one worker in one side's environment, cooled down before, repeated when disturbed."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgebench.compare.cells import Sample, sample_of
from edgebench.compare.policy import PERCENTILES, gauge_of
from edgebench.errors import UsageError
from edgebench.machine.facts import disturbance, read_state
from edgebench.report.metric import info_of, widest_scope
from edgebench.session.jobs import child_environment, run_job

# A processor this much warmer than at the start (degrees Celsius) is waited for, so long at most, before each run.
WARMER_C, LONGEST_WAIT_S = 3.0, 120.0
# A disturbed run is measured again this often, after a pause that doubles each time, then kept and counted; on a
# machine where so many were kept, waiting for quiet is over.
MAX_REPEATS, MOST_KEPT = 3, 8
_SINGLE = ("load_s", "compile_s", "first_inference_s", "peak_memory_bytes")


@dataclass(frozen=True, slots=True)
class Environment:
    """One side: what the user called it, and its Python."""

    label: str
    python: Path


@dataclass(slots=True)
class Thermal:
    """The temperature to come back to before each run, and how long was waited for it in all."""

    target_c: float | None = None
    waited_s: float = 0.0
    gave_up: int = 0

    def wait(self, read: Callable[[], float | None], sleep: Callable[[float], None] = time.sleep) -> None:
        """Wait until the processor is back at the first temperature that was read, two minutes at most."""
        now_c = read()
        if self.target_c is None:
            self.target_c = now_c
            return
        waited_s = 0.0
        while now_c is not None and now_c > self.target_c + WARMER_C:
            if waited_s >= LONGEST_WAIT_S:
                self.gave_up += 1
                break
            sleep(1.0)
            waited_s += 1.0
            now_c = read()
        self.waited_s += waited_s


@dataclass(slots=True)
class Runner:
    """Runs workers and keeps count of what disturbed them."""

    thermal: Thermal = field(default_factory=Thermal)
    sleep: Callable[[float], None] = time.sleep
    repeated: int = 0
    kept_disturbed: int = 0

    def run(self, side: Environment, job: Mapping[str, Any], params: Mapping[str, Any], limit_s: float) -> Any:
        """Return the worker's result, or a sentence that says why there is none."""
        environment = child_environment(threads=params["threads"], isa=params["isa"], seed=job["seed"])
        for attempt in range(MAX_REPEATS + 1):
            self.thermal.wait(lambda: read_state().temperature_c)
            before = read_state()
            result, cpu_s = call(side, "edgebench.measure.worker", job, environment, limit_s)
            happened = disturbance(before, read_state(), cpu_s)
            if isinstance(result, str) or happened.reason is None:
                return result
            if attempt == MAX_REPEATS or self.kept_disturbed >= MOST_KEPT:
                break
            self.repeated += attempt == 0
            # What disturbs is often short: give it time to end.
            self.sleep(2.0**attempt)
        self.kept_disturbed += 1
        return result


def environment_of(spec: str) -> Environment:
    """Return the environment that ``venv:DIR`` or the path of a Python executable names. Raises UsageError."""
    kind, _, rest = spec.partition(":")
    if kind == "venv" and rest:
        python = Path(rest, "bin", "python")
        if not python.is_file():
            raise UsageError(f"{spec}: {rest} is no virtual environment (bin/python is missing): make it with venv")
        return Environment(spec, python.absolute())
    path = Path(spec)
    if path.is_dir():
        return environment_of(f"venv:{spec}")
    if path.is_file() and os.access(path, os.X_OK):
        return Environment(spec, path.absolute())
    raise UsageError(
        f"{spec}: is no environment: name venv:DIR or a Python executable (container images cannot be compared yet)"
    )


def call(
    side: Environment,
    module: str,
    request: Mapping[str, Any],
    environment: Mapping[str, str],
    limit_s: float,
    on_line: Callable[[str], None] | None = None,
) -> tuple[Any, float]:
    """Run ``PYTHON -m MODULE REQUEST.json`` in a side's environment.

    Return its result, or a sentence that says why there is none, and the processor time it took in seconds.
    """
    outcome = run_job(
        module, request, environment=environment, limit_s=limit_s, on_line=on_line, python=str(side.python)
    )
    return (dict(outcome.data) if outcome.error is None else outcome.error), outcome.cpu_s


def run_sample(metric: str, result: Mapping[str, Any]) -> Sample | None:
    """Return one run's number of a measured metric, reduced as stored reports are; None where it has none."""
    name, _, suffix = metric.partition(".")
    if gauge_of(metric).exact:
        return None
    info = info_of(name)
    scope = probe = None
    if name in {"energy_gross_j", "power_w"}:
        windows = result.get("energy", {}).get("windows", [])
        scope = suffix or widest_scope({window["scope"] for window in windows})
        chosen = [window for window in windows if window["scope"] == scope]
        numbers = [window["power_w" if name == "power_w" else "energy_j"] for window in chosen]
        probe = chosen[0]["probe"] if chosen else None
    elif suffix in PERCENTILES:
        numbers = [result[f"pass_{suffix}_s"]]
    elif name == "latency_s":
        numbers = result["values"]
    elif name in _SINGLE and result.get(name) is not None:
        numbers = [float(result[name])]
    else:
        numbers = []
    return sample_of(metric, info.unit, info.better, [numbers], scope, probe) if numbers else None
