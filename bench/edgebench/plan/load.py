"""From a suite file to the plan of a session."""

from __future__ import annotations

import logging
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgebench.backends import families, registry
from edgebench.backends.decoder import too_long
from edgebench.errors import UsageError
from edgebench.plan.digest import digest_of
from edgebench.plan.expand import PRECISE, benchmarks_of, check_size
from edgebench.plan.plan import Benchmark, Overrides, Plan
from edgebench.plan.suites import Suite, open_suite, plugin_suites, resolve_recipe
from edgebench_suites.tasks.networks import LLAMA_CONTEXT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgebench.plan.own import BringYourOwn

# pyperf and the files we write name a cell once; a suite with more than this is a mistake in a matrix.
MAX_BENCHMARKS = 5000
# What changes nothing that is measured, only how often or what is watched beside it: reports stay comparable.
_NOT_COMPARED: Any = {
    "resources_hz": True,
    "max_minutes": True,
    "measure": {"precision", "min_runs", "max_runs"},
}
_LOG = logging.getLogger(__name__)


def load_plan(
    suite: str | Suite,
    *,
    dataset: str,
    cores: int,
    overrides: Overrides | None = None,
    own: BringYourOwn | None = None,
) -> Plan:
    """Expand a suite (name, file, or one that was read) for a data set on `cores` usable physical cores.

    `dataset` is the name of what is there ("digits", "cifar10", …). A plug-in that is broken is warned of and skipped.
    """
    overrides = overrides or Overrides()
    suite = open_suite(suite) if isinstance(suite, str) else suite
    warn_of_plugins()
    head, path = suite.head, suite.whole.path
    dataset = head.data.choice.name_of(dataset)
    check_size(suite.parts, overrides)
    precise = {name: getattr(head.measure, name) for name in PRECISE & head.measure.model_fields_set}
    cells: list[Benchmark] = []
    digests: list[Any] = []
    for part in suite.parts:
        digests.append(part.file.model_dump(mode="json", exclude=_NOT_COMPARED))
        recipe = resolve_recipe(part, dataset)
        for index in range(len(part.file.benchmark)):
            cells += benchmarks_of(part, index, recipe, cores, overrides, own, precise)
    cells = _without_repeats(cells, path)
    if overrides.only is not None:
        cells = [cell for cell in cells if fnmatchcase(cell.name, overrides.only)]
        if not cells:
            raise UsageError(
                f"--only {overrides.only!r} matches no benchmark of {head.name}: "
                f"see them with 'edgebench suite {suite.asked} --dry-run'"
            )
    _check_requests(cells, overrides, head.name)
    _check_lengths(cells, own)
    if not cells and own is not None:
        raise UsageError(f"--model {own.path}: {head.name} measures no such file: {own.suited()}")
    if not cells:
        raise UsageError(
            f"{path}:1: the suite has no benchmark: add a [[benchmark]] table, or name variants that its backends hold"
        )
    return Plan(
        name=head.name,
        title=head.title,
        study=head.study,
        seed=head.seed,
        idle_s=head.idle_s,
        dataset=dataset,
        suite_digest=digest_of(digests),
        benchmarks=tuple(cells),
        own_model=own,
        resources_hz=head.resources_hz if overrides.resources_hz is None else overrides.resources_hz,
        max_minutes=head.max_minutes if overrides.max_minutes is None else overrides.max_minutes,
        data=head.data,
        text=overrides.text,
    )


def _check_requests(cells: Sequence[Benchmark], overrides: Overrides, suite: str) -> None:
    """Refuse options about requests for a suite that makes none; raises UsageError."""
    given = {
        "--prompt-tokens": overrides.prompt_tokens,
        "--generate": overrides.generate,
        "--batch": overrides.batch,
        "--text": overrides.text,
    }
    asked = next((option for option, value in given.items() if value is not None), None)
    if asked and cells and all(cell.params.generate is None for cell in cells):
        raise UsageError(f"{asked} is about language models, and {suite} measures none: leave it out, or choose llm")


def _check_lengths(cells: Sequence[Benchmark], own: BringYourOwn | None) -> None:
    """Refuse requests that are longer than their model's context; raises UsageError."""
    limit = LLAMA_CONTEXT if own is None else own.context
    for cell in cells:
        if limit is None or cell.params.generate is None:
            continue
        name = cell.params.model if own is None else f"--model {own.path}"
        if reason := too_long(name, limit, cell.params.size + cell.params.generate):
            raise UsageError(reason)


def warn_of_plugins() -> None:
    """Warn, on stderr, of every plug-in for families, backends and suites that is skipped."""
    for skipped in (families.broken(), registry.broken(), plugin_suites()[1]):
        for reason in skipped.values():
            _LOG.warning("edgebench: %s", reason)


def _without_repeats(cells: list[Benchmark], path: Path) -> list[Benchmark]:
    """Drop a cell that an included suite already has in the same form; refuse two different ones of one name."""
    seen: dict[str, Benchmark] = {}
    for cell in cells:
        first = seen.setdefault(cell.name, cell)
        if replace(first, measure=cell.measure, recipe=cell.recipe) != cell:
            raise UsageError(f"{path}: two different benchmarks are called {cell.name!r}: give one another image_size")
    if len(seen) > MAX_BENCHMARKS:
        raise UsageError(f"{path}: {len(seen)} benchmarks, more than {MAX_BENCHMARKS}: shorten the lists of a table")
    return list(seen.values())
