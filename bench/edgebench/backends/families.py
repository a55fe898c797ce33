"""The families of artifact files, a row each: what a backend opens, how it is made, and what users may bring."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from edgebench.backends import plugins
from edgebench.errors import BackendError, unknown


@dataclass(frozen=True, slots=True)
class Family:
    """One family. Backends of one family share their artifacts.

    `file` is what a backend opens inside an artifact's folder (``.``: the folder); `packages` are those whose version
    changes what is made. `links` is the module whose ``lowered(chain, parent, steps)`` makes the file, None: the links
    that families share. `steps` are the compression steps that need a tool of the family's own.

    `export` is the family whose file the build starts from, None: there is no such phase to measure. `local` marks what
    is compiled on the very machine, even in FP32, so that a bundle holds the export in its place, and `quantised_there`
    what its runtime quantises on the board, so that a bundle holds the file before; `fixed` what is made for the shapes
    that are measured; `one_a_pass` what may take one image a pass only, so that quality is measured so.
    `own` are the formats of users' files it can be made of, `preload` what each step imports before it is measured.

    A plug-in's family has its `links`. Users' files of its format, which has its name, end in `suffix`; `reader` is the
    module that reads them (backends/reader.py), empty: nobody brings any.
    """

    name: str
    file: str
    packages: tuple[str, ...]
    steps: tuple[str, ...] = ()
    links: str | None = None
    export: str | None = None
    local: bool = False
    quantised_there: bool = False
    fixed: bool = False
    one_a_pass: bool = False
    own: tuple[str, ...] = ()
    preload: Mapping[str | None, tuple[str, ...]] = field(default_factory=dict)
    suffix: str = ""
    reader: str = ""


# Those of edgebench itself; `families` has those of plug-ins too.
FAMILIES: Mapping[str, Family] = {
    family.name: family
    for family in (
        Family(
            "torch",
            ".",
            ("torch", "torchvision", "torch-pruning", "nncf"),
            steps=("fp16", "ptq-dynamic", "ptq-static"),
            own=("pt2",),
        ),
        Family(
            "openvino",
            "model.xml",
            ("torch", "openvino", "nncf"),
            steps=("fp16", "ptq-static", "weights-int8", "qat"),
            export="openvino",
            own=("onnx", "openvino", "tflite", "pt2"),
            preload={None: ("openvino",), "ptq-static": ("nncf",)},
        ),
        Family(
            "onnx",
            "model.onnx",
            ("torch", "onnx", "onnxruntime"),
            steps=("fp16", "ptq-static", "weights-int8"),
            export="onnx",
            own=("onnx", "pt2"),
            preload={
                None: ("onnx",),
                "ptq-static": ("onnxruntime.quantization",),
                "fp16": ("onnxruntime.transformers.float16",),
            },
        ),
        Family(
            "tflite",
            "model.tflite",
            ("torch", "litert-torch", "litert-converter", "ai-edge-quantizer", "ai-edge-litert"),
            steps=("fp16", "ptq-dynamic", "ptq-static"),
            links="edgebench.artifacts.links.tflite",
            # A Flatten head fixes the batch; taking one image at a time costs it little.
            one_a_pass=True,
            own=("tflite",),
        ),
        Family(
            "gguf",
            "model.gguf",
            ("torch", "gguf", "llama-cpp-python"),
            steps=("fp16", "q8_0", "q6_k", "q5_k_m", "q4_k_m", "q4_0", "q3_k_m", "q2_k"),
            links="edgebench.artifacts.links.gguf",
            # llama.cpp does it in a moment, and five files are larger than the one that they are made of.
            quantised_there=True,
            own=("gguf",),
        ),
        Family(
            "genai",
            ".",
            ("torch", "openvino", "openvino-tokenizers", "nncf"),
            steps=("fp16", "weights-int8", "weights-int4"),
            links="edgebench.artifacts.links.genai",
            own=("genai",),
        ),
        Family(
            "ort-genai",
            ".",
            ("torch", "onnx", "onnxruntime"),
            steps=("weights-int8",),
            links="edgebench.artifacts.links.ortgenai",
            own=("ort-genai",),
        ),
        Family(
            "litert-lm",
            "model.litertlm",
            ("torch", "litert-torch", "litert-converter", "ai-edge-quantizer", "litert-lm-builder"),
            steps=("ptq-dynamic",),
            links="edgebench.artifacts.links.litertlm",
            own=("litert-lm",),
        ),
        Family(
            "tensorrt",
            ".",
            ("torch", "onnx", "onnxruntime", "tensorrt"),
            steps=("fp16", "ptq-static"),
            export="onnx",
            local=True,
            fixed=True,
            preload={None: ("onnx",)},
        ),
    )
}

# What users may bring with `--model`, but for the formats of plug-ins: a file's suffix → its format.
SUFFIXES: Mapping[str, str] = {
    ".onnx": "onnx",
    ".xml": "openvino",
    ".tflite": "tflite",
    ".pt2": "pt2",
    ".gguf": "gguf",
    ".litertlm": "litert-lm",
}
# Language models that are folders, which no suffix tells: a file that such a folder has → its format.
FOLDERS: Mapping[str, str] = {"openvino_model.xml": "genai", "genai_config.json": "ort-genai"}
# Formats of language models, which only requests are of use to; each is a family's name, whose links take it as it is.
LANGUAGE = frozenset({"gguf", "litert-lm", *FOLDERS.values()})


@cache
def families() -> Mapping[str, Family]:
    """Return every family by name, ours first; a plug-in's that cannot be used is in `broken`."""
    return {**FAMILIES, **_from_plugins()[0]}


def broken() -> Mapping[str, str]:
    """Return {name: sentence} of the plug-ins' families that are skipped."""
    return _from_plugins()[1]


def family_named(name: str) -> Family:
    """Return a family; raises BackendError for a name that nobody has, or whose plug-in is broken."""
    # Most often it is one of ours: nobody shall look through every installed package first.
    if (found := FAMILIES.get(name) or families().get(name)) is not None:
        return found
    raise BackendError(broken().get(name) or unknown("family", name, families()))


@cache
def suffixes() -> Mapping[str, str]:
    """Return {suffix: format} of what users may bring, plug-ins' formats included."""
    return {**SUFFIXES, **{found.suffix: found.name for found in families().values() if found.suffix}}


@cache
def _from_plugins() -> tuple[dict[str, Family], dict[str, str]]:
    found: dict[str, Family] = {}
    refused: dict[str, str] = {}
    for offer in plugins.offers(plugins.FAMILIES, tuple(FAMILIES)):
        row, reason = plugins.load(offer)
        reason = reason or _unfit(offer.name, row, {other.suffix: other.name for other in found.values()})
        if reason is None:
            found[offer.name] = row
        else:
            refused[offer.name] = offer.refusal(reason)
    return found, refused


def _unfit(name: str, row: Any, taken: Mapping[str, str]) -> str | None:
    """Say why what a plug-in names is no family, or None; `taken` are the suffixes of other plug-ins."""
    if not isinstance(row, Family):
        return f"it names a {type(row).__name__}, no edgebench.backends.families.Family"
    if row.name != name:
        return f"its family is called {row.name!r}"
    if row.links is None:
        return "its family has no 'links', the module that makes its files"
    if bool(row.suffix) != bool(row.reader):
        return "its family has one of 'suffix' and 'reader' without the other"
    if (other := {**SUFFIXES, **taken}.get(row.suffix)) is not None:
        return f"files that end in {row.suffix} are those of {other}"
    return None
