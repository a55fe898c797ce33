"""The first link: a network as its recipe makes it, trained or given."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgebench.artifacts.chain import Chain, Content, file_digest
from edgebench.artifacts.links.transfer import attach, epochs_on
from edgebench.compress.checkpoint import CheckpointSpec
from edgebench.compress.prune import reestimate_batch_norm
from edgebench.measure.phases import phase
from edgebench.report.records import ArtifactNotes, ArtifactRecord
from edgebench_suites.data.load import calibration_batches
from edgebench_suites.zoo import build, weights_of

if TYPE_CHECKING:
    from edgebench.artifacts.chain import Ledger


# The fields of a recipe that every training reads.
_USED = {"train_size", "pretrain_epochs", "pretrain_lr", "epochs", "lr", "batch", "subset"}


def baseline(chain: Chain) -> ArtifactRecord:
    """The model as the study starts from it; a task beyond classification has its own data and training."""
    return _classifier(chain) if chain.task.name == "classification" else _network(chain)


def _facts(chain: Chain, model: str, data: str, used: set[str]) -> dict[str, Any]:
    """Return what decides the weights: the `used` fields of the recipe and the digest of the `data` among them."""
    return {
        "model": model,
        "width": chain.job.width,
        "data": data,
        "weights": file_digest(chain.weights) if chain.weights else None,
        "recipe": chain.recipe.model_dump(include=_USED | used),
    }


def _classifier(chain: Chain) -> ArtifactRecord:
    """The model as the study starts from it: built, pretrained where it has no weights, trained one round."""
    recipe, model, width = chain.recipe, chain.job.model, chain.job.width
    used = {"augment"} | ({"reestimate_batch_norm"} if recipe.reestimate_batch_norm else set())
    facts = _facts(chain, model, chain.data.digest, used)
    if recipe.head == "transfer":
        facts["head"] = recipe.model_dump(
            include={"head_width", "dropout", "validation", "patience", "augment_with", "pretrain_size"}, mode="json"
        )

    def work(folder: Path, ledger: Ledger) -> Content:
        with phase("build", ledger, chain.probes):
            module, origin = build(
                model, num_classes=chain.data.classes, seed=chain.seed, weights=chain.weights, width_mult=width
            )
        if origin.startswith("seeded") and recipe.pretrain_epochs and recipe.head != "transfer":
            note = f"{epochs_on(recipe.pretrain_epochs, chain.data.name)}, in place of ImageNet weights"
            pretraining = chain.training.annealed(recipe.pretrain_epochs, recipe.pretrain_lr)
            with phase("pretrain", ledger, chain.probes, note):
                chain.material.train(module, replace(pretraining, subset=1.0))
            origin += f", then {note}"
        spec = CheckpointSpec(model, chain.data.classes, width)
        if recipe.head == "transfer":
            module, spec, origin = attach(chain, module, spec, origin, ledger)
        elif recipe.epochs:
            with phase("train", ledger, chain.probes):
                chain.material.train(module, chain.training)
        if recipe.reestimate_batch_norm:
            images = calibration_batches(chain.data, size=recipe.train_size, count=256, seed=chain.seed, batch=64)
            with phase("re-estimate", ledger, chain.probes, "batch norms' statistics, over training images"):
                reestimate_batch_norm(module, images)
        return chain.saved(folder, module, spec, ArtifactNotes(weights=origin, trained=True))

    return chain.link("baseline", "torch", None, facts, work)


def _network(chain: Chain) -> ArtifactRecord:
    """The model trained on its task's data: a phase of pretraining where it has no weights, one of training after it.

    Models that share their weights share this artifact.
    """
    recipe, model, width = chain.recipe, weights_of(chain.job.model), chain.job.width
    facts = _facts(chain, model, chain.material.digest, set())

    def work(folder: Path, ledger: Ledger) -> Content:
        classes = chain.material.classes
        with phase("build", ledger, chain.probes):
            module, origin = build(model, num_classes=classes, seed=chain.seed, weights=chain.weights, width_mult=width)
        trained = not origin.startswith("seeded")
        if not trained and recipe.pretrain_epochs:
            note = epochs_on(recipe.pretrain_epochs, chain.material.name)
            with phase("pretrain", ledger, chain.probes, note):
                chain.material.train(module, chain.training.annealed(recipe.pretrain_epochs, recipe.pretrain_lr))
            origin, trained = f"{origin}, then {note}", True
        if recipe.epochs:
            with phase("train", ledger, chain.probes):
                chain.material.train(module, chain.training)
            trained = True
        notes = ArtifactNotes(weights=origin, trained=trained)
        return chain.saved(folder, module, CheckpointSpec(model, classes, width), notes)

    return chain.link("task-baseline", "torch", None, facts, work)
