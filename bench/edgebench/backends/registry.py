"""The runtimes by name; a runtime's module is imported when it is asked for, the runtime itself when it loads."""

from __future__ import annotations

from importlib import import_module

from edgebench.backends.base import Backend
from edgebench.errors import BackendError

# Name → module and class; `torch` is one class for eager and compiled.
_CLASSES = {
    "openvino": ("openvino", "OpenVINOBackend"),
    "onnxruntime": ("onnxruntime", "OnnxRuntimeBackend"),
    "onnxruntime-cuda": ("onnxruntime_cuda", "OnnxRuntimeCudaBackend"),
    "torch-cuda": ("torch_cuda", "TorchCudaBackend"),
    "litert": ("litert", "LiteRTBackend"),
    "tensorrt": ("tensorrt", "TensorRTBackend"),
}
BACKENDS: tuple[str, ...] = ("torch", "torch-compile", *_CLASSES)


def get_backend(name: str) -> Backend:
    """Return the backend called `name`; raises BackendError for an unknown one. Imports no runtime."""
    if name in ("torch", "torch-compile"):
        eager_or_compiled: Backend = import_module("edgebench.backends.torch").TorchBackend(
            compiled=name == "torch-compile"
        )
        return eager_or_compiled
    if name not in _CLASSES:
        raise BackendError(f"unknown backend {name!r}: choose from {', '.join(BACKENDS)}")
    module, kind = _CLASSES[name]
    found: Backend = getattr(import_module(f"edgebench.backends.{module}"), kind)()
    return found
