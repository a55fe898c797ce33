"""What a folder of ONNX Runtime GenAI says of itself: its `genai_config.json`, read before the runtime opens it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from edgebench.backends.boundary import check_file
from edgebench.backends.onnxfile import outside, read_facts
from edgebench.errors import BackendError

CONFIG = "genai_config.json"
# One that its builder writes has some KB.
_MOST_JSON = 1 << 20
_MOST_TOKENS = 1 << 31
# What would load code, or weights from elsewhere, wherever in the file it stands.
_FOREIGN = {
    "custom_ops_library": "loads code of its own",
    "session.model_external_initializers_file_folder_path": "keeps weights in another folder",
}
_AGAIN = "make the folder again, with onnxruntime_genai.models.builder -e cpu"


@dataclass(frozen=True, slots=True)
class OrtGenaiFacts:
    """The decoder's ONNX file relative to the folder, and how many tokens the model was made for and knows."""

    model: str
    context: int
    vocabulary: int


class _ForeignError(Exception):
    pass


def read_config(folder: Path) -> OrtGenaiFacts:
    """Return what a folder's configuration says; BackendError with one sentence for one that is not to be opened.

    That is one which is missing, damaged or for another provider than the processor, or which loads code.
    """
    path = folder / CONFIG
    check_file(path)
    try:
        with path.open("rb") as stream:
            text = stream.read(_MOST_JSON + 1)
        if len(text) > _MOST_JSON:
            raise BackendError(f"{path}: has more than {_MOST_JSON >> 20} MiB: {_AGAIN}")
        told = json.loads(text, object_pairs_hook=_checked)
        model = told["model"]
        name = model["decoder"]["filename"]
        context, vocabulary = model["context_length"], model["vocab_size"]
    except OSError as error:
        raise BackendError(f"{path}: cannot be read ({error.strerror}): check its permissions") from None
    except _ForeignError as error:
        raise BackendError(f"{path}: {error}: {_AGAIN}") from None
    except (ValueError, LookupError, TypeError, RecursionError):
        raise BackendError(
            f"{path}: does not tell model.decoder.filename, context_length and vocab_size: {_AGAIN}"
        ) from None
    if not isinstance(name, str) or outside(name):
        raise BackendError(f"{path}: names {str(name)[:80]!r} as the decoder's file, outside the folder: {_AGAIN}")
    for key, number in (("context_length", context), ("vocab_size", vocabulary)):
        if type(number) is not int or not 0 < number < _MOST_TOKENS:
            raise BackendError(f"{path}: says {str(number)[:80]!r} for {key}, no number of tokens: {_AGAIN}")
    return OrtGenaiFacts(name, context, vocabulary)


def named_files(folder: Path) -> tuple[str, ...]:
    """Return the files that the configuration and the decoder's graph name, relative to the folder."""
    model = read_config(folder).model
    beside = PurePosixPath(model).parent
    return CONFIG, model, *(str(beside / name) for name in sorted(read_facts(folder / model).external))


def _checked(pairs: list[tuple[str, Any]]) -> Mapping[str, Any]:
    """Return an object of the file; what is said twice, runs code or wants another provider is refused."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise _ForeignError("says one thing twice")
    for name, reason in _FOREIGN.items():
        if name in found:
            raise _ForeignError(f"{reason} ({name}), which is never opened")
    if asked := [name for each in found.get("provider_options") or () for name in each]:
        raise _ForeignError(f"asks for the provider {asked[0][:80]!r}, and the processor is measured")
    return found
