"""Links of models beyond classification, and weight-only INT8."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edgebench.artifacts.chain import Chain, Content, file_digest
from edgebench.artifacts.families import FILES
from edgebench.artifacts.store import Artifact
from edgebench.measure.phases import phase

if TYPE_CHECKING:
    from edgebench.artifacts.chain import Ledger


def baseline(chain: Chain) -> Artifact:
    """The model trained on its task's data: a phase of pretraining where it has no weights, one of training after it.

    Models that share their weights share this artifact.
    """
    from edgebench_suites.zoo import weights_of

    recipe, model, width = chain.recipe, weights_of(chain.job["model"]), chain.job["width"]
    weights = Path(chain.job["weights"]) if chain.job["weights"] else None
    facts = {
        "model": model,
        "width": width,
        "data": chain.material.digest,
        "weights": file_digest(weights) if weights else None,
        "recipe": recipe.model_dump(
            include={"train_size", "pretrain_epochs", "pretrain_lr", "epochs", "lr", "batch", "subset"}
        ),
    }

    def work(folder: Path, ledger: Ledger) -> Content:
        from edgebench.compress.checkpoint import CheckpointSpec
        from edgebench_suites.zoo import build

        classes = chain.material.classes
        with phase("build", ledger, chain.probes):
            module, origin = build(model, num_classes=classes, seed=chain.seed, weights=weights, width_mult=width)
        trained = not origin.startswith("seeded")
        if not trained and recipe.pretrain_epochs:
            note = f"{recipe.pretrain_epochs} epochs on {chain.material.name}"
            with phase("pretrain", ledger, chain.probes, note):
                chain.material.train(
                    module,
                    epochs=recipe.pretrain_epochs,
                    lr=recipe.pretrain_lr,
                    batch=recipe.batch,
                    subset=recipe.subset,
                )
            origin, trained = f"{origin}, then {note}", True
        if recipe.epochs:
            with phase("train", ledger, chain.probes):
                chain.train(module)
            trained = True
        notes = {"weights": origin, "trained": trained}
        return chain.saved(folder, module, CheckpointSpec(model, classes, width), notes)

    return chain.link("task-baseline", "torch", None, facts, work)


def weights_int8(chain: Chain, parent: Artifact, family: str) -> Artifact:
    """INT8 weights of the matrix products by the runtime's own tool; activations come and go in FP32."""

    def work(folder: Path, ledger: Ledger) -> Content:
        from edgebench.compress.weights import compress_onnx, compress_openvino

        write = compress_openvino if family == "openvino" else compress_onnx
        with phase("quantise", ledger, chain.probes):
            write(parent.path, folder / FILES[family])
        return Content(None, None, {})

    return chain.link("weights-int8", family, parent, {}, work)
