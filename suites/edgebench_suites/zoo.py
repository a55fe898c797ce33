"""The model zoo: torchvision's classifiers with one linear layer as head, and where their weights came from."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from edgebench_suites.errors import SuiteDataError
from edgebench_suites.tasks import TASKS, networks
from edgebench_suites.tasks.base import Task
from edgebench_suites.vision import import_torchvision

if TYPE_CHECKING:
    from types import ModuleType

    from torch import Tensor, nn

MAX_WIDTH = 4.0
_CODE_LICENCE = "BSD-3-Clause"
# ImageNet is for non-commercial research; torchvision leaves the licence of weights trained on it open.
_WEIGHTS_LICENCE = "not stated by torchvision (trained on ImageNet-1k)"


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """One architecture: `builder` is torchvision's name, `weights_file` its IMAGENET1K_V1 file in torch.hub's cache.

    `task` is what it is for (`edgebench_suites.tasks`).
    """

    name: str
    builder: str
    weights_file: str
    paper: str
    kwargs: tuple[str, ...] = ()
    source: str = "torchvision"
    licence: str = _CODE_LICENCE
    weights_licence: str = _WEIGHTS_LICENCE
    task: str = "classification"


def _info(name: str, digest: str, paper: str, *kwargs: str, stem: str | None = None) -> ModelInfo:
    return ModelInfo(name, name, f"{stem or name}-{digest}.pth", paper, kwargs)


def _own(name: str, builder: str, paper: str, task: str, *kwargs: str) -> ModelInfo:
    """One of our own networks: no weights of it are published, a seed and training on the spot make them."""
    return ModelInfo(name, builder, "", paper, kwargs, "edgebench", "Apache-2.0", "Apache-2.0", task)


# Their weights files are COCO's, used when they lie in torch.hub's cache (heads for other classes are left out).
_OTHER_TASKS = (
    ModelInfo(
        "ssdlite320_mobilenet_v3_large",
        "ssdlite320_mobilenet_v3_large",
        "ssdlite320_mobilenet_v3_large_coco-a79551df.pth",
        "arXiv:1905.02244",
        weights_licence="not stated by torchvision (trained on COCO)",
        task="detection",
    ),
    ModelInfo(
        "lraspp_mobilenet_v3_large",
        "lraspp_mobilenet_v3_large",
        "lraspp_mobilenet_v3_large-d234d4ea.pth",
        "arXiv:1905.02244",
        weights_licence="not stated by torchvision (trained on COCO)",
        task="segmentation",
    ),
    ModelInfo("vit_tiny", "vit_tiny", "", "arXiv:2010.11929"),
    # One set of weights, measured in two ways.
    _own("byte_gpt_prefill", "byte_gpt", "arXiv:2104.09864", "language", "width_mult"),
    _own("byte_gpt_decode", "byte_gpt", "arXiv:2104.09864", "language-step", "width_mult"),
    _own("byte_llama", "byte_llama", "arXiv:2302.13971", "generation", "width_mult"),
)

MODELS: dict[str, ModelInfo] = {
    info.name: info
    for info in (
        _info("mobilenet_v2", "b0353104", "arXiv:1801.04381", "width_mult"),
        _info("mobilenet_v3_small", "047dcff4", "arXiv:1905.02244", "width_mult"),
        _info("mobilenet_v3_large", "8738ca79", "arXiv:1905.02244", "width_mult"),
        _info("efficientnet_b0", "7f5810bc", "arXiv:1905.11946", stem="efficientnet_b0_rwightman"),
        _info("efficientnet_b3", "b3899882", "arXiv:1905.11946", stem="efficientnet_b3_rwightman"),
        _info("densenet169", "b2777c0a", "arXiv:1608.06993"),
        _info("densenet201", "c1103571", "arXiv:1608.06993"),
        _info("resnet50", "0676ba61", "arXiv:1512.03385"),
        _info("vgg19", "dcbb9e9d", "arXiv:1409.1556"),
        *_OTHER_TASKS,
    )
}


def architecture(name: str, *, num_classes: int, width_mult: float = 1.0) -> nn.Module:
    """Return the untrained network `name` whose last linear layer gives `num_classes` logits.

    torchvision's head is kept but for that layer, so MobileNetV2 is dropout and one linear layer 1280 -> classes.
    Weights come from torch's global generator. Raises SuiteDataError for an unknown name or an impossible width.
    """
    from torch import nn

    info = MODELS.get(name)
    if info is None:
        raise SuiteDataError(f"unknown model {name!r}: choose from {', '.join(MODELS)}")
    if not 0 < width_mult <= MAX_WIDTH:
        raise SuiteDataError(f"width {width_mult:g} of {name} is not above 0 and at most {MAX_WIDTH:g}: correct it")
    if width_mult != 1.0 and "width_mult" not in info.kwargs:
        wide = ", ".join(other for other, entry in MODELS.items() if "width_mult" in entry.kwargs)
        raise SuiteDataError(f"{name} has no width to change: remove the width, or choose one of {wide}")
    # Most of a process that only needs a decoder would be importing torchvision.
    if info.builder in _DECODERS:
        return _DECODERS[info.builder](num_classes, width_mult)
    extra = {} if width_mult == 1.0 else {"width_mult": width_mult}
    torchvision = import_torchvision()
    if (own := _other_network(info, torchvision, num_classes)) is not None:
        return own
    module: nn.Module = torchvision.models.get_model(info.builder, weights=None, **extra)
    path, old = last_linear(module)
    parent, _, child = path.rpartition(".")
    setattr(module.get_submodule(parent), child, nn.Linear(old.in_features, num_classes))
    return module


# Networks that have nothing of torchvision.
_DECODERS: Mapping[str, Callable[[int, float], nn.Module]] = {
    "byte_gpt": networks.byte_gpt,
    "byte_llama": networks.byte_llama,
}


def _other_network(info: ModelInfo, torchvision: ModuleType, classes: int) -> nn.Module | None:
    """Build a network that is no classifier of torchvision, or return None."""
    if info.builder == "vit_tiny":
        return networks.vit_tiny(torchvision, classes)
    if info.task == "detection":
        return networks.raw_detector(torchvision, info.builder, classes)
    if info.task == "segmentation":
        return networks.plain_segmenter(torchvision, info.builder, classes)
    return None


def weights_of(name: str) -> str:
    """Return the model whose weights `name` is measured with: the first of those that are the same network."""
    return next(other.name for other in MODELS.values() if other.builder == MODELS[name].builder)


def last_linear(module: nn.Module) -> tuple[str, nn.Linear]:
    """Return (path, layer) of the last linear layer, the one that gives the logits."""
    from torch import nn

    found = [(path, layer) for path, layer in module.named_modules() if isinstance(layer, nn.Linear)]
    if not found:
        raise SuiteDataError("the model has no linear layer that could give its classes: choose one of the zoo")
    return found[-1]


def build(
    name: str, *, num_classes: int, seed: int, weights: Path | None = None, width_mult: float = 1.0
) -> tuple[nn.Module, str]:
    """Build `name` for `num_classes` classes; return it with the origin of its weights in words.

    Weights are, in this order: the file `weights` (a state dict, with a head of any number of classes), ImageNet
    weights lying in torch.hub's cache (width 1.0 only), initialisation from `seed`. Nothing is ever downloaded.
    Raises SuiteDataError when a file is there but cannot be used.
    """
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = architecture(name, num_classes=num_classes, width_mult=width_mult)
    if weights is not None:
        _load_into(module, _read_state(weights), weights)
        return module, f"file {weights.name}"
    cached = Path(torch.hub.get_dir()) / "checkpoints" / MODELS[name].weights_file
    if width_mult == 1.0 and cached.is_file():
        _check_hash(cached)
        _load_into(module, _read_state(cached), cached)
        return module, f"torchvision {'IMAGENET1K_V1' if MODELS[name].task == 'classification' else 'COCO'} from cache"
    if MODELS[name].source == "torchvision":
        depth = import_torchvision().ops.StochasticDepth
        for layer in module.modules():
            # Leaving out blocks is for hundreds of epochs: in five EfficientNet-B3 learned 28 %, without it 91.
            if isinstance(layer, depth):
                layer.p = 0.0
    return module, f"seeded initialisation (seed {seed})"


def _check_hash(path: Path) -> None:
    """Check that a file is what its name says: torchvision's names end in eight digits of the SHA-256."""
    with path.open("rb") as stream:
        digest = sha256()
        while block := stream.read(1 << 20):
            digest.update(block)
    if not digest.hexdigest().startswith(path.stem.rpartition("-")[2]):
        raise SuiteDataError(f"{path}: is not the file its name says (the digest differs): delete it")


