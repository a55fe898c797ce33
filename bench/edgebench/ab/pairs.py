"""Measuring for `edgebench ab`: first runs that freeze the loops, then pairs in random ABBA blocks."""

from __future__ import annotations

import math
import random
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from edgebench.ab.messages import RunQuestion
from edgebench.ab.runs import Runner, run_sample
from edgebench.ab.sides import Environment
from edgebench.compare.cells import Sample
from edgebench.compare.paired import Stage, detectable
from edgebench.compare.pairing import one_answers_wrongly
from edgebench.compare.policy import Policy
from edgebench.compress.steps import BASELINE
from edgebench.report.notices import answer_notices
from edgebench.report.wrong import tell_of_wrong

if TYPE_CHECKING:
    from edgebench.ab.messages import SideCell, SidePlan
    from edgebench.measure.results import InferenceResult


class Watch(Protocol):
    """What `ab` tells whoever watches it."""

    def note(self, text: str) -> None:
        """Tell a sentence."""


@dataclass(slots=True)
class AbCell:
    """A benchmark as both sides (base, head) plan it, the questions with frozen loops, the first results.

    `run_s` is what a run takes, in seconds; `seed` the plan's.
    """

    sides: tuple[SideCell, SideCell]
    questions: tuple[RunQuestion, RunQuestion]
    first: tuple[InferenceResult, InferenceResult]
    seed: int
    run_s: float
    failed: str | None = None

    @property
    def name(self) -> str:
        """The benchmark's name."""
        return self.sides[0].name

    @property
    def wrong(self) -> tuple[bool, bool]:
        """Whether each side answers otherwise than its model, as the warnings of its first run tell."""
        base, head = (
            tell_of_wrong(
                answer_notices(
                    result.quality, str(side.params.get("precision", "fp32")), str(side.params.get("variant", BASELINE))
                )
            )
            for side, result in zip(self.sides, self.first, strict=True)
        )
        return base, head


@dataclass(slots=True)
class Taken:
    """One stage's measurements: log ratios of each pair, and the runs of both sides, by (cell, metric).

    `disturbed` counts the runs among them that were disturbed each time, and kept.
    """

    ratios: dict[tuple[str, str], list[float]] = field(default_factory=dict)
    runs: dict[tuple[str, str], tuple[list[float], list[float]]] = field(default_factory=dict)
    about: dict[tuple[str, str], tuple[Sample, Sample]] = field(default_factory=dict)
    disturbed: dict[tuple[str, str], int] = field(default_factory=dict)

    @property
    def stage(self) -> Stage:
        """The same as what is judged."""
        return Stage(self.ratios, self.disturbed)


def first_runs(
    sides: Sequence[Environment], plans: Sequence[SidePlan], runner: Runner, watch: Watch
) -> tuple[list[AbCell], dict[str, str]]:
    """Run every cell once on each side: loops are frozen, sizes and accuracies read, and the time a run takes.

    Return the cells, and the reasons of those that cannot be measured on a side.
    """
    cells: list[AbCell] = []
    reasons: dict[str, str] = {}
    heads = {cell.name: cell for cell in plans[1].cells}
    for ours in plans[0].cells:
        if (theirs := heads.get(ours.name)) is None:
            continue
        unable = [(side, cell) for side, cell in zip(sides, (ours, theirs), strict=True) if cell.job is None]
        if unable:
            reasons[ours.name] = f"{unable[0][0].label}: {unable[0][1].reason}"
            continue
        watch.note(f"first run of {ours.name} on both sides")
        found = _first(sides, (ours, theirs), plans[0].seed, runner)
        if isinstance(found, str):
            reasons[ours.name] = found
        elif reason := one_answers_wrongly(*found.wrong):
            reasons[ours.name] = reason
        else:
            cells.append(found)
    return cells, reasons


