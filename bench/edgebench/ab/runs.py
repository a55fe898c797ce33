"""Runs of `edgebench ab`: one worker in one side's environment, cooled down before, repeated when disturbed."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from edgebench.ab.kept import Kept, KeptRun
from edgebench.ab.sides import ask
from edgebench.compare.cells import Sample, sample_of
from edgebench.compare.policy import PERCENTILES, gauge_of
from edgebench.machine.state import disturbance, read_state
from edgebench.measure.results import InferenceResult
from edgebench.report.catalogue import info_of
from edgebench.report.figures.energy import joules_a_pass
from edgebench.report.metric import widest
from edgebench.session.jobs import runtime_environment
from edgebench_probes.labels import labels_of

if TYPE_CHECKING:
    from edgebench.ab.messages import RunQuestion, SideCell
    from edgebench.ab.sides import Environment
    from edgebench.measure.results import Requests, Window

# A processor this much warmer than at the start (degrees Celsius) is waited for, so long at most, before each run.
WARMER_C, LONGEST_WAIT_S = 3.0, 120.0
# A disturbed run is measured again this often, after a pause that doubles each time, then kept and counted; on a
# machine where so many were kept, waiting for quiet is over.
MAX_REPEATS, MOST_KEPT = 3, 8
_OF_WINDOWS = ("energy_gross_j", "power_w", "energy_per_prompt_token_j", "energy_per_generated_token_j")
_OF_REQUESTS = ("time_to_first_token_s", "prefill_tokens_per_s", "decode_tokens_per_s", "time_per_token_s")
_SINGLE = ("load_s", "compile_s", "first_inference_s", "peak_memory_bytes")


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

    def run(self, side: Environment, question: RunQuestion, cell: SideCell, seed: int) -> KeptRun:
        """Return the run: the worker's result, or a sentence that says why there is none."""
        done = self.kept.next(side.label, cell.name, first=question.first)
        if done is None:
            done = self._made(side, question, cell, seed)
            self.kept.add(done)
        self.repeated += done.disturbed > 0
        self.kept_disturbed += done.kept_disturbed
        return done

    def _made(self, side: Environment, question: RunQuestion, cell: SideCell, seed: int) -> KeptRun:
        run = partial(KeptRun, side=side.label, cell=cell.name, first=question.first)
        environment = runtime_environment(threads=cell.threads, isa=cell.isa, seed=seed)
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


def _windows(name: str, result: InferenceResult) -> Sequence[Window]:
    """Return a run's windows; those of a language model's phase with tokens as passes."""
    requests = result.requests
    if name in {"energy_gross_j", "power_w"} or requests is None:
        return result.energy.windows if name in {"energy_gross_j", "power_w"} else ()
    prompt = name == "energy_per_prompt_token_j"
    phase, tokens = (requests.prefill, requests.read) if prompt else (requests.decode, requests.stepped)
    return [msgspec.structs.replace(window, passes=window.passes * tokens) for window in phase.windows]


def of_requests(name: str, requests: Requests) -> Sequence[float]:
    """Return a run's values of one speed of a language model, one a request."""
    match name:
        case "time_to_first_token_s":
            return requests.prefill_s
        case "prefill_tokens_per_s":
            return [requests.read / seconds for seconds in requests.prefill_s]
        case "decode_tokens_per_s":
            return [requests.stepped / seconds for seconds in requests.decode_s]
        case _:
            return [seconds / (requests.generated - 1) for seconds in requests.decode_s]


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
