"""Runs of `edgebench ab`: one worker in one side's environment, cooled down before, repeated when disturbed."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import msgspec

import edgebench
from edgebench.ab.kept import Kept, KeptRun
from edgebench.ab.messages import PROTOCOLS, Greeting
from edgebench.ab.revision import environment_of_revision
from edgebench.compare.cells import Sample, sample_of
from edgebench.compare.policy import PERCENTILES, gauge_of
from edgebench.errors import UsageError
from edgebench.machine.child import run_child
from edgebench.machine.state import disturbance, read_state
from edgebench.measure.messages import Answer
from edgebench.measure.results import InferenceResult
from edgebench.report.catalogue import info_of
from edgebench.report.figures.energy import joules_a_pass
from edgebench.report.metric import widest
from edgebench.session.jobs import child_environment, run_job
from edgebench_probes.labels import labels_of

if TYPE_CHECKING:
    from edgebench.ab.messages import RunQuestion, SideCell
    from edgebench.measure.messages import Job
    from edgebench.measure.results import Requests, Window
    from edgebench.session.jobs import JobResult

T = TypeVar("T", bound=Answer)

# A processor this much warmer than at the start (degrees Celsius) is waited for, so long at most, before each run.
WARMER_C, LONGEST_WAIT_S = 3.0, 120.0
# A disturbed run is measured again this often, after a pause that doubles each time, then kept and counted; on a
# machine where so many were kept, waiting for quiet is over.
MAX_REPEATS, MOST_KEPT = 3, 8
_GREETING_LIMIT_S = 60.0
_OF_WINDOWS = ("energy_gross_j", "power_w", "energy_per_prompt_token_j", "energy_per_generated_token_j")
_OF_REQUESTS = ("time_to_first_token_s", "prefill_tokens_per_s", "decode_tokens_per_s", "time_per_token_s")
_SINGLE = ("load_s", "compile_s", "first_inference_s", "peak_memory_bytes")


@dataclass(frozen=True, slots=True)
class Environment:
    """One side: what the user called it, its Python, and the model file that is measured there, if it is one."""

    label: str
    python: Path
    model: Path | None = None


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
    """Runs workers and keeps count of what disturbed them; runs that are kept on the disk are not made again."""

    kept: Kept
    thermal: Thermal = field(default_factory=Thermal)
    sleep: Callable[[float], None] = time.sleep
    repeated: int = 0
    kept_disturbed: int = 0

    def run(self, side: Environment, question: RunQuestion, cell: SideCell, seed: int) -> InferenceResult | str:
        """Return the worker's result, or a sentence that says why there is none."""
        done = self.kept.next(side.label, cell.name, first=question.first)
        if done is None:
            done = self._made(side, question, cell, seed)
            self.kept.add(done)
        self.repeated += done.disturbed > 0
        self.kept_disturbed += done.kept_disturbed
        return done.result if done.result is not None else done.error or "it gave no result"

    def _made(self, side: Environment, question: RunQuestion, cell: SideCell, seed: int) -> KeptRun:
        run = partial(KeptRun, side=side.label, cell=cell.name, first=question.first)
        environment = child_environment(threads=cell.threads, isa=cell.isa, seed=seed)
        attempt = 0
        while True:
            self.thermal.wait(lambda: read_state().temperature_c)
            before = read_state()
            outcome = ask(side, question, InferenceResult, environment, cell.limit_s)
            happened = disturbance(before, read_state(), outcome.cpu_s)
            if outcome.answer is None:
                return run(error=outcome.error or "it gave no result", disturbed=attempt)
            if happened.reason is None:
                return run(result=outcome.answer, disturbed=attempt)
            if attempt == MAX_REPEATS or self.kept_disturbed >= MOST_KEPT:
                return run(result=outcome.answer, disturbed=attempt, kept_disturbed=True)
            # What disturbs is often short: give it time to end.
            self.sleep(2.0**attempt)
            attempt += 1


def environment_of(spec: str, tell: Callable[[str], None]) -> Environment:
    """Return the side that ``venv:DIR``, ``rev:REVISION``, ``model:FILE`` or the path of a Python executable names.

    A model is measured in this very environment; that of a revision is made, which `tell` hears of. Raises UsageError.
    """
    kind, _, rest = spec.partition(":")
    if kind == "rev" and rest:
        return Environment(spec, environment_of_revision(rest, tell) / "bin" / "python")
    if kind == "model" and rest:
        return Environment(spec, Path(sys.executable), Path(rest).absolute())
    if kind == "venv" and rest:
        python = Path(rest, "bin", "python")
        if not python.is_file():
            raise UsageError(f"{spec}: {rest} is no virtual environment (bin/python is missing): make it with venv")
        return Environment(spec, python.absolute())
    path = Path(spec)
    if path.is_dir():
        return environment_of(f"venv:{spec}", tell)
    if path.is_file() and os.access(path, os.X_OK):
        return Environment(spec, path.absolute())
    raise UsageError(
        f"{spec}: is no environment: name venv:DIR, rev:REVISION, model:FILE or a Python executable (container "
        "images cannot be compared yet)"
    )


