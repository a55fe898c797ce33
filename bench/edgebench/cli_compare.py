"""The commands that compare: `compare`, `trend` and `ab`; imported by the command line when one of them runs."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edgebench.compare.budgets import allowed_of, find_budgets, policy_of
from edgebench.errors import UsageError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from edgebench.compare.cells import Session
    from edgebench.compare.policy import Policy
    from edgebench.compare.verdict import Comparison


def compare(arguments: argparse.Namespace) -> int:
    """Judge stored reports; the exit code is the verdict's."""
    from edgebench.compare.history import read_session
    from edgebench.compare.stored import compare_stored

    policy, allowed = _policy(arguments)
    if [arguments.base, arguments.head, *arguments.more].count("-") > 1:
        raise UsageError("standard input can be one report only: name files for the others")
    base, head, *more = (
        read_session(path, policy.metrics) for path in (arguments.base, arguments.head, *arguments.more)
    )
    history, refused = _history(arguments.history, policy.metrics)
    comparison = compare_stored(base, head, [*more, *history], policy, allowed)
    _write(_rendered(_with_notes(comparison, refused), arguments.format), arguments.output)
    return comparison.exit_code


def trend(arguments: argparse.Namespace) -> int:
    """Show where figures changed over a folder of reports; advisory, so it succeeds whatever it finds."""
    from dataclasses import replace
    from importlib.util import find_spec

    from edgebench.compare.budgets import BudgetFile
    from edgebench.compare.history import read_folder
    from edgebench.compare.trend import trend_of

    if find_spec("ruptures") is None:
        raise UsageError("trend needs the package ruptures: pip install 'edgebench[trend]'")
    policy = policy_of(BudgetFile(), metrics=arguments.metric)
    found = read_folder(arguments.folder, policy.metrics)
    if not found.sessions:
        raise UsageError(f"{arguments.folder}: holds no report: {found.refused[0]}")
    result = trend_of(found.sessions, policy.metrics, arguments.only)
    if not result.series:
        raise UsageError("nothing to show: no report has such a benchmark with such a metric; see --only and --metric")
    result = replace(result, notes=_shortened(found.refused))
    if arguments.format == "json":
        from edgebench.render.verdicts.trend import trend_json

        _write(trend_json(result), arguments.output)
        return 0
    from edgebench.render.verdicts.trend import trend_table

    _write(_captured(trend_table(result)), arguments.output)
    return 0


def ab(arguments: argparse.Namespace, probes: tuple[str, ...]) -> int:
    """Measure two environments interleaved and judge the head; the exit code is the verdict's."""
    import os

    from edgebench.ab.ab import MIN_PAIRS, Request, plan_text, prepare, run_ab
    from edgebench.ab.runs import environment_of
    from edgebench.machine.facts import usable_cpus

    policy, allowed = _policy(arguments)
    if arguments.pairs < MIN_PAIRS:
        raise UsageError(f"--pairs {arguments.pairs}: fewer than {MIN_PAIRS} pairs find too little: give more")
    data = arguments.data or os.environ.get("EDGEBENCH_DATA")
    request = Request(
        suite=arguments.suite,
        cpus=tuple(usable_cpus()),
        pairs=arguments.pairs,
        only=arguments.only,
        threads=arguments.threads,
        data=Path(data) if data else None,
        seed=arguments.seed,
        probes=probes,
        sysfs=arguments.sysfs,
    )
    base, head = environment_of(arguments.base), environment_of(arguments.head)
    watch = _Notes()
    if arguments.dry_run:
        plans = prepare((base, head), request, watch, artifacts=False)
        cells = [cell.estimate_s for cell in plans[0].cells]
        watch.note(plan_text(2 * request.pairs * sum(cells), request.pairs, len(cells), policy.margin))
        return 0
    comparison = run_ab(base, head, request, policy, watch, allowed)
    _write(_rendered(comparison, arguments.format), arguments.output)
    return comparison.exit_code


class _Notes:
    """Sentences on stderr, as progress goes there."""

    def note(self, text: str) -> None:
        """Write one sentence; what came from a child may hold anything."""
        from edgebench.render.units import clean

        sys.stderr.write(f"{clean(text, 500)}\n")


def _policy(arguments: argparse.Namespace) -> tuple[Policy, tuple[str, ...]]:
    file = find_budgets(arguments.config)
    policy = policy_of(file, metrics=arguments.metric, budgets=arguments.budget, margin=arguments.margin)
    return policy, allowed_of(file, arguments.allow)


def _history(folder: Path | None, metrics: Sequence[str]) -> tuple[Sequence[Session], Sequence[str]]:
    if folder is None:
        return (), ()
    from edgebench.compare.history import read_folder

    found = read_folder(folder, metrics)
    return found.sessions, found.refused


def _with_notes(comparison: Comparison, refused: Sequence[str]) -> Comparison:
    from dataclasses import replace

    return replace(comparison, notes=(*comparison.notes, *_shortened(refused)))


def _shortened(refused: Sequence[str]) -> tuple[str, ...]:
    more = (f"{len(refused) - 5} more files were left out.",) if len(refused) > 5 else ()
    return (*refused[:5], *more)


def _rendered(comparison: Comparison, form: str) -> str:
    if form == "json":
        from edgebench.render.verdicts.json import verdict_json

        return verdict_json(comparison)
    if form == "markdown":
        from edgebench.render.verdicts.markdown import markdown

        return markdown(comparison)
    if form == "junit":
        from edgebench.render.verdicts.junit import junit

        return junit(comparison)
    from edgebench.render.verdicts.table import verdict_table

    return _captured(verdict_table(comparison))


def _captured(shown: RenderableType) -> str:
    from rich.console import Console

    console = Console(soft_wrap=False)
    with console.capture() as capture:
        console.print(shown)
    return capture.get()


def _write(text: str, target: Path | None) -> None:
    if target is None:
        sys.stdout.write(text)
        return
    try:
        target.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{target}: cannot be written ({error.strerror}): name another file") from None
