"""Links that train or change a torch module: pruning, distillation, quantisation-aware training."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgebench.artifacts.chain import Chain, Content
from edgebench.artifacts.convert.export import save_ir
from edgebench.artifacts.families import FILES
from edgebench.artifacts.links.transfer import prune
from edgebench.compress.checkpoint import CheckpointSpec, load_checkpoint
from edgebench.compress.distil import distil
from edgebench.compress.prune import l1_unstructured, make_permanent, reestimate_batch_norm, structured
from edgebench.compress.quantise import dynamic, qat, qat_note
from edgebench.measure.phases import phase
from edgebench_suites.zoo import build

if TYPE_CHECKING:
    from edgebench.artifacts.chain import Ledger
    from edgebench.compress.steps import Step
    from edgebench.report.records import ArtifactRecord


def compressed(chain: Chain, parent: ArtifactRecord, step: Step) -> ArtifactRecord:
    """One step in torch: prune, remove channels, distil or quantise dynamically."""
    recipe, kind = chain.recipe, step.kind.kind
    facts = {"step": step.name, "recipe": recipe.model_dump(), "data": chain.material.digest}

    def work(folder: Path, ledger: Ledger) -> Content:
        module, spec = load_checkpoint(parent.path)
        if kind == "prune" and recipe.head == "transfer":
            prune(chain, parent, module, step.amount or 0.0, ledger)
        elif kind == "prune":
            with phase("prune", ledger, chain.probes):
                l1_unstructured(module, step.amount or 0.0)
            with phase("recover", ledger, chain.probes):
                chain.material.train(module, chain.training)
                make_permanent(module)
        elif kind == "channels":
            module, spec = _channels(chain, module, step.amount or 0.0, ledger), spec.then("channels")
        elif kind == "distil":
            module, spec = _distilled(chain, module, spec, ledger)
        else:
            with phase("quantise", ledger, chain.probes):
                module, spec = dynamic(module), spec.then("ptq-dynamic")
        return chain.saved(folder, module, spec)

    return chain.link("step", "torch", parent, facts, work)


def _channels(chain: Chain, module: Any, amount: float, ledger: Ledger) -> Any:
    with phase("prune", ledger, chain.probes):
        module = structured(module, amount, size=chain.recipe.train_size)
        reestimate_batch_norm(module, chain.calibration())
    with phase("fine-tune", ledger, chain.probes):
        training = chain.training.annealed(chain.recipe.finetune_epochs, chain.recipe.finetune_lr)
        chain.material.train(module, training)
    return module


def _distilled(chain: Chain, teacher: Any, spec: CheckpointSpec, ledger: Ledger) -> tuple[Any, CheckpointSpec]:
    recipe = chain.recipe
    width = spec.width_mult * recipe.distil_width
    student, _ = build(spec.model, num_classes=spec.num_classes, seed=chain.seed, width_mult=width)
    with phase("distil", ledger, chain.probes):
        distil(teacher, student, chain.data, chain.training.annealed(recipe.distil_epochs, recipe.distil_lr))
    return student, CheckpointSpec(spec.model, spec.num_classes, width)


def quantisation_aware(chain: Chain, parent: ArtifactRecord) -> ArtifactRecord:
    """Quantisation-aware training, straight to OpenVINO IR."""
    recipe = chain.recipe
    facts = {"recipe": recipe.model_dump(), "data": chain.data.digest}

    def work(folder: Path, ledger: Ledger) -> Content:
        module, _ = load_checkpoint(parent.path)
        with phase("train-quantised", ledger, chain.probes, qat_note()):
            model = qat(module, chain.data, chain.calibration(), replace(chain.training, epochs=recipe.qat_epochs))
        save_ir(model, folder / FILES["openvino"])
        return Content()

    return chain.link("qat", "openvino", parent, facts, work)