def check_protocol(side: Environment) -> None:
    """Raise UsageError, naming both versions, for a side that does not speak the protocol of this edgebench."""
    lines: list[str] = []
    outcome = run_child(
        [str(side.python), "-m", "edgebench", "worker", "--protocols"],
        environment=os.environ,
        limit_s=_GREETING_LIMIT_S,
        on_line=lines.append,
    )
    theirs, spoken = "", tuple[int, ...]()
    with contextlib.suppress(msgspec.DecodeError):
        greeting = msgspec.json.decode("".join(lines[-1:]), type=Greeting)
        theirs, spoken = greeting.edgebench, greeting.protocols
    if outcome.returncode == 0 and PROTOCOLS[0] in spoken:
        return
    if not theirs and (theirs := _version(side)) == "":
        reason = outcome.failure(_GREETING_LIMIT_S) or "it said nothing"
        raise UsageError(f"{side.label}: has no edgebench that answers ({reason.rstrip('.')}): install it there")
    told = f"speaks protocol {', '.join(map(str, spoken))}" if spoken else "speaks no protocol of ab"
    raise UsageError(
        f"{side.label}: its edgebench {theirs} {told}, this edgebench {edgebench.__version__} speaks protocol "
        f"{PROTOCOLS[0]}: bring both to versions that speak the same"
    )


def _version(side: Environment) -> str:
    """Return what a side's edgebench says of its version, or nothing."""
    lines: list[str] = []
    argv = [str(side.python), "-m", "edgebench", "--version"]
    outcome = run_child(argv, environment=os.environ, limit_s=_GREETING_LIMIT_S, on_line=lines.append)
    return lines[-1].split()[-1][:40] if outcome.returncode == 0 and lines and lines[-1].strip() else ""


def ask(
    side: Environment,
    question: Job,
    kind: type[T],
    environment: Mapping[str, str],
    limit_s: float,
    on_line: Callable[[str], None] | None = None,
) -> JobResult[T]:
    """Ask a side one question in its own environment."""
    return run_job(
        "edgebench",
        question,
        (kind,),
        environment=environment,
        limit_s=limit_s,
        on_line=on_line,
        python=str(side.python),
        arguments=("worker", "--protocol", str(PROTOCOLS[0])),
    )


def _windows(name: str, result: InferenceResult) -> Sequence[Window]:
    """Return a run's windows; those of a language model's phase with tokens as passes."""
    requests = result.requests
    if name in {"energy_gross_j", "power_w"} or requests is None:
        return result.energy.windows if name in {"energy_gross_j", "power_w"} else ()
    prompt = name == "energy_per_prompt_token_j"
    phase, tokens = (requests.prefill, requests.prompt) if prompt else (requests.decode, requests.generated - 1)
    return [msgspec.structs.replace(window, passes=window.passes * tokens) for window in phase.windows]


def of_requests(name: str, requests: Requests) -> Sequence[float]:
    """Return a run's values of one speed of a language model, one a request."""
    steps = requests.generated - 1
    match name:
        case "time_to_first_token_s":
            return requests.prefill_s
        case "prefill_tokens_per_s":
            return [requests.prompt / seconds for seconds in requests.prefill_s]
        case "decode_tokens_per_s":
            return [steps / seconds for seconds in requests.decode_s]
        case _:
            return [seconds / steps for seconds in requests.decode_s]


def run_sample(metric: str, result: InferenceResult) -> Sample | None:
    """Return one run's number of a measured metric, reduced as stored reports are; None where it has none."""
    name, _, suffix = metric.partition(".")
    if gauge_of(metric).exact:
        return None
    info = info_of(name)
    scope = probe = None
    numbers: Sequence[float] = ()
    if name in _OF_WINDOWS:
        windows = _windows(name, result)
        labels = labels_of((window.probe, window.scope) for window in windows)
        label = suffix or widest(labels.values())
        chosen = [window for window in windows if labels[window.probe, window.scope] == label]
        numbers = [window.power_w if name == "power_w" else joules_a_pass(window) for window in chosen]
        if chosen:
            probe, scope = chosen[0].probe, chosen[0].scope
    elif result.requests is not None and name in _OF_REQUESTS:
        numbers = of_requests(name, result.requests)
    elif suffix in PERCENTILES:
        numbers = [getattr(result.times, f"{suffix}_s")]
    elif name == "latency_s":
        numbers = result.values
    elif name in _SINGLE and (value := getattr(result.process, name)) is not None:
        numbers = [float(value)]
    return sample_of(metric, info.unit, info.better, [numbers], scope, probe) if numbers else None
