"""How long a plan will take, roughly: for --dry-run and the progress bar, never for a report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from edgebench.backends.registry import row_of
from edgebench.compress.steps import parse_variant
from edgebench.plan.kinds import KINDS
from edgebench.plan.skips import skips
from edgebench.plan.targets import in_preparing_order, target_of
from edgebench_suites.zoo import MODELS

if TYPE_CHECKING:
    from edgebench.plan.plan import Benchmark, Plan

# Seconds on a 2-core x86 machine of 2023 (docs/evidence.md); those of each backend stand in its row.
_EVALUATE_S = 4.0
_PREPARE_S = 8.0
_PREPARE_TEXT_S = 2.5  # of a decoder: no images, and no torchvision
_ROOFS_S = 3.0
_MAKE_S = 10.0  # one run of kind compress: two processes that import torch and a converter
_READ_PER_S = 3000.0  # tokens of the zoo's small Llama; of one's own nobody knows
_EPOCH_S = 4.5  # the digits at 64 pixels, width 1.0
# Multiply-accumulates of the zoo against MobileNetV2 (torchvision's published GFLOPs over 0.30).
_RELATIVE_COST: Mapping[str, float] = {
    "mobilenet_v3_small": 0.2,
    "mobilenet_v3_large": 0.75,
    "efficientnet_b0": 1.3,
    "efficientnet_b3": 6.0,
    "densenet169": 11.0,
    "densenet201": 14.0,
    "resnet50": 13.6,
    "vgg19": 65.0,
    "ssdlite320_mobilenet_v3_large": 0.95,
    "lraspp_mobilenet_v3_large": 1.3,
    "vit_tiny": 4.2,
    "byte_gpt_prefill": 2.0,  # of 128 tokens
    "byte_gpt_decode": 0.05,
    "byte_llama": 15.0,  # an epoch over the book
}
# Preparing may take so many times its estimate, and an hour at least.
_LIMIT_TIMES, _SHORTEST_LIMIT_S = 40.0, 3600.0
# Samples of an epoch against the digits' 1,437 images.
_EPOCH_SHARE: Mapping[str, float] = {"detection": 0.18, "segmentation": 0.18}
_TEXTS = frozenset({"language", "language-step", "generation"})
# A transfer head's epoch: two of ten digits, and the base computes forward only.
_HEAD_SHARE = 0.03


def measure_seconds(cell: Benchmark) -> float:
    """Estimate the seconds of one run of a benchmark."""
    measure, params = cell.measure, cell.params
    kind, row = KINDS[cell.kind], row_of(params.backend)
    if params.operator is not None:
        return row.start_s + measure.values * max(measure.min_value_s, 0.01) * 1.5
    if kind.lasts:
        return row.start_s + measure.sustained_s + measure.rest_s
    if kind.makes:
        return _MAKE_S * (1 + 0.3 * _RELATIVE_COST.get(params.model, 1.0) * (params.precision == "int8"))
    if cell.generates:
        request_s = params.batch * (params.size / _READ_PER_S + (params.generate or 0) * row.token_s)
        windows_s = 2 * measure.energy_windows * measure.energy_window_s
        read_s = measure.quality_tokens / _READ_PER_S / measure.least_runs
        return row.start_s + (measure.requests + 2) * request_s + windows_s + read_s
    scale = _RELATIVE_COST.get(params.model, 1.0) * params.width * (params.image_size / 224) ** 2 * params.batch
    passes = measure.passes + measure.warmup_passes
    pass_s = row.pass_s * scale * (row.int8_ratio if params.precision == "int8" else 1)
    windows_s = measure.energy_windows * measure.energy_window_s
    return row.start_s + passes * pass_s + windows_s + _EVALUATE_S / measure.least_runs


def prepare_seconds(cell: Benchmark) -> float:
    """Estimate the seconds of making a benchmark's artifact when its model is already trained."""
    recipe, epochs = cell.recipe, 0
    if cell.generates:
        return _PREPARE_TEXT_S
    if recipe.head == "transfer":
        return _PREPARE_S + ("prune" in cell.params.variant) * recipe.finetune_epochs * _head_epoch_seconds(cell)
    for step in parse_variant(cell.params.variant):
        if field := step.kind.epochs:
            epochs += step.kind.epoch_cost * int(getattr(recipe, field))
    return _PREPARE_S + epochs * _epoch_seconds(cell, recipe.train_size)


