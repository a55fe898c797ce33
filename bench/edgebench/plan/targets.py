"""What each benchmark needs prepared: variant, family, shapes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgebench.compress.steps import BASELINE, parse_variant
from edgebench_suites.tasks.base import REFERENCE_IMAGES

if TYPE_CHECKING:
    from edgebench.plan.plan import Benchmark


# Families whose unchanged model is built as well: an engine is compiled even in FP32.
ALWAYS_BUILT = frozenset({"tensorrt"})


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


# The artifact family a backend measures: benchmarks that share it share the artifact.
FAMILIES = {
    "torch": "torch",
    "torch-compile": "torch",
    "torch-cuda": "torch",
    "openvino": "openvino",
    "onnxruntime": "onnx",
    "onnxruntime-cuda": "onnx",
    "litert": "tflite",
    "tensorrt": "tensorrt",
}


# What only the board itself can make, and the family of the file it is built from: a bundle holds that one.
PORTABLE = {"tensorrt": "onnx"}


def target_of(cell: Benchmark) -> tuple[Any, ...]:
    """Return what makes an artifact: benchmarks with equal targets measure the same one."""
    return _target(cell, *wanted(cell))


def carried_target_of(cell: Benchmark) -> tuple[Any, ...]:
    """Return the target of what a bundle holds for a benchmark."""
    return _target(cell, *carried(cell))


def _target(cell: Benchmark, variant: str, family: str) -> tuple[Any, ...]:
    # An engine is made for the shapes that are measured; every other file serves all.
    shapes = tuple(engine_shapes(cell)) if family in ALWAYS_BUILT else ()
    return cell.params.model, cell.params.width, variant, family, cell.recipe, shapes


def wanted(cell: Benchmark) -> tuple[str, str]:
    """Return the variant and family to prepare: for kind ``compress`` only what the making starts from."""
    if cell.kind == "compress":
        return base_variant(cell.params.variant), "torch"
    return cell.params.variant, FAMILIES[cell.params.backend]


def carried(cell: Benchmark) -> tuple[str, str]:
    """Return the variant and family that a bundle holds: as `wanted`, or what the board builds that from."""
    variant, family = wanted(cell)
    return (base_variant(variant), PORTABLE[family]) if family in PORTABLE else (variant, family)
