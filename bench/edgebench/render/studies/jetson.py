"""The Jetson study's findings, one by one: reproduced, not reproduced, or cannot be told.

The published figures stand in edgebench_suites/studies/jetson.toml. Each engine of a report is judged by itself; the
figures of the study are compared with, never computed from.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Literal

from edgebench.render import cells
from edgebench.render.studies.common import judge, model_name, to_percent
from edgebench.render.tables import Column, Section
from edgebench.render.units import signed
from edgebench.report.metric import mean_interval
from edgebench.report.model import Benchmark, Contrast, Report
from edgebench_suites.published import Bound, study

Verdict = Literal["reproduced", "not reproduced", "cannot be told"]
BOUNDS: Mapping[str, Bound] = {bound.variant: bound for bound in study("jetson").bounds}
_FEW = "one model gives no interval"

Cells = Mapping[tuple[str, str], Benchmark]


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding for one engine: what was published, what is here with its 95 % interval, and the verdict."""

    text: str
    engine: str
    published: str
    here: str
    verdict: Verdict
    why: str


def findings_of(report: Report) -> tuple[Finding, ...]:
    """Return the findings for every engine that measured a baseline and a compressed form; none for other studies."""
    if report.suite.study != "jetson":
        return ()
    engines = list(dict.fromkeys(str(row.params.get("backend")) for row in report.benchmarks if row.status == "ok"))
    return tuple(finding for engine in engines for finding in _of_engine(report, engine))


def jetson_section(report: Report) -> Section | None:
    """Return the findings as a table, or None for a report that is not of this study."""
    found = findings_of(report)
    if not found:
        return None
    columns = (
        Column("finding", tuple(finding.text for finding in found), "left", wrap=True),
        Column("engine", tuple(finding.engine for finding in found), "left"),
        Column("published", tuple(finding.published for finding in found)),
        Column("here", tuple(finding.here for finding in found)),
        Column(
            "verdict",
            tuple(f"{one.verdict}: {one.why}" if one.why else one.verdict for one in found),
            "left",
            wrap=True,
        ),
    )
    notes = (
        f"published: {study('jetson').hardware}",
        "here: geometric means over the models, [95 % interval over the models]; size and accuracy: the most changed",
    )
    return Section("The Jetson study", (columns,), notes=notes)


def _of_engine(report: Report, engine: str) -> Iterator[Finding]:
    runs = _cells(report, engine, "inference")
    made = _cells(report, engine, "compress")
    if any((model, "fp16") in made and (model, "ptq-static") in made for model in _models(made)):
        yield _longer_to_make(made, engine)
    for step in BOUNDS:
        if not any((model, step) in runs and (model, "baseline") in runs for model in _models(runs)):
            continue
        yield _size(runs, engine, step)
        yield _accuracy(report.contrasts, runs, engine, step)
        yield _latency(runs, engine, step)
        yield _use(runs, engine, step, "peak_memory_bytes", "memory use falls", falls=True)
        yield _use(runs, engine, step, "cpu_percent", "CPU use rises", falls=False)
        yield _use(runs, engine, step, "gpu_percent", "GPU use falls", falls=True)


def _longer_to_make(made: Cells, engine: str) -> Finding:
    change, interval = _change(made, "fp16", "ptq-static", "compress_s")
    verdict, why = _sign(change, interval, falls=False)
    return Finding("INT8 takes longer to make than FP16", engine, "longer", _shown(change, interval), verdict, why)


def _size(runs: Cells, engine: str, step: str) -> Finding:
    bound = BOUNDS[step].size_percent
    published = bound.value
    changes = [(to_percent(math.exp(log)), model) for model, log in _logs(runs, "baseline", step, "size_bytes")]
    text = f"{BOUNDS[step].name} shrinks models by up to {-published:.0f} %"
    if not changes:
        return Finding(text, engine, f"{signed(published, 0)} %", "", "cannot be told", "no size was measured")
    (best, model), (least, _) = min(changes), max(changes)
    verdict: Verdict = "reproduced" if best <= published + bound.rounding else "not reproduced"
    why = f"exactly, {model}; the least change is {signed(least, 1)} %"
    return Finding(text, engine, f"{signed(published, 0)} %", f"{signed(best, 1)} %", verdict, why)


