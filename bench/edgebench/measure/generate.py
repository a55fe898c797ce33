"""Requests to a language model: reading the prompt and generating timed apart, their energy in windows of their own."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from math import hypot
from typing import TYPE_CHECKING, Any

import numpy as np

from edgebench.backends.decoder import Generation, Request, stamps_for
from edgebench.measure.messages import GenerateJob, MeasureJob
from edgebench.measure.probes import opened
from edgebench.measure.results import InferenceResult, PassTimes, Process, Requests, Window, Windows, place
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
    assert isinstance(run, Request)  # noqa: S101
    gc.collect()
    gc.freeze()
    warmed = [_request(run)[1:] for _ in range(WARM_UPS)]
    cpu_s, began_s = time.process_time(), time.perf_counter()
    answers = [_request(run) for _ in range(job.timing.requests)]
    cpu_percent = 100 * (time.process_time() - cpu_s) / (time.perf_counter() - began_s)
    process = took(cpu_percent)
    tokens, *again = [answer[0] for answer in answers]
    prefill_s = tuple(answer[1] for answer in answers)
    steps = [answer[2] for answer in answers]
    decode_s = tuple(sum(some) for some in steps)
    seconds = tuple(a + b for a, b in zip(prefill_s, decode_s, strict=True))
    prefill, decode, whole = _energy(run, job, prefill_s, decode_s)
    first, *others = map(tuple, tokens)
    requests = Requests(
        prompt=run.length,
        generated=run.count,
        prefill_s=prefill_s,
        decode_s=decode_s,
        steps=_times([step for some in steps for step in some], tuple(sum(some) / len(some) for some in steps)),
        **_course(steps, run.length),
        tokens=first,
        others=tuple(others),
        same=all(other == tokens for other in again),
        alone=_alone(run, tokens) if job.describe and others else None,
        cache_bytes=run.decoder.cache_bytes,
        prefill=prefill,
        decode=decode,
    )
    warm = tuple(first + sum(rest) for first, rest in warmed)
    return partial(
        InferenceResult,
        times=_times(seconds, seconds, warm),
        process=process,
        energy=whole,
        requests=requests,
    )


def _request(run: Request) -> tuple[list[list[int]], float, Sequence[float]]:
    """Make the requests of a pass; return their tokens, the seconds to the first ones, and those of each step."""
    stamps = stamps_for(run.count)
    found = run.stamped(stamps)
    first, *steps = ((after - before) * 1e-9 for before, after in pairwise(stamps))
    return found, first, steps


def _alone(run: Request, answers: Sequence[Sequence[int]]) -> tuple[int, ...]:
    """Return how many tokens of each answer are those of the same request made alone, up to the first that is not."""
    found = []
    for prompt, answer in zip(run.prompts, answers, strict=True):
        (alone,) = run.decoder.request((prompt,), run.count)()
        differ = (at for at, (one, other) in enumerate(zip(answer, alone, strict=True)) if one != other)
        found.append(next(differ, len(answer)))
    return tuple(found)


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
    run: Request, job: MeasureJob, prefill_s: Sequence[float], decode_s: Sequence[float]
) -> tuple[Windows, Windows, Windows]:
    """Return the windows of reading the prompt, of generating after it, and of whole requests.

    Both phases are repeated for a window's length, and a request is their sum. Where the runtime always reads before it
    generates, whole requests are repeated, and generating is what they take more than reading.
    """
    asked = job.energy
    if not asked.windows:
        return Windows(), Windows(), Windows()

    with opened(asked.probes, job.cpus) as found:
        ask = partial(
            measure_passes, probes=found.probes, count=asked.windows, target=asked.target, shortest_s=asked.window_s
        )
        prefill = found.told(ask(run.prefill, pass_s=min(prefill_s)))
        if not isinstance(run, Generation) or not run.goes_back:
            whole_s = min(a + b for a, b in zip(prefill_s, decode_s, strict=True))
            whole = found.told(ask(run, pass_s=whole_s))
            return prefill, without(whole, prefill), whole
        first = run.prefill()

        def decode() -> None:
            run.rewind()
            run.decode(first)

        generating = found.told(ask(decode, pass_s=min(decode_s)))
        return prefill, generating, joined(prefill, generating)


def joined(prefill: Windows, decode: Windows) -> Windows:
    """Return windows of whole requests, one of each pair: what a pass of each phase took, added up."""
    pairs = _pairs(prefill, decode)
    return Windows(
        windows=tuple(_combined(one, other, 1) for one, other in pairs),
        discarded=prefill.discarded + decode.discarded,
        failed={**decode.failed, **prefill.failed},
        sampler_share=prefill.sampler_share,
    )


def without(whole: Windows, prefill: Windows) -> Windows:
    """Return windows of generating, one of each pair: what a whole request took, less what reading took."""
    pairs = _pairs(whole, prefill)
    failed = {**prefill.failed, **whole.failed}
    for one, other in pairs:
        if one.pass_s <= other.pass_s or one.energy_j / one.passes <= other.energy_j / other.passes:
            failed[place(one.probe, one.scope)] = (
                "generating took less than requests differ by: ask for more tokens (--generate)"
            )
    good = [pair for pair in pairs if place(pair[0].probe, pair[0].scope) not in failed]
    return Windows(
        windows=tuple(_combined(one, other, -1) for one, other in good),
        discarded=whole.discarded,
        failed=failed,
        sampler_share=whole.sampler_share,
    )


def _pairs(first: Windows, second: Windows) -> list[tuple[Window, Window]]:
    """Return the windows of the same probe, scope and index."""
    others = {(each.probe, each.scope, each.index): each for each in second.windows}
    keys = [(one.probe, one.scope, one.index) for one in first.windows]
    return [(one, others[key]) for one, key in zip(first.windows, keys, strict=True) if key in others]


def _combined(one: Window, other: Window, sign: int) -> Window:
    """Return the window of one pass of each, added up or (`sign` -1) the second taken from the first.

    Errors of single readings add up in squares either way; what the data sheet allows is the same share of both.
    """
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
        seconds=one.pass_s + sign * other.pass_s,
        energy_j=one.energy_j * shares[0] + sign * other.energy_j * shares[1],
        uncertainty_j=hypot(one.uncertainty_j * shares[0], other.uncertainty_j * shares[1]),
        systematic_j=abs(one.systematic_j * shares[0] + sign * other.systematic_j * shares[1]),
        parts_j=parts,
        samples=min(one.samples, other.samples),
        max_gap_s=max(one.max_gap_s, other.max_gap_s),
        coverage=min(one.coverage, other.coverage),
        begin_s=min(one.begin_s, other.begin_s),
        end_s=max(one.end_s, other.end_s),
    )
