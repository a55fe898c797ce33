"""The torch artifact: a folder with `model.json` (how to rebuild the network) and `weights.pt` (its state dict).

Nothing in it is executed: the network is rebuilt from our own zoo and our own transforms, and the weights are read
with ``torch.load(weights_only=True)`` after the archive's sizes were checked.
"""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgebench.compress.quiet import quiet
from edgebench.compress.transforms import TRANSFORMS
from edgebench.errors import CompressionError
from edgebench_suites.errors import SuiteDataError
from edgebench_suites.zoo import MODELS, architecture

if TYPE_CHECKING:
    from torch import nn

MODEL_FILE = "model.json"
WEIGHTS_FILE = "weights.pt"
MAX_CLASSES = 100_000
_MAX_JSON_BYTES = 100_000
# VGG19, the largest of the zoo, takes 0.56 GB.
_MAX_WEIGHTS_BYTES = 4_000_000_000


@dataclass(frozen=True, slots=True)
class CheckpointSpec:
    """How to rebuild a network: zoo name, classes, width, then `transforms` in order (of TRANSFORMS)."""

    model: str
    num_classes: int
    width_mult: float = 1.0
    transforms: tuple[str, ...] = ()

    def then(self, transform: str) -> CheckpointSpec:
        """Return this spec with one more transform; a repeated one stands once."""
        if transform in self.transforms:
            return self
        return CheckpointSpec(self.model, self.num_classes, self.width_mult, (*self.transforms, transform))


def save_checkpoint(folder: Path, module: nn.Module, spec: CheckpointSpec) -> None:
    """Write `module` as an artifact folder. Raises CompressionError when it cannot be written."""
    data = {**asdict(spec), "transforms": [{"kind": kind} for kind in spec.transforms]}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / WEIGHTS_FILE).write_bytes(state_bytes(module))
        (folder / MODEL_FILE).write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise CompressionError(
            f"{folder}: the artifact cannot be written ({error.strerror}): free space or choose another folder"
        ) from None


def state_bytes(module: nn.Module) -> bytes:
    """Serialise a state dict; its length is the study's size metric (MobileNetV2 of 10 classes: 8.76 MiB)."""
    import torch

    buffer = io.BytesIO()
    with quiet():
        torch.save(module.state_dict(), buffer)
    return buffer.getvalue()


def load_checkpoint(folder: Path) -> tuple[nn.Module, CheckpointSpec]:
    """Rebuild the network of an artifact folder in evaluation mode; raises CompressionError in one sentence."""
    spec = _read_spec(folder / MODEL_FILE)
    state = _read_weights(folder / WEIGHTS_FILE)
    try:
        module = architecture(spec.model, num_classes=spec.num_classes, width_mult=spec.width_mult).eval()
        for kind in spec.transforms:
            module = TRANSFORMS[kind](module, state)
        module.load_state_dict(state)
    except SuiteDataError as error:
        raise CompressionError(f"{folder / MODEL_FILE}: {error}") from None
    except (RuntimeError, ValueError, TypeError, AttributeError, KeyError, IndexError, AssertionError):
        raise CompressionError(
            f"{folder}: the weights do not fit the network that {MODEL_FILE} describes: prepare the artifact again"
        ) from None
    return module.eval(), spec


def _read_spec(path: Path) -> CheckpointSpec:
    try:
        if path.stat().st_size > _MAX_JSON_BYTES:
            raise CompressionError(f"{path}: is too large for an artifact's description: prepare the artifact again")
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CompressionError(f"{path}: cannot be read ({error.strerror}): prepare the artifact again") from None
    except (ValueError, RecursionError):
        raise CompressionError(f"{path}: is not valid JSON: prepare the artifact again") from None
    try:
        return _checked_spec(data)
    except (KeyError, TypeError, ValueError):
        raise CompressionError(f"{path}: does not describe an artifact: prepare the artifact again") from None


def _checked_spec(data: Any) -> CheckpointSpec:

    model, classes, width = data["model"], data["num_classes"], data["width_mult"]
    transforms = tuple(entry["kind"] for entry in data["transforms"])
    sound = (
        set(data) == {"model", "num_classes", "width_mult", "transforms"}
        and model in MODELS
        and type(classes) is int
        and 1 <= classes <= MAX_CLASSES
        and type(width) in {int, float}
        and len(transforms) == len(set(transforms))
        and all(kind in TRANSFORMS for kind in transforms)
    )
    if not sound:
        raise ValueError(data)
    return CheckpointSpec(model, classes, float(width), transforms)


def _read_weights(path: Path) -> dict[str, Any]:
    """Read a state dict; an archive that would inflate, and tensors larger than what they store, are refused."""
    import torch

    bad = CompressionError(f"{path}: is not the weights of an artifact: prepare the artifact again")
    try:
        sound = _stored_only(path)
        with quiet():
            state = torch.load(path, map_location="cpu", weights_only=True) if sound else None
    except OSError as error:
        raise CompressionError(f"{path}: cannot be read ({error.strerror}): prepare the artifact again") from None
    except Exception:  # noqa: BLE001  # zipfile and torch raise a dozen kinds on a damaged archive
        raise bad from None
    if not isinstance(state, dict) or not all(
        isinstance(key, str) and _own_bytes(value) for key, value in state.items()
    ):
        raise bad
    return state


def _stored_only(path: Path) -> bool:
    """Whether a zip archive holds only uncompressed entries that together fit into it, and is not huge."""
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
    stored = all(entry.compress_type == zipfile.ZIP_STORED for entry in entries)
    return stored and sum(entry.file_size for entry in entries) <= min(path.stat().st_size, _MAX_WEIGHTS_BYTES)


def _own_bytes(value: object) -> bool:
    """Whether a tensor is no larger than its storage (strides of 0 make a small file a huge array)."""
    import torch

    if isinstance(value, torch.Tensor):
        return value.untyped_storage().nbytes() >= value.numel() * value.element_size()
    return all(_own_bytes(part) for part in value) if isinstance(value, tuple) else True
