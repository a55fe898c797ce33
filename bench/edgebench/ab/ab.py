"""`edgebench ab`: two sides on this machine, alternating in random ABBA blocks, judged in two stages."""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from edgebench.ab.kept import Kept
from edgebench.ab.pairs import AbCell, Taken, Watch, first_runs, take
from edgebench.ab.request import Request, plan_text, prepare
from edgebench.ab.runs import Runner
from edgebench.ab.sides import Environment
from edgebench.artifacts.store import cache_folder
from edgebench.compare.cells import Sample
from edgebench.compare.evidence import DOUBT
from edgebench.compare.fingerprint import differences
from edgebench.compare.judge import Pair, check, exact, incomparable
from edgebench.compare.paired import (
    INTERIM_ALPHA,
    WORSE,
    decided,
    estimates_of,
    flagged,
    judge_stages,
)
from edgebench.compare.pairing import unpraised, wrong_answers
from edgebench.compare.policy import Policy, gauge_of
from edgebench.compare.verdict import Comparison, Finding, Side
from edgebench.errors import UsageError
from edgebench.measure.results import Quality

if TYPE_CHECKING:
    from edgebench.ab.messages import SidePlan
    from edgebench.compare.shrink import Array
    from edgebench.measure.results import InferenceResult


def run_ab(
    base: Environment, head: Environment, request: Request, policy: Policy, watch: Watch, allowed: Sequence[str] = ()
) -> Comparison:
    """Measure both environments interleaved and judge head against base."""
    sides = (base, head)
    plans = prepare(sides, request, watch, artifacts=True)
    result = _frame(sides, plans, allowed)
    if result.hard:
        return result
    asked = [side.identity for side in sides], [side.label for side in sides], request.pairs, request.seed
    with Kept.open(cache_folder() / "ab", plans, asked, resume=request.resume) as kept:
        if request.resume:
            watch.note(f"{kept.waiting} runs are there already" if kept.waiting else "no runs are kept: it starts anew")
        found = _measured(result, sides, plans, Runner(kept), request, policy, watch)
        kept.done()
    return found


def _measured(
    result: Comparison,
    sides: Sequence[Environment],
    plans: Sequence[SidePlan],
    runner: Runner,
    request: Request,
    policy: Policy,
    watch: Watch,
) -> Comparison:
    """Return the comparison with what both sides' runs tell."""
    cells, reasons = first_runs(sides, plans, runner, watch)
    if not cells:
        name, reason = next(iter(reasons.items()), (request.suite, "the sides have no benchmark in common"))
        raise UsageError(f"nothing can be measured on both sides ({name}: {reason.rstrip('.')}): mend that first")
    findings = [incomparable(name, "*", reason) for name, reason in reasons.items()]
    seconds = request.pairs * 2 * sum(cell.run_s for cell in cells)
    watch.note(plan_text(seconds, request.pairs, len(cells), policy.margin))
    order = random.Random(plans[0].seed if request.seed is None else request.seed)  # noqa: S311  # order, not secrecy

    first = Taken()
    runner.thermal.target_c = None
    take(first, cells, sides, request.pairs, runner, policy, order, watch, "stage 1")
    pairs, unusable = _pairs(first, cells, policy)
    second, early, again = _confirm(pairs, first, cells, sides, request.pairs, runner, policy, order, watch)
    if pairs:
        findings += _judged(pairs, first, second, policy, early=early, again=again)
    findings += unusable
    findings += [incomparable(cell.name, "*", cell.failed) for cell in cells if cell.failed is not None]
    findings += [finding for cell in cells for finding in _exact(cell, policy)]
    # What is left of these is so on both sides.
    wrong = [cell.name for cell in cells if cell.wrong[1]]
    findings = [unpraised(finding, wrong=finding.cell in wrong) for finding in findings]
    place = {cell.name: index for index, cell in enumerate(plans[0].cells)}
    metrics = {name: index for index, name in enumerate(policy.metrics)}
    findings.sort(key=lambda finding: (place[finding.cell], metrics.get(finding.metric, -1)))
    versions = [
        _versions(side, plan, [cell.first[index] for cell in cells])
        for index, (side, plan) in enumerate(zip(sides, plans, strict=True))
    ]
    return replace(
        result,
        findings=tuple(findings),
        soft=differences(*versions),
        cautions=(f"{wrong_answers(wrong)} in base and head",) if wrong else (),
        assumptions=_assumptions(
            request, policy, seen=len(again), early=early, doubted=second is not None and bool(second.disturbed)
        ),
        notes=tuple(_notes(runner)),
    )


