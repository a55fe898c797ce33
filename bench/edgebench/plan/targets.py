"""What each benchmark needs prepared: variant, family, shapes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from edgebench.backends.families import family_named
from edgebench.backends.registry import row_of
from edgebench.compress.steps import BASELINE, parse_variant
from edgebench.plan.kinds import KINDS
from edgebench_suites.tasks.base import REFERENCE_IMAGES

if TYPE_CHECKING:
    from edgebench.backends.families import Family
    from edgebench.plan.plan import Benchmark


def base_variant(variant: str) -> str:
    """Return the part of a variant that is done in torch: what the export starts from."""
    steps = [step.name for step in parse_variant(variant) if not step.kind.lowered]
    return "+".join(steps) or BASELINE


def lowered_step(variant: str) -> str | None:
    """Return the step that a runtime's own converter or quantiser does, or None."""
    return next((step.kind.kind for step in parse_variant(variant) if step.kind.lowered), None)


def engine_shapes(cell: Benchmark) -> list[tuple[int, ...]]:
    """Return the shapes an engine is built for: the measured one first, then the one accuracy is taken at."""
    pixels, scored = cell.params.image_size, cell.recipe.train_size
    return [(cell.params.batch, 3, pixels, pixels), (REFERENCE_IMAGES, 3, scored, scored)]


def in_preparing_order(cells: Iterable[Benchmark]) -> list[Benchmark]:
    """Return benchmarks in the order in which their artifacts are made: those of one model and family together.

    The longest chain is made first: what it makes on the way is what the others are, and a process that finds its
    artifact made has nothing to load.
    """
    places: dict[tuple[Any, ...], int] = {}

    def place(cell: Benchmark) -> tuple[int, int]:
        if cell.params.operator is not None:
            return -1, 0
        variant, family = wanted(cell)
        chain = (cell.params.model, cell.params.width, cell.recipe, family)
        return places.setdefault(chain, len(places)), -len(parse_variant(variant))

    return sorted(cells, key=place)


def family_of(backend: str) -> Family:
    """Return the artifact family that a backend measures: benchmarks that share it share the artifact."""
    return family_named(row_of(backend).family)


def target_of(cell: Benchmark) -> tuple[Any, ...]:
    """Return what makes an artifact: benchmarks with equal targets measure the same one."""
    return _target(cell, *wanted(cell))


def carried_target_of(cell: Benchmark) -> tuple[Any, ...]:
    """Return the target of what a bundle holds for a benchmark."""
    return _target(cell, *carried(cell))


def _target(cell: Benchmark, variant: str, family: str) -> tuple[Any, ...]:
    # Some files are made for the shapes that are measured; every other one serves all.
    shapes = tuple(engine_shapes(cell)) if family_named(family).fixed else ()
    return cell.params.model, cell.params.width, variant, family, cell.recipe, shapes


def wanted(cell: Benchmark) -> tuple[str, str]:
    """Return the variant and family to prepare: where the making is measured only what it starts from."""
    if KINDS[cell.kind].makes:
        return base_variant(cell.params.variant), "torch"
    return cell.params.variant, family_of(cell.params.backend).name


def carried(cell: Benchmark) -> tuple[str, str]:
    """Return the variant and family that a bundle holds: as `wanted`, or what the board builds that from."""
    variant, name = wanted(cell)
    family = family_named(name)
    if family.local and family.export:
        return base_variant(variant), family.export
    return (base_variant(variant), name) if family.quantised_there else (variant, name)
