"""The compression steps, a row each: what a variant's name means, in which order, and what its file computes in."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise

from edgebench.errors import UsageError

BASELINE = "baseline"
MAX_PERCENT = 95
# Formats of a GGUF file that llama.cpp's quantiser makes, with the bits a weight takes (scales among them).
GGUF_FORMATS = {"q8_0": 8.5, "q6_k": 6.56, "q5_k_m": 5.7, "q4_k_m": 4.85, "q4_0": 4.5, "q3_k_m": 3.9, "q2_k": 2.96}


@dataclass(frozen=True, slots=True)
class StepKind:
    """One kind of step. `rank` orders them: a variant's steps have strictly rising ranks.

    `work` names what does it (``module:function`` of an upper room, which this one does not import). In torch it is
    ``work(task, module, spec)``, which returns the changed module and its spec (`TorchTask` in
    artifacts/links/training.py); for a `lowered` step ``work(chain, parent, family)``, which returns the artifact;
    for a `final` one ``work(chain, parent)``, which makes the runtime's file itself, so that no export follows.

    `precision` is what the result computes in, and such a step needs a tool of the artifact family's own
    (backends/families.py says which have one); None: it is done to the torch model, whatever runs the result.
    `lowered`: applied by each backend's own quantiser or converter to what that backend opens (for torch to the torch
    model), not to a torch model that is lowered afterwards; `lowered_in` names the artifact families where that is so
    although torch has the step too. `whole`: it trains the whole network, so that no base stays frozen. `epochs` is the
    recipe's field that counts those it trains for, each of the time of `epoch_cost` plain ones. `summary` and `needs`
    are for the docs.
    """

    kind: str
    rank: int
    summary: str
    work: str
    precision: str | None = None
    lowered: bool = False
    final: bool = False
    lowered_in: tuple[str, ...] = ()
    takes_percent: bool = False
    whole: bool = False
    epochs: str = ""
    epoch_cost: int = 1
    needs: str = ""


STEPS: dict[str, StepKind] = {
    step.kind: step
    for step in (
        StepKind(
            "distil",
            0,
            "trains a narrower model of the zoo on the teacher's softened answers (Hinton et al. 2015, "
            "arXiv:1503.02531)",
            work="edgebench.artifacts.links.training:distilled",
            whole=True,
            epochs="distil_epochs",
            needs="training",
        ),
        StepKind(
            "channels",
            1,
            "removes NN % of the channels with their dependants (torch-pruning, arXiv:2301.12900, group L1 norm, "
            "widths rounded up to 8), re-estimates batch norms, fine-tunes",
            work="edgebench.artifacts.links.training:without_channels",
            takes_percent=True,
            whole=True,
            epochs="finetune_epochs",
            needs="training",
        ),
        StepKind(
            "prune",
            2,
            "zeroes the NN % smallest weights of every convolution (`torch.nn.utils.prune.l1_unstructured`), then one "
            "recovery round; the zeros hold",
            work="edgebench.artifacts.links.training:pruned",
            takes_percent=True,
            epochs="epochs",
            needs="training",
        ),
        StepKind(
            "fp16",
            3,
            "half-precision weights; inputs and outputs stay FP32",
            work="edgebench.artifacts.links.runtimes:halved",
            precision="fp16",
            lowered=True,
        ),
        StepKind(
            "ptq-dynamic",
            3,
            "INT8 weights, activations quantised as they come: linear layers in torch, convolutions too in LiteRT",
            work="edgebench.artifacts.links.training:quantised",
            precision="int8",
            lowered_in=("tflite", "litert-lm"),
        ),
        StepKind(
            "ptq-static",
            3,
            "INT8 weights and activations, calibrated on training images, by each runtime's own quantiser",
            work="edgebench.artifacts.links.runtimes:static",
            precision="int8",
            lowered=True,
            needs="calibration",
        ),
        StepKind(
            "weights-int8",
            3,
            "weights of matrix products in INT8, activations come and go in FP32 (docs/tasks.md)",
            work="edgebench.artifacts.links.runtimes:weights_int8",
            precision="int8",
            lowered=True,
        ),
        StepKind(
            "weights-int4",
            3,
            "weights of matrix products in INT4 by NNCF, 64 to a scale; embeddings and the last layer in INT8",
            work="edgebench.artifacts.links.genai:weights_int4",
            precision="int4",
            lowered=True,
        ),
        StepKind(
            "qat",
            3,
            "NNCF's fake quantisers, trained, then lowered",
            work="edgebench.artifacts.links.training:quantisation_aware",
            final=True,
            precision="int8",
            whole=True,
            epochs="qat_epochs",
            epoch_cost=2,
            needs="training, calibration",
        ),
        *(
            StepKind(
                name,
                3,
                f"{name.upper()} of llama.cpp: {bits:g} bits a weight in the mean, by its own quantiser",
                work="edgebench.artifacts.links.gguf:in_format",
                precision=f"int{int(bits)}",
                lowered=True,
            )
            for name, bits in GGUF_FORMATS.items()
        ),
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
                f"variant {variant!r}: {second.name} cannot follow {first.name}: the order is {_in_order()}"
            )
    return steps


def _in_order() -> str:
    """Return the steps as a variant may join them: ``distil, channelsNN, pruneNN, then one of fp16, qat``."""
    names = {step.kind: f"{step.kind}NN" if step.takes_percent else step.kind for step in STEPS.values()}
    last = max(step.rank for step in STEPS.values())
    first = [names[step.kind] for step in sorted(STEPS.values(), key=lambda step: step.rank) if step.rank < last]
    final = [names[step.kind] for step in STEPS.values() if step.rank == last]
    return f"{', '.join(first)}, then one of {', '.join(final)}"


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


def precision_of(variant: str) -> str | None:
    """Return what a variant's file computes in, None where no step changes it (FP32). Raises UsageError."""
    return next((step.kind.precision for step in parse_variant(variant) if step.kind.precision is not None), None)
