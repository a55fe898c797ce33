"""The answer of a report: which variant is fastest, most frugal, smallest, most accurate, by how much, and how sure.

Worked out once, from the report alone; the terminal, the page and a verdict print it. What counts as winning is a field
of a metric's row in the catalogue.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

from edgebench.report.catalogue import METRICS, Wins, info_of
from edgebench.report.change import Change, change_of
from edgebench.report.contrasts import baseline_of, full_precision_of, reference_of
from edgebench.report.gain import no_gain
from edgebench.report.gaps import Gap, gaps_of
from edgebench.report.wrong import answers_wrongly

if TYPE_CHECKING:
    from edgebench.report.model import Benchmark, Report

# Kinds whose figures are those of a making or of a course over time: no variant of them wins.
_NO_CONTEST = ("compress", "sustained", "idle")


@dataclass(frozen=True, slots=True)
class Winner:
    """The variant with the best figure of a metric, among those of a group that answer rightly.

    `change` is that against the group's reference, None where the winner is the reference or there is none; `own`
    against FP32 in the winner's own runtime, where that is another benchmark than the reference. `rivals` are the
    others from which it cannot be told (their intervals against it hold no difference, or there is no interval and
    their runs overlap).
    """

    wins: Wins
    metric: str
    name: str
    change: Change | None
    own: Change | None
    rivals: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Group:
    """Benchmarks that were interleaved: variants of one model in one setting, or one operator in one runtime.

    `rows` are the names of those with figures, the reference first, then the best first by the first winner's metric.
    `changes` holds the figures that can win against the reference's, by (name, metric). `no_gain` says why INT8 does
    not pay, by the name of each row that is not surely faster than FP32 in its own runtime.
    """

    kind: str
    name: str
    reference: str | None
    rows: tuple[str, ...]
    winners: tuple[Winner, ...]
    changes: Mapping[tuple[str, str], Change]
    no_gain: Mapping[str, str]
    wrong: tuple[str, ...]

    def winner(self, wins: Wins) -> Winner | None:
        """Return the winner of one question, None where no two benchmarks of the group have the figure."""
        return next((winner for winner in self.winners if winner.wins == wins), None)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a report says, in short: of models first, then of operators.

    `gaps` tells what is missing and why, each reason once. `runs` is the least and the highest number of runs of the
    groups' benchmarks, None without any.
    """

    status: Literal["complete", "partial"]
    groups: tuple[Group, ...]
    gaps: tuple[Gap, ...]
    runs: tuple[int, int] | None


def answer_of(report: Report) -> Answer:
    """Return the answer of a report."""
    members: dict[tuple[str, str], list[Benchmark]] = {}
    for row in report.benchmarks:
        if row.status == "ok" and row.kind not in _NO_CONTEST:
            members.setdefault((row.kind, _group_name(row)), []).append(row)
    groups = [_group(report, kind, name, rows) for (kind, name), rows in members.items()]
    timed = [row.metrics.get("latency_s") for rows in members.values() for row in rows]
    counts = [len(metric.runs) for metric in timed if metric is not None and metric.runs]
    return Answer(
        status=report.status,
        groups=tuple(sorted(groups, key=lambda group: group.kind == "operator")),
        gaps=tuple(gaps_of(report)),
        runs=(min(counts), max(counts)) if counts else None,
    )


def _group_name(row: Benchmark) -> str:
    if row.kind == "operator":
        names = ("operator", "backend", "threads", "isa")
        return "/".join(str(row.params[name]) for name in names if name in row.params)
    return row.group or ""


def _group(report: Report, kind: str, name: str, rows: Sequence[Benchmark]) -> Group:
    reference = reference_of(rows)
    asked = [metric for metric, info in METRICS.items() if info.wins is not None]
    changes = {
        (row.name, metric): change
        for row in rows
        if reference is not None and row is not reference
        for metric in asked
        if (change := change_of(report, metric, reference, row)) is not None
    }
    winners = tuple(_winners(report, rows, reference, asked))
    return Group(
        kind=kind,
        name=name,
        reference=None if reference is None else reference.name,
        rows=tuple(row.name for row in by_metric(rows, reference, winners[0].metric if winners else "latency_s")),
        winners=winners,
        changes=changes,
        no_gain={row.name: why for row in rows if (why := no_gain(report, row, full_precision_of(report, row)))},
        wrong=tuple(row.name for row in rows if answers_wrongly(row)),
    )


def by_metric(rows: Sequence[Benchmark], reference: Benchmark | None, metric: str) -> list[Benchmark]:
    """Return benchmarks with the reference first, then the best figure of a metric first; those without it last."""

    def place(row: Benchmark) -> tuple[bool, bool, float]:
        found = row.metrics.get(metric)
        figure = 0.0 if found is None else -found.median if info_of(metric).better == "higher" else found.median
        return row is not reference, found is None, figure

    return sorted(rows, key=place)


def _winners(
    report: Report, rows: Sequence[Benchmark], reference: Benchmark | None, asked: Sequence[str]
) -> Iterator[Winner]:
    for wins in get_args(Wins):
        for metric in (name for name in asked if info_of(name).wins == wins):
            able = [row for row in rows if metric in row.metrics and (row is reference or not answers_wrongly(row))]
            probes = {(row.metrics[metric].probe, row.metrics[metric].scope) for row in able}
            if len(able) < 2 or len(probes) > 1:
                continue
            best, *others = by_metric(able, None, metric)
            against = None if reference in (None, best) else change_of(report, metric, reference, best)
            base = baseline_of(report, best)
            own = None if base in (None, reference) else change_of(report, metric, base, best)
            rivals = tuple(row.name for row in others if _alike(change_of(report, metric, best, row)))
            yield Winner(wins, metric, best.name, against, own, rivals)
            break


def _alike(change: Change | None) -> bool:
    """Tell whether another figure may as well be the best one's."""
    if change is None:
        return True
    if change.sure == "unsure" and change.range is not None:
        low, high = change.range
        return low <= 1 <= high
    return change.sure != "worse"
