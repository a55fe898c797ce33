"""The metrics of requests to a language model: reading the prompt and generating apart, and how it foresees a text.

A pass is a whole request, or a batch of them made at once: latency and joules of a benchmark are those of a pass, and a
token of each phase has its own.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING

from msgspec.structs import replace

from edgebench.measure.results import InferenceResult
from edgebench.report.course import ContextBin, Generated
from edgebench.report.figures.energy import energy
from edgebench.report.figures.given import Figures, Given
from edgebench.report.figures.inference import of_artifact, of_process
from edgebench.report.metric import Metrics, Reasons, metric_from_runs, single_value
from edgebench.report.quantity import Missing, Passes
from edgebench.report.records import of_kind

if TYPE_CHECKING:
    from edgebench.measure.ledger import IdlePower
    from edgebench.measure.results import Batch, Quality, Requests, Windows
    from edgebench.plan.plan import Benchmark
    from edgebench.report.records import RunRecord, StartRecord

# What the joules of a pass are called where a pass is a token of one phase.
PROMPT: Mapping[str, str] = {
    "energy_gross_j": "energy_per_prompt_token_j",
    "energy_net_j": "energy_per_prompt_token_net_j",
    "power_w": "prefill_power_w",
}
GENERATED: Mapping[str, str] = {
    "energy_gross_j": "energy_per_generated_token_j",
    "energy_net_j": "energy_per_generated_token_net_j",
    "power_w": "decode_power_w",
}


def figures(cell: Benchmark, runs: Sequence[RunRecord], given: Given) -> Figures:
    """Return the figures of a finished benchmark of kind ``generate``, with how its steps grow with the context."""
    results = of_kind(runs, InferenceResult)
    found: Metrics = {}
    missing: Reasons = {}
    requests = [result.requests for result in results if result.requests is not None]
    found["latency_s"] = metric_from_runs("latency_s", [result.values for result in results])
    _speeds(requests, found, missing)
    of_process(results, given.start, found, missing)
    _memory(results, requests, found, missing)
    if given.artifact is not None:
        found["size_bytes"] = single_value("size_bytes", given.artifact.size_bytes)
        of_artifact(cell, given.artifact, found, missing)
    _quality(results[0].quality, found, missing)
    energy(cell, [result.energy for result in results], given.idle, given.start, found, missing)
    first = requests[0]
    _tokens(cell, [one.prefill for one in requests], first.read, PROMPT, given.idle, given.start, found, missing)
    _tokens(cell, [one.decode for one in requests], first.stepped, GENERATED, given.idle, given.start, found, missing)
    return Figures(found, missing, {"generated": _generated(requests)})


def _speeds(requests: Sequence[Requests], found: Metrics, missing: Reasons) -> None:
    """Seconds and tokens a second of both phases; the first tokens come from reading, the others from steps."""
    prompts = [one.prefill_s for one in requests]
    answers = [one.decode_s for one in requests]
    found["time_to_first_token_s"] = metric_from_runs("time_to_first_token_s", prompts)
    rates = [[requests[0].read / seconds for seconds in run] for run in prompts]
    found["prefill_tokens_per_s"] = metric_from_runs("prefill_tokens_per_s", rates)
    rates = [[requests[0].stepped / seconds for seconds in run] for run in answers]
    found["decode_tokens_per_s"] = metric_from_runs("decode_tokens_per_s", rates)
    times = [one.steps for one in requests]
    passes = Passes(
        count=sum(one.passes for one in times),
        p50=tuple(one.p50_s for one in times),
        p90=tuple(one.p90_s for one in times),
        p95=tuple(one.p95_s for one in times),
        p99=tuple(one.p99_s for one in times),
    )
    found["time_per_token_s"] = metric_from_runs("time_per_token_s", [one.values for one in times], passes=passes)
    slopes = [slope for one in requests if (slope := _slowdown(one)) is not None]
    if len(slopes) == len(requests):
        found["context_slowdown"] = metric_from_runs("context_slowdown", [[slope] for slope in slopes])
    else:
        missing["context_slowdown"] = Missing(
            reason=f"{requests[0].generated} generated tokens are too few to tell how a step grows",
            fix="ask for more (--generate)",
        )


def _slowdown(one: Requests) -> float | None:
    """Return the median step in the last quarter of the context that was generated over that in the first."""
    if len(one.course) < 8:
        return None
    quarter = len(one.course) // 4
    first, last = one.course[:quarter], one.course[-quarter:]
    return median(last) / median(first)


def _memory(results: Sequence[InferenceResult], requests: Sequence[Requests], found: Metrics, missing: Reasons) -> None:
    """The room of the cache, and the peak of the process without it."""
    cache = requests[0].cache_bytes
    names = ("kv_cache_bytes", "peak_memory_without_cache_bytes")
    if cache is None:
        missing |= dict.fromkeys(names, Missing(reason="the runtime does not tell how large its key-value cache is"))
        return
    found[names[0]] = single_value(names[0], cache)
    peaks = [peak for result in results if (peak := result.process.peak_memory_bytes) is not None]
    if len(peaks) < len(results):
        missing[names[1]] = Missing(reason="the system does not tell the peak memory of a process")
        return
    found[names[1]] = metric_from_runs(names[1], [[float(max(0, peak - cache))] for peak in peaks])


def _quality(quality: Quality | None, found: Metrics, missing: Reasons) -> None:
    read = None if quality is None else quality.reading
    if read is None:
        why = (None if quality is None else quality.unread) or "no run of this benchmark read a text"
        missing |= {name: Missing(reason=why) for name in ("perplexity", "agreement_top1")}
        return
    found["perplexity"] = single_value("perplexity", math.exp(read.nll), images=read.scored)
    if read.same is None:
        missing["agreement_top1"] = Missing(reason=read.why_not or "there is nothing to compare with")
    else:
        found["agreement_top1"] = single_value("agreement_top1", read.same, images=read.scored)


def _tokens(
    cell: Benchmark,
    runs: Sequence[Windows],
    tokens: int,
    names: Mapping[str, str],
    idle: Sequence[IdlePower],
    start: StartRecord,
    found: Metrics,
    missing: Reasons,
) -> None:
    """Joules and power of one phase by the token: its windows, with `tokens` in each of their passes."""
    of_phase: Metrics = {}
    reasons: Reasons = {}
    energy(cell, [by_token(run, tokens) for run in runs], idle, start, of_phase, reasons)
    found |= {renamed(name, names): metric for name, metric in of_phase.items()}
    missing |= {renamed(name, names): why for name, why in reasons.items()}


def by_token(run: Windows, tokens: int) -> Windows:
    """Return windows whose passes are tokens, `tokens` in each pass of before."""
    return replace(run, windows=tuple(replace(window, passes=window.passes * tokens) for window in run.windows))


def renamed(name: str, names: Mapping[str, str]) -> str:
    """Return what the joules or the power of a pass are called (`names`), the label behind them kept."""
    base, dot, label = name.partition(".")
    return f"{names[base]}{dot}{label}"


def _generated(requests: Sequence[Requests]) -> Generated:
    """Return what the first run generated, and its course."""
    edges = pairwise(requests[0].edges)
    return answered(
        requests,
        alone=next((one.alone for one in requests if one.alone is not None), None),
        course=tuple(
            ContextBin(begin=begin, end=end, step_s=median(one.course[at] for one in requests))
            for at, (begin, end) in enumerate(edges)
        ),
    )


def answered(
    runs: Sequence[Batch], *, alone: tuple[int, ...] | None = None, course: tuple[ContextBin, ...] = ()
) -> Generated:
    """Return what the first run generated; `repeats`: every pass of every run gave those tokens."""
    first = runs[0]
    return Generated(
        prompt_tokens=first.prompt,
        generated_tokens=first.generated,
        batch=first.batch,
        tokens=first.tokens,
        others=first.others,
        alone=alone,
        repeats=all(one.same and (one.tokens, one.others) == (first.tokens, first.others) for one in runs),
        course=course,
    )