def _frame(sides: Sequence[Environment], plans: Sequence[SidePlan], allowed: Sequence[str]) -> Comparison:
    names = [[cell.name for cell in plan.cells] for plan in plans]
    tables: list[dict[str, object]] = [{"suite_digest": plan.suite_digest} for plan in plans]
    for table, plan, other in zip(tables, plans, reversed(names), strict=True):
        table |= {cell.name: cell.params for cell in plan.cells if cell.name in other}
    return Comparison(
        mode="ab",
        base=Side(sides[0].label),
        head=Side(sides[1].label),
        findings=(),
        hard=differences(*tables),
        added=tuple(name for name in names[1] if name not in names[0]),
        removed=tuple(name for name in names[0] if name not in names[1]),
        allowed=tuple(allowed),
    )


def _pairs(taken: Taken, cells: Sequence[AbCell], policy: Policy) -> tuple[list[Pair], list[Finding]]:
    """Return what can be judged, sorted by metric, and the findings of what cannot."""
    pairs: list[Pair] = []
    findings: list[Finding] = []
    failed = {cell.name for cell in cells if cell.failed is not None}
    for metric in policy.metrics:
        for cell in cells:
            key = (cell.name, metric)
            if cell.name in failed or key not in taken.about:
                continue
            about = taken.about[key]
            if key not in taken.runs:
                # A step that the runtime does not have takes no time on either side.
                if any(sample.value for sample in about):
                    findings.append(incomparable(cell.name, metric, "a value is zero or negative on one side"))
                continue
            samples = [
                replace(sample, runs=tuple(runs), value=float(statistics.median(runs)))
                for sample, runs in zip(about, taken.runs[key], strict=True)
            ]
            found = check(cell.name, metric, samples[0], samples[1], policy)
            (pairs if isinstance(found, Pair) else findings).append(found)  # type: ignore[arg-type]  # each to its own
    return pairs, findings


def _confirm(
    pairs: Sequence[Pair],
    first: Taken,
    cells: Sequence[AbCell],
    sides: Sequence[Environment],
    count: int,
    runner: Runner,
    policy: Policy,
    order: random.Random,
    watch: Watch,
) -> tuple[Taken | None, bool, frozenset[tuple[str, str]]]:
    """Measure the flagged cells again on fresh runs; return them, whether half were enough, and what was flagged."""
    if not pairs:
        return None, False, frozenset()
    ways = flagged(pairs, estimates_of(pairs, first.stage), policy.alpha)
    chosen = [pair for pair, way in zip(pairs, ways, strict=True) if way]
    ways = ways[ways != 0]
    if not chosen:
        watch.note("nothing looks changed: the second stage is not needed")
        return None, False, frozenset()
    keys = frozenset((pair.cell, pair.metric) for pair in chosen)
    names = {pair.cell for pair in chosen}
    again = [cell for cell in cells if cell.name in names]
    watch.note(_looks(chosen, ways))
    second = Taken()
    half = 2 * math.ceil(count / 4)
    take(second, again, sides, half, runner, policy, order, watch, "stage 2, first half")
    if not any(cell.failed for cell in again) and decided(chosen, ways, second.stage):
        watch.note("half of the second stage decides everything")
        return second, True, keys
    take(second, again, sides, count - half, runner, policy, order, watch, "stage 2, second half")
    return second, False, keys


def _looks(chosen: Sequence[Pair], ways: Array) -> str:
    """Say which benchmarks are measured again, and which way each looks changed in any metric."""
    told = {pair.cell: "" for pair in chosen}
    for pair, way in zip(chosen, ways, strict=True):
        word = "worse" if way == WORSE else "better"
        told[pair.cell] = word if told[pair.cell] in {"", word} else "worse and better"
    count = len(told)
    which = ", ".join(f"{name} ({word})" for name, word in sorted(told.items()))
    look, are = ("benchmark looks", "is") if count == 1 else ("benchmarks look", "are")
    return f"{count} {look} changed and {are} measured again on fresh runs: {which}"


