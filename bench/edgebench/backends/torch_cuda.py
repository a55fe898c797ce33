"""PyTorch eager on an NVIDIA GPU, FP32 and FP16. What was run where: docs/jetson.md."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, ClassVar

from edgebench.backends.base import Layer, LoadSpec, TensorSpec
from edgebench.backends.boundary import refusals
from edgebench.backends.cuda import why_no_gpu
from edgebench.backends.inputs import fit_feeds, fix_shapes
from edgebench.backends.packages import installed_versions
from edgebench.backends.registry import check_spec
from edgebench.backends.torch import dispatched, read_module, tensors_in
from edgebench.errors import BackendError
from edgebench.machine.advice import extra

if TYPE_CHECKING:
    import torch

    from edgebench.backends.base import Array


@dataclass(frozen=True, slots=True)
class TorchCudaBackend:
    """`torch-cuda`: the module on the first GPU; fp16 converts it whole, inputs and outputs included."""

    name: ClassVar[str] = "torch-cuda"

    def unavailable(self) -> str | None:
        """Say what is missing: torch, a build of it with CUDA, or a GPU."""
        if find_spec("torch") is None:
            return f"torch is not installed: {extra('torch')} (on a Jetson NVIDIA's own wheel)"
        if installed_versions("torch").get("torch", "").endswith("+cpu"):
            return "this torch is the CPU build: install one with CUDA (on a Jetson NVIDIA's own wheel)"
        return why_no_gpu()

    def versions(self) -> dict[str, str]:
        """Return the installed versions of torch's distributions."""
        return installed_versions("torch", "torchvision")

    def load(self, spec: LoadSpec) -> TorchCudaModel:
        """Load a checkpoint folder or an exported program, and move it to the GPU."""
        if (reason := self.unavailable()) is not None:
            raise BackendError(reason)
        check_spec(self.name, spec)
        import torch

        if not torch.cuda.is_available():
            raise BackendError("this torch cannot use the GPU here: install a build for this CUDA version")
        # FP32 means FP32: TensorFloat-32 has ten bits of mantissa. Shapes are fixed, so cuDNN may choose by trial.
        torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.allow_tf32 = False
        torch.backends.cudnn.benchmark = True
        torch.set_num_threads(spec.threads)
        started = time.perf_counter()
        with refusals(self.name, "to load", spec.path):
            module, declared = read_module(spec)
        load_s = time.perf_counter() - started
        started = time.perf_counter()
        kind = torch.float16 if spec.precision == "fp16" else torch.float32
        with refusals(self.name, "to move to the GPU", spec.path, "free GPU memory"):
            module = module.to(device="cuda", dtype=kind)
            torch.cuda.synchronize()
        inputs = fix_shapes(declared, spec.shapes, spec.path)
        return TorchCudaModel(inputs, load_s, time.perf_counter() - started, module, spec.precision)


@dataclass(frozen=True, slots=True)
class TorchCudaModel:
    """A module on the GPU; see `base.LoadedModel`."""

    inputs: Sequence[TensorSpec]
    load_s: float
    compile_s: float
    module: Any = field(repr=False)
    precision: str

    def bind(self, feeds: Mapping[str, Array]) -> Callable[[], object]:
        """Return a pass over tensors on the GPU that ends when the GPU has finished."""
        import torch

        module, tensors = self.module, self._tensors(feeds)
        inference_mode, wait = torch.inference_mode, torch.cuda.synchronize

        def one_pass() -> object:
            with inference_mode():
                output = module(*tensors)
            wait()
            return output

        return one_pass

    def run(self, feeds: Mapping[str, Array]) -> list[Array]:
        """Run once; FP16 outputs come back as float32."""
        with refusals("torch-cuda", "to run the model"):
            found: list[Array] = [tensor.float().cpu().numpy() for tensor in tensors_in(self.bind(feeds)())]
            return found

    def layers(self) -> list[Layer]:
        """Run one pass under observation and return every operator that torch dispatched."""
        with refusals("torch-cuda", "to observe a pass"):
            return dispatched(self.bind(self._zeros()))

    def effective(self) -> dict[str, Any]:
        """Return device and versions, the GPU's own time of a pass (CUDA events), and the transfers' time, apart."""
        import torch

        one_pass, feeds = self.bind(self._zeros()), self._zeros()
        first, second = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        gpu_ms, upload_s = [], []
        with refusals("torch-cuda", "to observe a pass"):
            for _ in range(50):
                begun = time.perf_counter()
                self._tensors(feeds)
                torch.cuda.synchronize()
                upload_s.append(time.perf_counter() - begun)
                first.record()
                one_pass()
                second.record()
                second.synchronize()
                gpu_ms.append(first.elapsed_time(second))
        return {
            "device": torch.cuda.get_device_name(),
            "compute_capability": ".".join(map(str, torch.cuda.get_device_capability())),
            "cuda": str(torch.version.cuda),
            "cudnn": torch.backends.cudnn.version(),
            "precision": self.precision,
            "tf32": False,
            "gpu_pass_s": sorted(gpu_ms)[len(gpu_ms) // 2] / 1000,
            "upload_s": sorted(upload_s)[len(upload_s) // 2],
        }

    def _tensors(self, feeds: Mapping[str, Array]) -> list[torch.Tensor]:
        import torch

        tensors = [torch.from_numpy(array.copy()).to("cuda") for array in fit_feeds(self.inputs, feeds)]
        if self.precision == "fp16":
            tensors = [tensor.half() if tensor.is_floating_point() else tensor for tensor in tensors]
        return tensors

    def _zeros(self) -> dict[str, Array]:
        import numpy as np

        return {spec.name: np.zeros(spec.shape, spec.dtype) for spec in self.inputs}
