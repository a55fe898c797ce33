"""What the links of a transfer network do otherwise: attach and train its head, prune it and fine-tune the head."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgebench.artifact import Artifact, phase

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from edgebench.chain import Chain, Ledger
    from edgebench.compress.checkpoint import CheckpointSpec

# A seeded base takes its layers' scales from this many training images.
SCALING_IMAGES = 32
SCALED = "each layer scaled to unit mean square"


def attach(
    chain: Chain, network: Any, spec: CheckpointSpec, origin: str, ledger: Ledger
) -> tuple[Any, CheckpointSpec, str]:
    """Return base and trained head, how to rebuild them, and where the weights come from."""
    import torch

    from edgebench_suites.transfer import scale_layers, with_head

    recipe, seed = chain.recipe, chain.seed
    with phase("initialise", ledger, chain.probes), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = with_head(
            network,
            classes=chain.data.classes,
            size=recipe.train_size,
            width=recipe.head_width,
            dropout=recipe.dropout,
        )
        if origin.startswith("seeded") and not recipe.pretrain_epochs:
            scale_layers(module.get_submodule("base"), _images(chain))
            origin += f", {SCALED} on training images"
    if recipe.epochs:
        with phase("train", ledger, chain.probes):
            note = chain.train_head(module, epochs=recipe.epochs, lr=recipe.lr)
        ledger[-1]["note"] = note
    return module, spec.then("transfer"), f"{origin}; base frozen, head trained"


def prune(chain: Chain, parent: Artifact, module: Any, amount: float, ledger: Ledger) -> None:
    """Zero the smallest weights of every convolution and of the head's linear layers, then fine-tune the head.

    Zeros shrink what a layer gives. A base that does not train makes up for it at once, on training images: by the
    scales of its layers where those were set so, by its batch norms' statistics where it brought weights.
    """
    from torch import nn

    from edgebench.compress.prune import l1_unstructured, make_permanent, reestimate_batch_norm
    from edgebench_suites.transfer import scale_layers

    base = module.get_submodule("base")
    with phase("prune", ledger, chain.probes):
        l1_unstructured(module, amount, linear=True)
        # The base does not train: its zeros stand at once, and passes need no masks.
        make_permanent(base)
        if SCALED in str(parent.notes.get("weights", "")):
            scale_layers(base, _images(chain))
        else:
            reestimate_batch_norm(base, chain.calibration())

    for layer in module.modules():
        if isinstance(layer, nn.Dropout):
            layer.p = chain.recipe.dropout  # a checkpoint holds what inference needs, which dropout is not
    with phase("recover", ledger, chain.probes):
        note = chain.train_head(module, epochs=chain.recipe.finetune_epochs, lr=chain.recipe.finetune_lr)
        make_permanent(module)
    ledger[-1]["note"] = note


def _images(chain: Chain) -> npt.NDArray[np.float32]:
    """One batch of training images, the same each time."""
    from edgebench_suites.data import calibration_batches

    size, seed = chain.recipe.train_size, chain.seed
    return calibration_batches(chain.data, size=size, count=SCALING_IMAGES, seed=seed, batch=2 * SCALING_IMAGES)[0]