def _judged(
    pairs: Sequence[Pair],
    first: Taken,
    second: Taken | None,
    policy: Policy,
    *,
    early: bool,
    again: frozenset[tuple[str, str]],
) -> list[Finding]:
    with np.errstate(invalid="ignore"):
        again_of = None if second is None else second.stage
        findings = judge_stages(pairs, first.stage, again_of, policy.alpha, early=early)
    # What the second stage decided is shown with the second stage's values.
    for place, finding in enumerate(findings):
        key = (finding.cell, finding.metric)
        if second is not None and key in again and (runs := second.runs.get(key)) is not None:
            base, head = (float(statistics.median(side)) for side in runs)
            findings[place] = replace(finding, base=base, head=head, base_runs=len(runs[0]), head_runs=len(runs[1]))
    return findings


def _exact(cell: AbCell, policy: Policy) -> list[Finding]:
    """Judge size and accuracy from the first runs and the artifacts."""
    findings: list[Finding] = []
    values: dict[str, tuple[float | None, float | None]] = {
        "size_bytes": (cell.sides[0].size_bytes, cell.sides[1].size_bytes)
    }
    qualities = [result.quality or Quality() for result in cell.first]
    first, second = (quality.evaluation for quality in qualities)
    if first is not None and second is not None:
        if first.data.digest != second.data.digest:
            return [incomparable(cell.name, "accuracy_top1", "measured on other data")]
        values["accuracy_top1"] = (first.correct / first.images, second.correct / second.images)
        values["loss"] = (first.loss, second.loss)
    base_task, head_task = (quality.task for quality in qualities)
    if base_task is not None and head_task is not None and base_task.data == head_task.data:
        values |= {name: (value, head_task.metrics.get(name)) for name, value in base_task.metrics.items()}
    for metric, (base, head) in values.items():
        if metric not in policy.metrics or base is None or head is None or not gauge_of(metric).exact:
            continue
        unit, better = {"size_bytes": ("B", "lower"), "loss": ("1", "lower")}.get(metric, ("1", "higher"))
        samples = [Sample(unit, better, (), float(value)) for value in (base, head)]
        findings.append(exact(Pair(cell.name, metric, samples[0], samples[1], policy.limits(cell.name, metric))))
    return findings


def _versions(side: Environment, plan: SidePlan, results: Sequence[InferenceResult]) -> dict[str, str]:
    found = {"edgebench": plan.edgebench, "python": plan.python}
    if side.held is not None:
        found["image"] = side.held.image
    for result in results:
        found |= result.versions
    return found


def _assumptions(request: Request, policy: Policy, *, seen: int, early: bool, doubted: bool) -> tuple[str, ...]:
    pairs = 2 * math.ceil(request.pairs / 2)
    screened = (
        f"stage 1: {pairs} interleaved pairs a benchmark in random ABBA blocks, loops frozen; each metric is screened "
        f"at {100 * policy.alpha:.0f} % against the margin, and calls nothing REGRESSED or IMPROVED by itself"
    )
    told = [screened]
    if seen:
        when = "its first half sufficed" if early else "all of it was needed"
        told.append(
            f"stage 2: {seen} flagged metrics judged on fresh pairs alone (Holm at {100 * policy.alpha:.0f} % within "
            "those that looked worse, and within those that looked better), "
            f"looked at once in between (at {100 * INTERIM_ALPHA:.1f} %); {when}"
        )
    if doubted:
        told.append(
            f"where a disturbed run is among those that decide, a proof has to hold for {DOUBT:g} times the error that "
            "pairs show"
        )
    return tuple(told)


def _notes(runner: Runner) -> list[str]:
    notes = []
    if runner.repeated:
        notes.append(f"{_runs(runner.repeated)} disturbed by other programs and measured again")
    if runner.kept_disturbed:
        notes.append(f"{_runs(runner.kept_disturbed)} disturbed each time and kept: the machine was not idle")
    if runner.thermal.target_c is None:
        notes.append("this machine tells no temperature: nothing was waited for between runs")
    elif runner.thermal.waited_s:
        notes.append(f"waited {runner.thermal.waited_s:.0f} s in all for the processor to cool down")
    if runner.thermal.gave_up:
        runs = "1 run" if runner.thermal.gave_up == 1 else f"{runner.thermal.gave_up} runs"
        notes.append(f"{runs} started warmer than the first: cooling down took too long")
    return notes


def _runs(count: int) -> str:
    return "1 run was" if count == 1 else f"{count} runs were"