def training_seconds(cell: Benchmark) -> float:
    """Estimate the seconds of training a benchmark's model, before any compression."""
    recipe = cell.recipe
    if recipe.head == "transfer":
        pretraining = recipe.pretrain_epochs * _epoch_seconds(cell, recipe.pretrain_size)
        return pretraining + recipe.epochs * _head_epoch_seconds(cell)
    return (recipe.pretrain_epochs + recipe.epochs) * _epoch_seconds(cell, recipe.train_size)


def prepare_limit_s(cell: Benchmark) -> float:
    """Return after how many seconds making an artifact counts as hung: far more than any board needs for it.

    It is no run: training takes a hundred times as long as measuring, and a slow board ten times as long again.
    """
    expected_s = prepare_seconds(cell) + training_seconds(cell)
    return max(_SHORTEST_LIMIT_S, _LIMIT_TIMES * expected_s, cell.measure.time_limit_s)


def _epoch_seconds(cell: Benchmark, size: int) -> float:
    # Below 64 pixels a step costs what its layers' starts cost; large layers train faster for their arithmetic.
    share = max(1.0, (size / 64) ** 2)
    if cell.params.operator is None and (model := cell.params.model) in MODELS:
        task = MODELS[model].task
        # An epoch goes through a text once, however long its windows are.
        share = 1.0 if task in _TEXTS else share * _EPOCH_SHARE.get(task, 1.0)
    cost: float = _RELATIVE_COST.get(cell.params.model, 1.0) ** 0.7
    return _EPOCH_S * share * cell.params.width * cost


def _head_epoch_seconds(cell: Benchmark) -> float:
    return _HEAD_SHARE * _epoch_seconds(cell, cell.recipe.train_size)


def roof_threads(plan: Plan) -> set[int]:
    """Return the thread counts for which a session measures what the machine can do at most."""
    return {cell.params.threads for cell in plan.benchmarks if cell.kind in {"inference", "operator"}}


def work(plan: Plan, *, prepared: bool = False) -> dict[str, float]:
    """Return the seconds of each unit that a session reports as done: a run by its benchmark's name, and the others.

    Those are ``prepare NAME`` (with `prepared` artifacts, of a bundle, there are none), ``idle before`` and ``after``,
    and ``roofs THREADS``.
    """
    found = dict.fromkeys(("idle before", "idle after"), plan.idle_s)
    found |= {f"roofs {threads}": _ROOFS_S for threads in sorted(roof_threads(plan))}
    skipped = skips(plan)
    targets = set()
    trained = set()
    for cell in in_preparing_order(plan.benchmarks):
        if cell.name in skipped:
            found[cell.name] = 0.0
            continue
        found[cell.name] = measure_seconds(cell)
        if not prepared and cell.params.operator is None and (target := target_of(cell)) not in targets:
            targets.add(target)
            found[f"prepare {cell.name}"] = prepare_seconds(cell)
            if (model := (cell.params.model, cell.params.width)) not in trained:
                trained.add(model)
                found[f"prepare {cell.name}"] += training_seconds(cell)
    return found


def total_seconds(plan: Plan, *, prepared: bool = False) -> tuple[float, float]:
    """Estimate the whole session: with the fewest runs of every benchmark, and with the most that it may take."""
    units, skipped = work(plan, prepared=prepared), skips(plan)
    fewest = sum(units[cell.name] * cell.measure.least_runs for cell in plan.benchmarks if cell.name not in skipped)
    most = sum(units[cell.name] * cell.measure.most_runs for cell in plan.benchmarks if cell.name not in skipped)
    others = sum(seconds for name, seconds in units.items() if name.startswith(("prepare ", "idle ", "roofs ")))
    return others + fewest, others + max(fewest, min(most, 60 * plan.max_minutes))
