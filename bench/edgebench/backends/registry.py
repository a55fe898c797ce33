"""The runtimes by name; a runtime's module is imported when it is asked for, the runtime itself when it loads."""

from __future__ import annotations

from edgebench.backends.base import Backend
from edgebench.errors import BackendError

BACKENDS: tuple[str, ...] = (
    *("torch", "torch-compile", "torch-cuda", "openvino", "onnxruntime", "onnxruntime-cuda", "tensorrt"),
)


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
        case "torch-cuda":
            from edgebench.backends.torch_cuda import TorchCudaBackend

            return TorchCudaBackend()
        case "onnxruntime-cuda":
            from edgebench.backends.onnxruntime_cuda import OnnxRuntimeCudaBackend

            return OnnxRuntimeCudaBackend()
        case "tensorrt":
            from edgebench.backends.tensorrt import TensorRTBackend

            return TensorRTBackend()
    raise BackendError(f"unknown backend {name!r}: choose from {', '.join(BACKENDS)}")
