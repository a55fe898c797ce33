"""Links that train or change a torch module: pruning, distillation, quantisation-aware training."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgebench.artifacts.chain import Chain, Content
from edgebench.artifacts.convert.export import save_ir
from edgebench.artifacts.families import file_of
from edgebench.artifacts.links.transfer import prune
from edgebench.backends.registry import resolve
from edgebench.compress.checkpoint import CheckpointSpec, load_checkpoint
from edgebench.compress.distil import distil
from edgebench.compress.prune import l1_unstructured, make_permanent, reestimate_batch_norm, structured
from edgebench.compress.quantise import dynamic, qat, qat_note
from edgebench.measure.phases import phase
from edgebench_suites.zoo import build

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from edgebench.artifacts.chain import Ledger
    from edgebench.compress.steps import Step
    from edgebench.report.records import ArtifactRecord


@dataclass(frozen=True, slots=True)
class TorchTask:
    """What the work of a step in torch is given: the chain with its data and recipe, and the ledger of its phases."""

    chain: Chain
    parent: ArtifactRecord
    step: Step
    ledger: Ledger

    @property
    def amount(self) -> float:
        """The step's share, 0 to 1."""
        return self.step.amount or 0.0

    def phase(self, name: str) -> AbstractContextManager[None]:
        """Measure a block as one phase of making the artifact: seconds, joules, peak memory."""
        return phase(name, self.ledger, self.chain.probes)


Made = tuple[Any, CheckpointSpec]


def compressed(chain: Chain, parent: ArtifactRecord, step: Step) -> ArtifactRecord:
    """One step in torch, by the work that its row names."""
    facts = {"step": step.name, "recipe": chain.recipe.model_dump(), "data": chain.material.digest}

    def work(folder: Path, ledger: Ledger) -> Content:
        made: Made = resolve(step.kind.work)(TorchTask(chain, parent, step, ledger), *load_checkpoint(parent.path))
        return chain.saved(folder, *made)

    return chain.link("step", "torch", parent, facts, work)


def pruned(task: TorchTask, module: Any, spec: CheckpointSpec) -> Made:
    """Zero the smallest weights, then train one recovery round; under a transfer head the head alone."""
    chain = task.chain
    if chain.recipe.head == "transfer":
        prune(chain, task.parent, module, task.amount, task.ledger)
        return module, spec
    with task.phase("prune"):
        l1_unstructured(module, task.amount)
    with task.phase("recover"):
        chain.material.train(module, chain.training)
        make_permanent(module)
    return module, spec


def without_channels(task: TorchTask, module: Any, spec: CheckpointSpec) -> Made:
    """Remove whole channels, then fine-tune."""
    chain = task.chain
    with task.phase("prune"):
        module = structured(module, task.amount, size=chain.recipe.train_size)
        reestimate_batch_norm(module, chain.calibration())
    with task.phase("fine-tune"):
        training = chain.training.annealed(chain.recipe.finetune_epochs, chain.recipe.finetune_lr)
        chain.material.train(module, training)
    return module, spec.then("channels")


def distilled(task: TorchTask, teacher: Any, spec: CheckpointSpec) -> Made:
    """Train a narrower model of the zoo on the teacher's answers."""
    chain, recipe = task.chain, task.chain.recipe
    width = spec.width_mult * recipe.distil_width
    student, _ = build(spec.model, num_classes=spec.num_classes, seed=chain.seed, width_mult=width)
    with task.phase("distil"):
        distil(teacher, student, chain.data, chain.training.annealed(recipe.distil_epochs, recipe.distil_lr))
    return student, CheckpointSpec(spec.model, spec.num_classes, width)


def quantised(task: TorchTask, module: Any, spec: CheckpointSpec) -> Made:
    """Dynamic INT8 by torch."""
    with task.phase("quantise"):
        return dynamic(module), spec.then("ptq-dynamic")


def quantisation_aware(chain: Chain, parent: ArtifactRecord) -> ArtifactRecord:
    """Quantisation-aware training, straight to OpenVINO IR."""
    recipe = chain.recipe
    facts = {"recipe": recipe.model_dump(), "data": chain.data.digest}

    def work(folder: Path, ledger: Ledger) -> Content:
        module, _ = load_checkpoint(parent.path)
        with phase("train-quantised", ledger, chain.probes, qat_note()):
            model = qat(module, chain.data, chain.calibration(), replace(chain.training, epochs=recipe.qat_epochs))
        save_ir(model, folder / file_of("openvino"))
        return Content()

    return chain.link("qat", "openvino", parent, facts, work)
