"""The order of runs: round by round within a group, shuffled; with a precision to reach, rounds go on until it is had.

All is decided from the plan and the log, so that a resumed session goes on where the killed one stopped.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count, groupby
from typing import TYPE_CHECKING

from edgebench.plan.estimate import work
from edgebench.plan.kinds import KINDS
from edgebench.report.precision import confirmed, enough, precise, runs_needed

if TYPE_CHECKING:
    from edgebench.plan.plan import Benchmark, Plan
    from edgebench.report.log import Log

# The relative half-widths of a benchmark's intervals, by metric, from its first so many runs.
Widths = Callable[["Benchmark", int], Mapping[str, float | None]]


@dataclass(frozen=True, slots=True)
class Turn:
    """One run of the schedule: number `turn` of its benchmark, number `place` of the session."""

    place: int
    cell: Benchmark
    turn: int


def turns(plan: Plan, log: Log, widths: Widths) -> Iterator[Turn]:
    """Yield every run in the order of measuring, those that the log has among them.

    First every benchmark gets its fewest runs, group by group. Then the groups that lack precision take rounds in turn,
    so that what time there is goes to all of them; in a round every benchmark of the group has a run, a precise one
    too, as contrasts pair the runs of a round. Loads that leave the machine hot come last.
    """
    places = count()
    groups = [list(cells) for _, cells in groupby(sorted(plan.benchmarks, key=_group), key=_group)]

    def one_round(cells: Sequence[Benchmark], turn: int) -> Iterator[Turn]:
        due = list(cells)
        # Seeded by what it is, not by how often it was called: a resumed session keeps the order.
        random.Random(f"{plan.seed}/{due[0].group}/{turn}").shuffle(due)  # noqa: S311  # order, not secrecy
        return (Turn(next(places), cell, turn) for cell in due)

    for hot in (False, True):
        some = [cells for cells in groups if KINDS[cells[0].kind].lasts == hot]
        for cells in some:
            for turn in range(max(cell.measure.least_runs for cell in cells)):
                yield from one_round([cell for cell in cells if turn < cell.measure.least_runs], turn)
        for turn in range(max((cell.measure.most_runs for cells in some for cell in cells), default=0)):
            for cells in list(some):
                due = [cell for cell in cells if cell.measure.least_runs <= turn < cell.measure.most_runs]
                if not due:
                    continue
                if _begun(log, due, turn) or _wanted(plan, log, widths, due, turn):
                    yield from one_round(due, turn)
                else:
                    some.remove(cells)


def ahead(plan: Plan, log: Log, widths: Widths, *, prepared: bool) -> dict[str, int]:
    """Return how many of each unit of work (`plan.estimate.work`) are still to be done, as far as can be told.

    Runs beyond the fewest are forecast from the intervals until now, and not beyond the time for measuring.
    """
    left = {}
    more: dict[str, int] = {}
    units = work(plan, prepared=prepared)
    for name in units:
        if name.startswith("idle "):
            probes = log.start is not None and log.start.probes
            left[name] = int(bool(probes) and all(f"idle {record.when}" != name for record in log.idle()))
        elif name.startswith("roofs "):
            left[name] = int(all(f"roofs {record.threads}" != name for record in log.roofs()))
        elif name.startswith("prepare "):
            made_for = name.removeprefix("prepare ")
            left[name] = int(log.artifact(made_for) is None and log.given_up(made_for) is None)
    for _, members in groupby(sorted(plan.benchmarks, key=_group), key=_group):
        cells = [cell for cell in members if log.given_up(cell.name) is None]
        most = max((_forecast(log, widths, cell) for cell in cells), default=0)
        for cell in cells:
            done, least = len(log.runs(cell.name)), cell.measure.least_runs
            left[cell.name] = max(0, least - done)
            more[cell.name] = max(0, min(most, cell.measure.most_runs) - max(done, least))
    mean_s = {name: log.measured_s(name) / len(runs) if (runs := log.runs(name)) else units[name] for name in more}
    wanted_s = sum(runs * mean_s[name] for name, runs in more.items())
    share = min(1.0, max(0.0, 60 * plan.max_minutes - log.measured_s()) / wanted_s) if wanted_s else 0.0
    return left | {name: left[name] + round(share * runs) for name, runs in more.items()}


def _group(cell: Benchmark) -> str:
    return cell.group


def _begun(log: Log, due: Sequence[Benchmark], turn: int) -> bool:
    """Tell whether a round has a run already: one that was begun is finished."""
    return any(run.turn >= turn for cell in due for run in log.runs(cell.name))


def _wanted(plan: Plan, log: Log, widths: Widths, due: Sequence[Benchmark], turn: int) -> bool:
    """Tell whether a group needs a further round, and there is time for it."""
    if log.measured_s() >= 60 * plan.max_minutes:
        return False
    live = [cell for cell in due if log.given_up(cell.name) is None]
    least = max((cell.measure.least_runs for cell in live), default=0)
    return bool(live) and not enough(lambda count: _narrow(live, widths, count), least, turn)


def _narrow(cells: Sequence[Benchmark], widths: Widths, runs: int) -> bool:
    """Tell whether all of these benchmarks are precise with their first so many runs."""
    return all(precise(cell.measure.precision, widths(cell, runs)) for cell in cells)


def _forecast(log: Log, widths: Widths, cell: Benchmark) -> int:
    """Return how many runs a benchmark will have, as far as its intervals tell."""
    measure, done = cell.measure, len(log.runs(cell.name))
    if not measure.precision:
        return measure.processes
    if done < measure.least_runs:
        return confirmed(measure.least_runs)
    if enough(lambda count: _narrow([cell], widths, count), measure.least_runs, done):
        return done
    return max(done + 1, runs_needed(measure.precision, widths(cell, done), done, measure.most_runs))
