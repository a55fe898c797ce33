"""The registry of compression steps: what a variant's name means, in which order, and which backends run it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise

from edgebench.errors import UsageError

BASELINE = "baseline"
MAX_PERCENT = 95


@dataclass(frozen=True, slots=True)
class StepKind:
    """One kind of step. `rank` orders them: a variant's steps have strictly rising ranks.

    `backends`: where the result runs. `lowered`: applied by each backend's own quantiser or converter to what that
    backend opens (for torch to the torch model), not to a torch model that is lowered afterwards; `lowered_in` names
    the artifact families where that is so although torch has the step too.
    """

    kind: str
    rank: int
    summary: str
    backends: tuple[str, ...]
    lowered: bool = False
    lowered_in: tuple[str, ...] = ()
    takes_percent: bool = False


_GPU = ("torch-cuda", "onnxruntime-cuda", "tensorrt")
_ALL = ("torch", "torch-compile", "openvino", "onnxruntime", "litert", *_GPU)

STEPS: dict[str, StepKind] = {
    step.kind: step
    for step in (
        StepKind("distil", 0, "knowledge distillation into a narrower model", _ALL),
        StepKind("channels", 1, "NN % of channels removed, then fine-tuned", _ALL, takes_percent=True),
        StepKind("prune", 2, "NN % of convolution weights zeroed, then recovered", _ALL, takes_percent=True),
        StepKind(
            "fp16",
            3,
            "half-precision weights; what computes in FP16 is the runtime's and the processor's choice",
            ("openvino", "onnxruntime", "litert", *_GPU),
            lowered=True,
        ),
        StepKind(
            "ptq-dynamic",
            3,
            "INT8 weights (torch: of linear layers only), activations quantised on the fly",
            ("torch", "litert"),
            lowered_in=("tflite",),
        ),
        StepKind(
            "ptq-static",
            3,
            "INT8 weights and activations, calibrated",
            ("torch", "openvino", "onnxruntime", "litert", "tensorrt"),
            lowered=True,
        ),
        StepKind(
            "weights-int8",
            3,
            "INT8 weights of matrix products; activations come and go in FP32",
            ("openvino", "onnxruntime"),
            lowered=True,
        ),
        StepKind("qat", 3, "INT8, trained with simulated quantisation", ("openvino",)),
    )
}


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a variant; `amount` is a share of 0 to 1 for steps that take one."""

    kind: StepKind
    amount: float | None = None

    @property
    def name(self) -> str:
        """The step as it stands in a variant's name, e.g. ``prune40``."""
        return self.kind.kind if self.amount is None else f"{self.kind.kind}{round(self.amount * 100)}"


def parse_variant(variant: str) -> tuple[Step, ...]:
    """Turn a variant's name such as ``prune40+ptq-dynamic`` into its steps; ``baseline`` has none.

    Raises UsageError for an unknown step, an impossible percentage or an impossible order.
    """
    if variant == BASELINE:
        return ()
    steps = tuple(_parse_step(part, variant) for part in variant.split("+"))
    for first, second in pairwise(steps):
        if first.kind.rank == second.kind.rank:
            raise UsageError(
                f"variant {variant!r}: {first.name} and {second.name} exclude each other: keep one of them"
            )
        if first.kind.rank > second.kind.rank:
            raise UsageError(
                f"variant {variant!r}: {second.name} cannot follow {first.name}: "
                "the order is distil, channelsNN, pruneNN, then one of fp16, ptq-dynamic, ptq-static, weights-int8, qat"
            )
    return steps


def _parse_step(part: str, variant: str) -> Step:
    if (kind := STEPS.get(part)) is not None and not kind.takes_percent:
        return Step(kind)
    match = re.fullmatch(r"([a-z]+)([0-9]{1,3})", part, re.ASCII)
    kind = STEPS.get(match[1]) if match else None
    if match is None or kind is None or not kind.takes_percent:
        known = ", ".join(f"{step.kind}NN" if step.takes_percent else step.kind for step in STEPS.values())
        raise UsageError(
            f"variant {variant!r}: unknown step {part!r}: use {BASELINE}, or join with '+' some of {known}"
        )
    percent = int(match[2])
    if not 1 <= percent <= MAX_PERCENT or str(percent) != match[2]:
        raise UsageError(
            f"variant {variant!r}: {part!r} needs a whole percentage of 1 to {MAX_PERCENT}: write {match[1]}40, say"
        )
    return Step(kind, percent / 100)


def runs_on(variant: str, backend: str) -> bool:
    """Whether a backend can run a variant. Raises UsageError for a variant that does not exist."""
    return all(backend in step.kind.backends for step in parse_variant(variant))


def is_made(variant: str, backend: str) -> bool:
    """Whether a backend's file of a variant is made by export and build alone, which kind ``compress`` measures.

    What torch runs is the model itself, LiteRT's converter is not split in two, and a variant that trains on the way to
    the file (qat) is no such making.
    """
    last = (parse_variant(variant) or (None,))[-1]
    return not backend.startswith(("torch", "litert")) and (last is None or last.kind.kind != "qat")
