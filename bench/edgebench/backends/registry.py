"""The runtimes by name; a runtime's module is imported when it is asked for, the runtime itself when it loads."""

from __future__ import annotations

from edgebench.backends.base import Backend
from edgebench.errors import BackendError

BACKENDS: tuple[str, ...] = ("torch", "torch-compile", "openvino", "onnxruntime", "litert")


def get_backend(name: str) -> Backend:
    """Return the backend called `name`; raises BackendError for an unknown one. Imports no runtime."""
    match name:
        case "torch" | "torch-compile":
            from edgebench.backends.torch import TorchBackend

            return TorchBackend(compiled=name == "torch-compile")
        case "openvino":
            from edgebench.backends.openvino import OpenVINOBackend

            return OpenVINOBackend()
        case "onnxruntime":
            from edgebench.backends.onnxruntime import OnnxRuntimeBackend

            return OnnxRuntimeBackend()
        case "litert":
            from edgebench.backends.litert import LiteRTBackend

            return LiteRTBackend()
    raise BackendError(f"unknown backend {name!r}: choose from {', '.join(BACKENDS)}")
