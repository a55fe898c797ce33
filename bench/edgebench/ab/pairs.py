"""Measuring for `edgebench ab`: first runs that freeze the loops, then pairs in random ABBA blocks."""

from __future__ import annotations

import math
import random
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from edgebench.ab.runs import Environment, Runner, run_sample
from edgebench.compare.cells import Sample
from edgebench.compare.policy import Policy


class Watch(Protocol):
    """What `ab` tells whoever watches it."""

    def note(self, text: str) -> None:
        """Tell a sentence."""


@dataclass(slots=True)
class AbCell:
    """A benchmark on both sides (base, head): its jobs with frozen loops, its first results, its seconds a run."""

    name: str
    jobs: list[dict[str, Any]]
    params: Mapping[str, Any]
    limit_s: float
    first: list[dict[str, Any]]
    run_s: float
    sizes: tuple[float | None, float | None]
    failed: str | None = None


@dataclass(slots=True)
class Taken:
    """One stage's measurements: log ratios of each pair, and the runs of both sides, by (cell, metric)."""

    ratios: dict[tuple[str, str], list[float]] = field(default_factory=dict)
    runs: dict[tuple[str, str], tuple[list[float], list[float]]] = field(default_factory=dict)
    about: dict[tuple[str, str], tuple[Sample, Sample]] = field(default_factory=dict)


def first_runs(
    sides: Sequence[Environment], answers: Sequence[Mapping[str, Any]], runner: Runner, watch: Watch
) -> tuple[list[AbCell], dict[str, str]]:
    """Run every cell once on each side: loops are frozen, sizes and accuracies read, and the time a run takes.

    Return the cells, and the reasons of those that cannot be measured on a side.
    """
    cells: list[AbCell] = []
    reasons: dict[str, str] = {}
    heads = {cell["name"]: cell for cell in answers[1]["cells"]}
    for ours in answers[0]["cells"]:
        if (theirs := heads.get(ours["name"])) is None:
            continue
        unable = [(side, cell) for side, cell in zip(sides, (ours, theirs), strict=True) if cell["job"] is None]
        if unable:
            reasons[ours["name"]] = f"{unable[0][0].label}: {unable[0][1]['reason']}"
            continue
        watch.note(f"first run of {ours['name']} on both sides")
        found = _first(sides, (ours, theirs), runner)
        if isinstance(found, str):
            reasons[ours["name"]] = found
        else:
            cells.append(found)
    return cells, reasons


def _first(sides: Sequence[Environment], both: Sequence[Mapping[str, Any]], runner: Runner) -> AbCell | str:
    """Return the cell with the loops that the base's first run needed, or the reason why a side cannot run it."""
    results: list[dict[str, Any]] = []
    seconds = []
    for side, cell in zip(sides, both, strict=True):
        loops = results[0]["loops"] if results else 0
        result = runner.run(side, {**cell["job"], "loops": loops}, cell["params"], cell["limit_s"])
        if isinstance(result, str):
            return f"{side.label}: {result}"
        results.append(result)
        seconds.append(result["clock"]["measured"] - result["clock"]["started"])
    frozen = {"loops": results[0]["loops"], "describe": False, "evaluate": None}
    return AbCell(
        name=both[0]["name"],
        jobs=[{**cell["job"], **frozen} for cell in both],
        params=both[0]["params"],
        limit_s=both[0]["limit_s"],
        first=results,
        # Starting and ending a process is not on the worker's own clock.
        run_s=statistics.fmean(seconds) + 0.3,
        sizes=(both[0]["size_bytes"], both[1]["size_bytes"]),
    )


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
        watch.note(f"{stage}: block {block + 1} of {blocks} done, about {minutes(left_s)} left")


def _take_pair(
    taken: Taken, cell: AbCell, couple: Sequence[int], sides: Sequence[Environment], runner: Runner, policy: Policy
) -> None:
    """Run one pair; a failed run loses the pair, a second one the cell."""
    results: list[Any] = [None, None]
    for index in couple:
        if cell.failed is not None:
            return
        for _ in range(2):
            results[index] = runner.run(sides[index], cell.jobs[index], cell.params, cell.limit_s)
            if not isinstance(results[index], str):
                break
        else:
            cell.failed = f"{sides[index].label}: {results[index]}"
            return
    for metric in policy.metrics:
        first, second = (run_sample(metric, result) for result in results)
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


def minutes(seconds: float) -> str:
    """Return a stretch of time as people say it."""
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"
