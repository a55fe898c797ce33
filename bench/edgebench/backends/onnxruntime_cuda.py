"""ONNX Runtime's CUDA provider: sessions as on the CPU, inputs and outputs in GPU memory. Runs: docs/jetson.md."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from edgebench.backends.base import LoadSpec
from edgebench.backends.boundary import refusals
from edgebench.backends.cuda import why_no_gpu
from edgebench.backends.inputs import fit_feeds
from edgebench.backends.onnxruntime import OnnxRuntimeBackend, OnnxRuntimeModel
from edgebench.backends.packages import installed_versions
from edgebench.backends.registry import check_spec
from edgebench.errors import BackendError
from edgebench.machine.advice import install

if TYPE_CHECKING:
    from edgebench.backends.base import Array

# FP32 means FP32: the provider's default would use TensorFloat-32.
PROVIDERS = (("CUDAExecutionProvider", {"use_tf32": "0"}), "CPUExecutionProvider")


@dataclass(frozen=True, slots=True)
class OnnxRuntimeCudaBackend:
    """`onnxruntime-cuda`: fp32 and fp16. Quantised graphs are left out: this provider has no INT8 convolutions."""

    name: ClassVar[str] = "onnxruntime-cuda"

    def unavailable(self) -> str | None:
        """Say what is missing: the package, its CUDA provider, or a GPU."""
        spec = find_spec("onnxruntime")
        if spec is None:
            return f"onnxruntime is not installed: {install('onnxruntime-gpu')} (on a Jetson NVIDIA's own wheel)"
        folders = map(Path, spec.submodule_search_locations or ())
        if not any((folder / "capi" / "libonnxruntime_providers_cuda.so").is_file() for folder in folders):
            return "this onnxruntime has no CUDA provider: install onnxruntime-gpu (on a Jetson NVIDIA's own wheel)"
        return why_no_gpu()

    def versions(self) -> dict[str, str]:
        """Return the installed versions of ONNX Runtime and ONNX."""
        return installed_versions("onnxruntime-gpu", "onnxruntime", "onnx")

    def load(self, spec: LoadSpec) -> OnnxRuntimeCudaModel:
        """Make a session on the GPU; BackendError where ONNX Runtime would silently fall back to the CPU."""
        if (reason := self.unavailable()) is not None:
            raise BackendError(reason)
        check_spec(self.name, spec)
        model = OnnxRuntimeBackend(providers=PROVIDERS).load(spec)
        if "CUDAExecutionProvider" not in model.session.get_providers():
            raise BackendError("onnxruntime could not start its CUDA provider: check its CUDA and cuDNN libraries")
        return OnnxRuntimeCudaModel(
            model.inputs, model.load_s, model.compile_s, model.session, model.spec, model.free, model.providers
        )


class OnnxRuntimeCudaModel(OnnxRuntimeModel):
    """A session on the GPU; see `base.LoadedModel`."""

    __slots__ = ()

    def bind(self, feeds: Mapping[str, Array]) -> Callable[[], object]:
        """Return a run over inputs and outputs in GPU memory that ends when the GPU has finished."""
        import onnxruntime

        with refusals("onnxruntime-cuda", "the input data"):
            binding = self.session.io_binding()
            for spec, array in zip(self.inputs, fit_feeds(self.inputs, feeds), strict=True):
                value = onnxruntime.OrtValue.ortvalue_from_numpy(array, "cuda", 0)
                binding.bind_ortvalue_input(spec.name, value)
            for output in self.session.get_outputs():
                binding.bind_output(output.name, "cuda", 0)
        run, wait, session_binding = self.session.run_with_iobinding, binding.synchronize_outputs, binding

        def one_pass() -> None:
            run(session_binding)
            wait()

        return one_pass

    def effective(self) -> dict[str, Any]:
        """Return the CPU session's settings with the providers in force."""
        # Not super(): a dataclass with slots is made anew, and the zero-argument form then finds the old class.
        return {**OnnxRuntimeModel.effective(self), "device": "CUDA", "providers": list(self.session.get_providers())}