def _accuracy(contrasts: Sequence[Contrast], runs: Cells, engine: str, step: str) -> Finding:
    """The worst model decides: within the bound surely, beyond it surely, or neither."""
    limit = BOUNDS[step].accuracy_points
    text = f"{BOUNDS[step].name} costs at most {-limit:.1f} points of accuracy"
    found = []
    for model in _models(runs):
        base, head = runs.get((model, "baseline")), runs.get((model, step))
        for one in contrasts:
            pair = base is not None and head is not None and (one.base, one.head) == (base.name, head.name)
            if pair and one.metric == "accuracy_top1" and one.difference is not None and one.ci95 is not None:
                found.append((100 * one.difference, 100 * one.ci95[0], 100 * one.ci95[1], model))
    published = f"≥ {signed(limit, 1)}"
    if not found:
        return Finding(text, engine, published, "", "cannot be told", "no accuracy was measured on labelled images")
    worst = min(found)
    here = f"{signed(worst[0], 2)} [{signed(worst[1], 2)}, {signed(worst[2], 2)}]"
    if any(high < limit for _, _, high, _ in found):
        return Finding(text, engine, published, here, "not reproduced", f"{worst[3]} loses more")
    if all(low >= limit for _, low, _, _ in found):
        return Finding(text, engine, published, here, "reproduced", f"{worst[3]} loses most")
    return Finding(text, engine, published, here, "cannot be told", "too few test images for the interval")


def _latency(runs: Cells, engine: str, step: str) -> Finding:
    change, interval = _change(runs, "baseline", step, "latency_s")
    most, least = BOUNDS[step].latency_percent
    text = f"{BOUNDS[step].name} latency falls by {-least:.0f} to {-most:.0f} %"
    published = f"{signed(least, 0)} to {signed(most, 0)} %"
    if change is None:
        return Finding(text, engine, published, "", "cannot be told", "no latency was measured")
    if interval is None:
        return Finding(text, engine, published, _shown(change, None), "cannot be told", _FEW)
    told, why = judge((most, least), change, interval, exact=False)
    words: Mapping[str, Verdict] = {"seen here": "reproduced", "not seen here": "not reproduced"}
    return Finding(text, engine, published, _shown(change, interval), words.get(told, "cannot be told"), why)


def _use(runs: Cells, engine: str, step: str, metric: str, what: str, *, falls: bool) -> Finding:
    change, interval = _change(runs, "baseline", step, metric)
    text, published = f"{BOUNDS[step].name}: {what}", "falls" if falls else "rises"
    if change is None:
        return Finding(text, engine, published, "", "cannot be told", f"{cells.title(metric)} was not measured")
    verdict, why = _sign(change, interval, falls=falls)
    return Finding(text, engine, published, _shown(change, interval), verdict, why)


def _sign(change: float | None, interval: tuple[float, float] | None, *, falls: bool) -> tuple[Verdict, str]:
    if change is None or interval is None:
        return "cannot be told", _FEW
    low, high = interval
    if low <= 0 <= high:
        return "cannot be told", "the interval holds no change as well"
    return ("reproduced", "the interval holds no zero") if (high < 0) == falls else ("not reproduced", "the opposite")


def _change(runs: Cells, base: str, head: str, metric: str) -> tuple[float | None, tuple[float, float] | None]:
    """Return the geometric mean change over the models, in per cent, with its interval; None where not measured."""
    logs = [log for _, log in _logs(runs, base, head, metric)]
    if not logs:
        return None, None
    interval = mean_interval(logs)
    ends = None if interval is None else (to_percent(math.exp(interval[0])), to_percent(math.exp(interval[1])))
    return to_percent(math.exp(fmean(logs))), ends


def _logs(runs: Cells, base: str, head: str, metric: str) -> Iterator[tuple[str, float]]:
    for model in _models(runs):
        pair = [runs.get((model, variant)) for variant in (base, head)]
        metrics = [None if row is None else row.metrics.get(metric) for row in pair]
        values = [cells.headline(figure) for figure in metrics if figure is not None]
        if len(values) == 2 and min(values) > 0:
            yield model, math.log(values[1] / values[0])


def _cells(report: Report, engine: str, kind: str) -> Cells:
    """The engine's benchmarks by model and variant: one image a pass, FP32 as the baseline, no ISA ceiling."""
    found: dict[tuple[str, str], Benchmark] = {}
    for row in report.benchmarks:
        params = row.params
        plain = params.get("isa", "none") == "none" and params.get("batch", 1) == 1
        same = row.kind == kind and row.status == "ok" and params.get("backend") == engine and plain
        if same and not (params.get("variant") == "baseline" and params.get("precision") != "fp32"):
            found.setdefault((model_name(row), str(params.get("variant"))), row)
    return found


def _models(runs: Cells) -> list[str]:
    return list(dict.fromkeys(model for model, _ in runs))


def _shown(change: float | None, interval: tuple[float, float] | None) -> str:
    if change is None:
        return ""
    ends = "" if interval is None else f" [{signed(interval[0], 1)}, {signed(interval[1], 1)}]"
    return f"{signed(change, 1)} %{ends}"
