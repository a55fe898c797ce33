"""Requests to a language model: reading the prompt and generating timed apart, their energy in windows of their own."""

from __future__ import annotations

import gc
import time
from array import array
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from math import hypot
from typing import TYPE_CHECKING, Any

import numpy as np

from edgebench.backends.decoder import Generation
from edgebench.measure.messages import GenerateJob, MeasureJob
from edgebench.measure.probes import opened
from edgebench.measure.results import InferenceResult, PassTimes, Process, Requests, Window, Windows
from edgebench.measure.windows import measure_passes

if TYPE_CHECKING:
    from edgebench.measure.results import ModelAnswer

# How many bins the course over the context has: enough to see a slope, and each with steps enough for a median.
BINS = 16
# Requests that are not counted: the first one of all was made by the worker already.
WARM_UPS = 1


def generated(
    run: Callable[[], object], job: MeasureJob, took: Callable[[float], Process]
) -> Callable[..., ModelAnswer]:
    """Time requests and the steps in them, then measure the energy of both phases."""
    assert isinstance(job.timing, GenerateJob)  # noqa: S101  # what the kind of benchmark asks for
    assert isinstance(run, Generation)  # noqa: S101
    gc.collect()
    gc.freeze()
    warmed = [_request(run)[1:] for _ in range(WARM_UPS)]
    cpu_s, began_s = time.process_time(), time.perf_counter()
    answers = [_request(run) for _ in range(job.timing.requests)]
    cpu_percent = 100 * (time.process_time() - cpu_s) / (time.perf_counter() - began_s)
    process = took(cpu_percent)
    tokens = [answer[0] for answer in answers]
    prefill_s = tuple(answer[1] for answer in answers)
    steps = [answer[2] for answer in answers]
    decode_s = tuple(sum(some) for some in steps)
    seconds = tuple(a + b for a, b in zip(prefill_s, decode_s, strict=True))
    prefill, decode = _energy(run, job, prefill_s, decode_s)
    prompt, count = len(run.prompt), run.count
    requests = Requests(
        prompt=prompt,
        generated=count,
        prefill_s=prefill_s,
        decode_s=decode_s,
        steps=_times([step for some in steps for step in some], tuple(sum(some) / len(some) for some in steps)),
        **_course(steps, prompt),
        tokens=tuple(tokens[0]),
        same=all(other == tokens[0] for other in tokens),
        cache_bytes=run.decoder.cache_bytes,
        prefill=prefill,
        decode=decode,
    )
    warm = tuple(first + sum(rest) for first, rest in warmed)
    return partial(
        InferenceResult,
        times=_times(seconds, seconds, warm),
        process=process,
        energy=joined(prefill, decode),
        requests=requests,
    )


def _request(run: Generation) -> tuple[list[int], float, Sequence[float]]:
    """Make one request; return its tokens, the seconds to the first of them, and those of each step after it."""
    step, clock = run.decoder.step, time.perf_counter_ns
    stamps = array("q", bytes(8 * run.count))
    began = clock()
    token = run.prefill()
    stamps[0] = clock()
    found = [token]
    for index in range(1, run.count):
        token = step(token)
        found.append(token)
        stamps[index] = clock()
    steps = [(stamps[index] - stamps[index - 1]) * 1e-9 for index in range(1, run.count)]
    return found, (stamps[0] - began) * 1e-9, steps


def _times(single: Sequence[float], values: tuple[float, ...], warmups: tuple[float, ...] = ()) -> PassTimes:
    p50, p90, p95, p99 = (float(value) for value in np.percentile(single, [50, 90, 95, 99]))
    return PassTimes(
        values=values,
        warmups=warmups,
        loops=1,
        passes=len(single),
        p50_s=p50,
        p90_s=p90,
        p95_s=p95,
        p99_s=p99,
        min_s=float(min(single)),
        max_s=float(max(single)),
    )


def _course(steps: Sequence[Sequence[float]], prompt: int) -> dict[str, Any]:
    """Return the median step by place in the context: step `i` reads the token at place ``prompt + i``."""
    table: Any = np.array(steps)
    cuts = [int(cut) for cut in np.unique(np.linspace(0, table.shape[1], min(BINS, table.shape[1]) + 1).astype(int))]
    return {
        "edges": tuple(prompt + cut for cut in cuts),
        "course": tuple(float(np.median(table[:, a:b])) for a, b in pairwise(cuts)),
    }


def _energy(
    run: Generation, job: MeasureJob, prefill_s: Sequence[float], decode_s: Sequence[float]
) -> tuple[Windows, Windows]:
    """Return the windows of reading the prompt, and of generating after it, each repeated for a window's length."""
    asked = job.energy
    if not asked.windows:
        return Windows(), Windows()

    def decode() -> None:
        run.rewind()
        run.decode(first)

    with opened(asked.probes, job.cpus) as found:
        ask = partial(
            measure_passes, probes=found.probes, count=asked.windows, target=asked.target, shortest_s=asked.window_s
        )
        prefill = ask(run.prefill, pass_s=min(prefill_s))
        first = run.prefill()
        return found.told(prefill), found.told(ask(decode, pass_s=min(decode_s)))


def joined(prefill: Windows, decode: Windows) -> Windows:
    """Return windows of whole requests, one of each pair: what a pass of each phase took, added up."""
    windows = []
    for one in prefill.windows:
        key = (one.probe, one.scope, one.index)
        other = next((each for each in decode.windows if (each.probe, each.scope, each.index) == key), None)
        if other is not None:
            windows.append(_sum(one, other))
    return Windows(
        windows=tuple(windows),
        discarded=prefill.discarded + decode.discarded,
        failed={**decode.failed, **prefill.failed},
        sampler_share=prefill.sampler_share,
    )


def _sum(one: Window, other: Window) -> Window:
    shares = 1 / one.passes, 1 / other.passes
    parts = {
        name: hypot(one.parts_j.get(name, 0.0) * shares[0], other.parts_j.get(name, 0.0) * shares[1])
        for name in {*one.parts_j, *other.parts_j}
    }
    return Window(
        probe=one.probe,
        scope=one.scope,
        index=one.index,
        passes=1,
        seconds=one.pass_s + other.pass_s,
        energy_j=one.energy_j * shares[0] + other.energy_j * shares[1],
        uncertainty_j=hypot(one.uncertainty_j * shares[0], other.uncertainty_j * shares[1]),
        systematic_j=one.systematic_j * shares[0] + other.systematic_j * shares[1],
        parts_j=parts,
        samples=min(one.samples, other.samples),
        max_gap_s=max(one.max_gap_s, other.max_gap_s),
        coverage=min(one.coverage, other.coverage),
        begin_s=one.begin_s,
        end_s=other.end_s,
    )