def _read_state(path: Path) -> dict[str, Tensor]:
    import torch

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what torch suspects of a file is said below, in one sentence
            state = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise SuiteDataError(f"{path}: cannot be read ({error.strerror}): check the name and permissions") from None
    except Exception:  # noqa: BLE001  # torch raises a dozen kinds on a file that is not what it should be
        raise SuiteDataError(
            f"{path}: holds no plain state dict: save one with torch.save(model.state_dict(), FILE)"
        ) from None
    if not isinstance(state, dict) or not state or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise SuiteDataError(f"{path}: holds no plain state dict: save one with torch.save(model.state_dict(), FILE)")
    # Older DenseNet files name their layers "norm.1" where modules may no longer have dots (torchvision does this too).
    pattern = re.compile(r"^(.*denselayer\d+\.(?:norm|relu|conv))\.([12]\..*)$")
    return {pattern.sub(r"\1\2", str(key)): value for key, value in state.items()}


def _heads(module: nn.Module) -> tuple[str, ...]:
    """Return the parameters, by their names' beginnings, that depend on the number of classes."""
    if hasattr(module, "head"):
        return ("head.classification_head.",)
    if hasattr(module, "classifier") and hasattr(module.classifier, "low_classifier"):
        return ("classifier.low_classifier.", "classifier.high_classifier.")
    return (f"{last_linear(module)[0]}.",)


def _load_into(module: nn.Module, state: dict[str, Tensor], path: Path) -> None:
    """Load a state dict; a head for another number of classes is left as initialised."""
    heads = _heads(module)
    for key, mine in module.state_dict().items():
        theirs = state.get(key)
        if theirs is not None and key.startswith(heads) and theirs.shape[1:] == mine.shape[1:]:
            state = {**state, key: theirs if theirs.shape == mine.shape else mine}
    try:
        module.load_state_dict(state)
    except (RuntimeError, ValueError):
        raise SuiteDataError(f"{path}: its tensors do not fit the model: choose the model it was saved from") from None


def task_of(model: str) -> Task:
    """Return the task of a model of the zoo."""
    return TASKS[MODELS[model].task]
