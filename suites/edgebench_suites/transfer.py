"""Transfer learning: a convolutional base that stays as it is, and a head Flatten → Dense → Dropout → Dense on it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from edgebench_suites.data.augment import augmented
from edgebench_suites.data.dataset import Dataset, stratified_subset
from edgebench_suites.data.load import preprocess
from edgebench_suites.training import Training, seed_everything

if TYPE_CHECKING:
    import numpy.typing as npt
    from torch import Tensor, nn

    F32 = npt.NDArray[np.float32]
    I64 = npt.NDArray[np.int64]

DROPOUT = 0.5
# Validation images' features are kept over the epochs up to this size; the base never changes.
_MAX_KEPT_BYTES = 256 << 20


@dataclass(frozen=True, slots=True)
class EarlyStopping:
    """When a head's training ends before its last epoch, as with Keras' callback of that name.

    A stratified share `validation` of the training images is kept out. After `patience` epochs without a lower loss on
    it training stops, and the weights of the best epoch are restored.
    """

    validation: float = 0.2
    patience: int = 2


@dataclass(frozen=True, slots=True)
class Trained:
    """How a head's training went: epochs that ran, the one whose weights were kept, its validation loss (nats)."""

    epochs: int
    best: int
    loss: float

    def __str__(self) -> str:
        """Return it as a note of the ledger."""
        return f"{self.epochs} epochs, kept the weights of epoch {self.best}"


def with_head(network: nn.Module, *, classes: int, size: int, width: int, dropout: float = DROPOUT) -> nn.Module:
    """Return a network of the zoo's convolutional base and a new head for inputs of `size` pixels.

    The head's weights come from torch's global generator. `base` and `head` are the names of the two parts.
    """
    import torch

    base = convolutional_base(network)
    with torch.no_grad():
        features = base.eval()(torch.zeros(1, 3, size, size)).numel()
    return joined(base, features, width, classes, dropout)


def joined(base: nn.Module, features: int, width: int, classes: int, dropout: float = DROPOUT) -> nn.Module:
    """Return base and head as one network."""
    from torch import nn

    head = nn.Sequential(
        nn.Flatten(), nn.Linear(features, width), nn.ReLU(), nn.Dropout(dropout), nn.Linear(width, classes)
    )
    return nn.Sequential(OrderedDict(base=base, head=head))


def convolutional_base(network: nn.Module) -> nn.Module:
    """Return what stands before the pooling of a torchvision classifier: ``features``, or a ResNet's stages."""
    from torch import nn

    features = getattr(network, "features", None)
    if isinstance(features, nn.Module):
        return features
    return nn.Sequential(OrderedDict(list(network.named_children())[:-2]))


def has_batch_norm(network: nn.Module) -> bool:
    """Return whether a network normalises by batch."""
    from torch import nn

    return any(isinstance(layer, nn.BatchNorm2d) for layer in network.modules())


def standardise_layers(base: nn.Module, images: F32) -> None:
    """Give every channel of a seeded base mean 0 and variance 1 over `images` ([n, 3, H, W]), first to last, in place.

    The data-dependent initialisation of Krähenbühl et al. (2016, arXiv:1511.06856), within layers only. With initial
    weights alone the signal of a deep base dies out or explodes (MobileNetV2: to 1e-9); with its scale set but not its
    mean, what all images have in common outweighs what tells them apart, and INT8 rounds the latter away. Batch norms
    take the statistics where there are some, else convolutions their scale and bias.
    """
    import torch
    from torch import nn

    def standardise(layer: Any, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        norm = isinstance(layer, nn.BatchNorm2d)
        variance, mean = torch.var_mean(inputs[0] if norm else output, dim=(0, 2, 3), correction=0)
        if norm:
            layer.running_mean.copy_(mean)
            layer.running_var.copy_(variance)
            return nn.functional.batch_norm(inputs[0], mean, variance, layer.weight, layer.bias, eps=layer.eps)
        # A channel without any weight left gives one value for all images: it stays as it is.
        deviation = torch.where(variance > 0, variance, 1.0).sqrt()
        layer.weight.div_(deviation[:, None, None, None])
        layer.bias.sub_(mean).div_(deviation)
        return (output - mean[:, None, None]) / deviation[:, None, None]

    kind = nn.BatchNorm2d if has_batch_norm(base) else nn.Conv2d
    handles = [layer.register_forward_hook(standardise) for layer in base.modules() if isinstance(layer, kind)]
    with torch.no_grad():
        base.eval()(torch.from_numpy(images))
    for handle in handles:
        handle.remove()


def train_head(
    model: nn.Module,
    dataset: Dataset,
    training: Training,
    stopping: EarlyStopping,
    *,
    augment_with: Collection[str] = (),
) -> Trained:
    """Train the head of `model` in place with Adam, a constant rate and cross-entropy; base and norms stay frozen.

    Every training image is drawn anew in each epoch by `augment_with`. Reproducible as `recipes.train` is.
    """
    import torch
    from torch.nn import functional

    size, seed, batch = training.size, training.seed, training.batch
    rng = seed_everything(seed)
    base, head = model.get_submodule("base").eval(), model.get_submodule("head")
    chosen = stratified_subset(dataset.train_labels, training.subset, seed)
    kept_out = chosen[stratified_subset(dataset.train_labels[chosen], stopping.validation, seed)]
    rows = np.setdiff1d(chosen, kept_out)
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch documents it, its types lack it
    adam = torch.optim.Adam(head.parameters(), lr=training.lr)

    def features(part: I64, kinds: Collection[str] = ()) -> Tensor:
        images = torch.from_numpy(preprocess(dataset.train_images[part], size))
        with torch.no_grad():
            found: Tensor = base(augmented(images, kinds, rng).to(memory_format=torch.channels_last))
        return found

    def labels(part: I64) -> Tensor:
        return torch.from_numpy(dataset.train_labels[part])

    loss_of = _validation(features, labels, head, [kept_out[at : at + batch] for at in range(0, len(kept_out), batch)])
    best, lowest, state = 0, float("inf"), _copy(head)
    epoch = 0
    for epoch in range(1, training.epochs + 1):
        head.train()
        for part in _batches(rng.permutation(rows), batch):
            loss = functional.cross_entropy(head(features(part, augment_with)), labels(part))
            adam.zero_grad(set_to_none=True)
            loss.backward()
            adam.step()
        head.eval()
        if (now := loss_of()) < lowest:
            best, lowest, state = epoch, now, _copy(head)
        elif epoch - best >= stopping.patience:
            break
    head.load_state_dict(state)
    model.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]  # as above
    model.eval()
    return Trained(epoch, best, lowest)


def _validation(
    features: Callable[[I64], Tensor], labels: Callable[[I64], Tensor], head: nn.Module, parts: Sequence[I64]
) -> Callable[[], float]:
    """Return what computes the mean loss over the images kept out; their features are kept where they are few."""
    from torch.nn import functional

    first = features(parts[0])
    few = first[0].numel() * 4 * sum(len(part) for part in parts) <= _MAX_KEPT_BYTES
    kept = [first, *(features(part) for part in parts[1:])] if few else []

    def loss() -> float:
        import torch

        total = 0.0
        with torch.no_grad():
            for index, part in enumerate(parts):
                logits = head(kept[index] if few else features(part))
                total += float(functional.cross_entropy(logits, labels(part), reduction="sum"))
        return total / sum(len(part) for part in parts)

    return loss


def _batches(order: I64, batch: int) -> list[I64]:
    return [order[at : at + batch] for at in range(0, len(order), batch)]


def _copy(module: nn.Module) -> dict[str, Any]:
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}
