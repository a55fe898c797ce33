"""What the links of a transfer network do otherwise: attach and train its head, prune it and fine-tune the head."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec

from edgebench.compress.prune import l1_unstructured, make_permanent, reestimate_batch_norm
from edgebench.measure.phases import phase
from edgebench_suites.data.dataset import DataChoice
from edgebench_suites.data.load import calibration_batches, load_data
from edgebench_suites.recipes import train
from edgebench_suites.transfer import EarlyStopping, has_batch_norm, standardise_layers, train_head, with_head
from edgebench_suites.zoo import build

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from edgebench.artifacts.chain import Chain, Ledger
    from edgebench.compress.checkpoint import CheckpointSpec
    from edgebench.report.records import ArtifactRecord
    from edgebench_suites.training import Training

# A seeded base is standardised over this many training images.
STANDARD_IMAGES = 32
STANDARDISED = "each channel standardised"


def epochs_on(count: int, name: str) -> str:
    """Say how long a model was trained on which data."""
    return f"{count} epoch{'s' * (count != 1)} on {name}"


def attach(
    chain: Chain, network: Any, spec: CheckpointSpec, origin: str, ledger: Ledger
) -> tuple[Any, CheckpointSpec, str]:
    """Return base and trained head, how to rebuild them, and where the weights come from."""
    import torch

    recipe, seed = chain.recipe, chain.seed
    learns = origin.startswith("seeded") and bool(recipe.pretrain_epochs) and has_batch_norm(network)
    if learns:
        network, note = _pretrained(chain, ledger)
        origin += f", then {note}"
    with phase("initialise", ledger, chain.probes), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = with_head(
            network,
            classes=chain.data.classes,
            size=recipe.train_size,
            width=recipe.head_width,
            dropout=recipe.dropout,
        )
        base = module.get_submodule("base")
        if learns:
            # Their statistics are of smaller images.
            reestimate_batch_norm(base, [_images(chain)])
        elif origin.startswith("seeded"):
            standardise_layers(base, _images(chain))
            origin += f", {STANDARDISED} on training images"
    if recipe.epochs:
        with phase("train", ledger, chain.probes):
            note = _train_head(chain, module, chain.training)
        ledger[-1] = msgspec.structs.replace(ledger[-1], note=note)
    return module, spec.then("transfer"), f"{origin}; base frozen, head trained"


def _pretrained(chain: Chain, ledger: Ledger) -> tuple[Any, str]:
    """Return a network that learned the digits the suite leaves out, and how; all ten where it takes other data.

    So the base transfers from another task, as ImageNet's would. Only networks with batch norms learn in so few epochs.
    """
    recipe, used = chain.recipe, chain.job.choice.digits if chain.job.data is None else ()
    others = tuple(digit for digit in range(10) if digit not in used)
    data = load_data(None, seed=chain.seed, choice=DataChoice(others if 1 < len(others) < 10 else ()))
    note = (
        f"{epochs_on(recipe.pretrain_epochs, data.name)} at {recipe.pretrain_size} pixels, in place of ImageNet weights"
    )
    network, _ = build(chain.job.model, num_classes=data.classes, seed=chain.seed, width_mult=chain.job.width)
    training = replace(
        chain.training.annealed(recipe.pretrain_epochs, recipe.pretrain_lr), size=recipe.pretrain_size, subset=1.0
    )
    with phase("pretrain", ledger, chain.probes, note):
        train(network, data, training)
    return network, note


def prune(chain: Chain, parent: ArtifactRecord, module: Any, amount: float, ledger: Ledger) -> None:
    """Zero the smallest weights of every convolution and of the head's linear layers, then fine-tune the head.

    Zeros shrink what a layer gives. A base that does not train makes up for it at once, on training images: where it
    was standardised it is again, and where it brought weights, its batch norms take new statistics.
    """
    from torch import nn

    base = module.get_submodule("base")
    with phase("prune", ledger, chain.probes):
        l1_unstructured(module, amount, linear=True)
        # The base does not train: its zeros stand at once, and passes need no masks.
        make_permanent(base)
        if STANDARDISED in (parent.notes.weights or ""):
            standardise_layers(base, _images(chain))
        else:
            reestimate_batch_norm(base, [_images(chain)])

    for layer in module.modules():
        if isinstance(layer, nn.Dropout):
            layer.p = chain.recipe.dropout  # a checkpoint holds what inference needs, which dropout is not
    finetuning = replace(chain.training, epochs=chain.recipe.finetune_epochs, lr=chain.recipe.finetune_lr)
    with phase("recover", ledger, chain.probes):
        note = _train_head(chain, module, finetuning)
        make_permanent(module)
    ledger[-1] = msgspec.structs.replace(ledger[-1], note=note)


def _train_head(chain: Chain, module: Any, training: Training) -> str:
    """Train the head in place; return how it went."""
    recipe = chain.recipe
    stopping = EarlyStopping(recipe.validation, recipe.patience)
    return str(train_head(module, chain.data, training, stopping, augment_with=recipe.augment_with))


def _images(chain: Chain) -> npt.NDArray[np.float32]:
    """One batch of training images, the same each time."""
    size, seed = chain.recipe.train_size, chain.seed
    return calibration_batches(chain.data, size=size, count=STANDARD_IMAGES, seed=seed, batch=2 * STANDARD_IMAGES)[0]
