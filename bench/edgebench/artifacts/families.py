"""What is particular to a family of files: the file a backend opens, its exporter, its packages."""

from __future__ import annotations

import importlib
from importlib.metadata import PackageNotFoundError, version

# Whose version changes what a link makes.
_PACKAGES = {
    "torch": ("torch", "torchvision", "torch-pruning", "nncf"),
    "openvino": ("torch", "openvino", "nncf"),
    "onnx": ("torch", "onnx", "onnxruntime"),
    "tflite": ("torch", "litert-torch", "litert-converter", "ai-edge-quantizer", "ai-edge-litert"),
    "tensorrt": ("torch", "onnx", "onnxruntime", "tensorrt"),
}


# The file a backend opens, inside an artifact's folder; a torch checkpoint and a set of engines are the folder.
FILES = {"torch": ".", "openvino": "model.xml", "onnx": "model.onnx", "tflite": "model.tflite", "tensorrt": "."}


def family_versions(family: str) -> dict[str, str]:
    """Return {package: version} of what changes the artifacts of a family."""
    found = {}
    for name in _PACKAGES[family]:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


# The family that a family's build starts from, made by the export.
EXPORTS = {"openvino": "openvino", "onnx": "onnx", "tensorrt": "onnx"}


_MODULES: dict[tuple[str, str | None], tuple[str, ...]] = {
    ("openvino", None): ("openvino",),
    ("onnx", None): ("onnx",),
    ("tensorrt", None): ("onnx",),
    ("openvino", "ptq-static"): ("nncf",),
    ("onnx", "ptq-static"): ("onnxruntime.quantization",),
    ("onnx", "fp16"): ("onnxruntime.transformers.float16",),
}


def preload(family: str, step: str | None) -> None:
    """Import what a phase will use, so that the phase measures its work and not the reading of libraries."""
    for name in {*_MODULES.get((family, None), ()), *_MODULES.get((family, step), ())}:
        try:
            importlib.import_module(name)
        except ImportError:
            continue  # the phase says what is missing, in its own words