def _first(sides: Sequence[Environment], both: tuple[SideCell, SideCell], seed: int, runner: Runner) -> AbCell | str:
    """Return the cell with the loops that the base's first run needed, or the reason why a side cannot run it."""
    results: list[InferenceResult] = []
    for side, cell in zip(sides, both, strict=True):
        loops = results[0].times.loops if results else 0
        run = runner.run(side, _question(cell, loops, first=True), cell, seed)
        if run.result is None:
            return f"{side.label}: {run.error}"
        results.append(run.result)
    loops = results[0].times.loops
    seconds = [result.clock.measured_s - result.clock.started_s for result in results]
    return AbCell(
        sides=both,
        questions=(_question(both[0], loops, first=False), _question(both[1], loops, first=False)),
        first=(results[0], results[1]),
        seed=seed,
        # Starting and ending a process is not on the worker's own clock.
        run_s=statistics.fmean(seconds) + 0.3,
    )


def _question(cell: SideCell, loops: int, *, first: bool) -> RunQuestion:
    return RunQuestion(job=cell.job or "", loops=loops, first=first)


def take(
    taken: Taken,
    cells: Sequence[AbCell],
    sides: Sequence[Environment],
    pairs: int,
    runner: Runner,
    policy: Policy,
    order: random.Random,
    watch: Watch,
    stage: str,
) -> None:
    """Measure `pairs` more pairs of each cell: blocks of ABBA or BAAB, cells in a new order each time."""
    began_s = time.monotonic()
    blocks = math.ceil(pairs / 2)
    for block in range(blocks):
        for cell in order.sample(cells, len(cells)):
            pattern = order.choice(((0, 1, 1, 0), (1, 0, 0, 1)))
            for couple in (pattern[:2], pattern[2:]):
                _take_pair(taken, cell, couple, sides, runner, policy)
        left_s = (time.monotonic() - began_s) / (block + 1) * (blocks - block - 1)
        told = f"{stage}: block {block + 1} of {blocks} done, about {minutes(left_s)} left"
        if (found := found_by(taken, pairs, policy)) is not None:
            told += f"; as pairs vary here, a change of {100 * found:+.1f} % would be found"
        watch.note(told)


def found_by(taken: Taken, pairs: int, policy: Policy) -> float | None:
    """Return the change for the worse that `pairs` pairs find in 4 of 5 cases, by what the pairs until now vary by.

    Of the first metric, in the middle one of the benchmarks; None while fewer than four pairs tell.
    """
    spreads = [
        statistics.stdev(ratios)
        for (_, metric), ratios in taken.ratios.items()
        if metric == policy.metrics[0] and len(ratios) >= 4
    ]
    return detectable(statistics.median(spreads), pairs, policy.margin) if spreads else None


def _take_pair(
    taken: Taken, cell: AbCell, couple: Sequence[int], sides: Sequence[Environment], runner: Runner, policy: Policy
) -> None:
    """Run one pair; a failed run loses the pair, a second one the cell."""
    if cell.failed is not None:
        return
    results: dict[int, InferenceResult] = {}
    disturbed = 0
    for index in couple:
        for _ in range(2):
            run = runner.run(sides[index], cell.questions[index], cell.sides[index], cell.seed)
            if run.result is not None:
                results[index] = run.result
                disturbed += run.kept_disturbed
                break
        else:
            cell.failed = f"{sides[index].label}: {run.error}"
            return
    for metric in policy.metrics:
        first, second = (run_sample(metric, results[index]) for index in (0, 1))
        if first is None or second is None:
            continue
        key = (cell.name, metric)
        taken.about.setdefault(key, (first, second))
        if any(sample.fault is not None or sample.value <= 0 for sample in (first, second)):
            continue
        taken.ratios.setdefault(key, []).append(math.log(second.value / first.value))
        both = taken.runs.setdefault(key, ([], []))
        both[0].append(first.value)
        both[1].append(second.value)
        if disturbed:
            taken.disturbed[key] = taken.disturbed.get(key, 0) + disturbed


def minutes(seconds: float) -> str:
    """Return a stretch of time as people say it."""
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"
