"""The families of artifact files, a row each: what a backend opens, how it is made, and what users may bring."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Family:
    """One family. Backends of one family share their artifacts.

    `file` is what a backend opens inside an artifact's folder (``.``: the folder); `packages` are those whose version
    changes what is made. `links` is the module whose ``lowered(chain, parent, steps)`` makes the file, None: the links
    that families share. `steps` are the compression steps that need a tool of the family's own.

    `export` is the family whose file the build starts from, None: there is no such phase to measure. `local` marks what
    is compiled on the very machine and for fixed shapes, even in FP32, so that a bundle holds the export in its place;
    `one_a_pass` what may take one image a pass only, so that quality is measured so.
    `own` are the formats of users' files it can be made of, `preload` what each step imports before it is measured.
    """

    name: str
    file: str
    packages: tuple[str, ...]
    steps: tuple[str, ...] = ()
    links: str | None = None
    export: str | None = None
    local: bool = False
    one_a_pass: bool = False
    own: tuple[str, ...] = ()
    preload: Mapping[str | None, tuple[str, ...]] = field(default_factory=dict)


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
            "tensorrt",
            ".",
            ("torch", "onnx", "onnxruntime", "tensorrt"),
            steps=("fp16", "ptq-static"),
            export="onnx",
            local=True,
            preload={None: ("onnx",)},
        ),
    )
}

# What users may bring with `--model`: a file's suffix → its format.
SUFFIXES: Mapping[str, str] = {".onnx": "onnx", ".xml": "openvino", ".tflite": "tflite", ".pt2": "pt2", ".gguf": "gguf"}
# A language model as OpenVINO GenAI has it is a folder, which no suffix tells.
FOLDER_FORMAT = "genai"
