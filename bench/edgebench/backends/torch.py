"""PyTorch on the CPU: eager as the studies measured it, and compiled by Inductor with frozen weights."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from edgebench.backends.base import Layer, LoadSpec, TensorSpec
from edgebench.backends.boundary import check_file, refusals
from edgebench.backends.executed import precision_name
from edgebench.backends.inputs import ONLY_INPUT, ModelInput, fit_feeds, fix_shapes
from edgebench.backends.onednn import listen
from edgebench.backends.packages import installed_versions
from edgebench.backends.pt2 import inputs_of, load_program
from edgebench.backends.registry import check_spec
from edgebench.errors import BackendError
from edgebench.machine.advice import extra

if TYPE_CHECKING:
    import torch

    from edgebench.backends.base import Array

    Module = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class TorchBackend:
    """`torch` runs a module as it is; with `compiled` it is `torch-compile`: Inductor, freezing, static shapes.

    bf16 converts the whole module; fp32 and int8 run what the artifact holds.
    """

    compiled: bool = False

    @property
    def name(self) -> str:
        """``torch`` or ``torch-compile``."""
        return "torch-compile" if self.compiled else "torch"

    def unavailable(self) -> str | None:
        """Say what is missing: torch itself, or the C++ compiler that Inductor calls."""
        if find_spec("torch") is None:
            return f"torch is not installed: {extra('torch')}"
        if self.compiled and _compiler() is None:
            return "torch-compile needs a C++ compiler: install g++ (or set CXX)"
        return None

    def versions(self) -> dict[str, str]:
        """Return the installed versions of torch's distributions."""
        return installed_versions("torch", "torchvision", "torchao")

    def load(self, spec: LoadSpec) -> TorchModel:
        """Load a checkpoint folder (`shapes` gives its inputs' shapes) or an exported program.

        With `torch-compile` this also runs the first pass, which compiles: `compile_s` is its duration.
        """
        if (reason := self.unavailable()) is not None:
            raise BackendError(reason)
        check_spec(self.name, spec)
        import torch

        with refusals(self.name, "the thread count"):
            torch.set_num_threads(spec.threads)
        started = time.perf_counter()
        with refusals(self.name, "to load", spec.path):
            module, declared = read_module(spec)
        load_s = time.perf_counter() - started
        return wrap_module(module, fix_shapes(declared, spec.shapes, spec.path), spec, load_s, compiled=self.compiled)


def compiling() -> TorchBackend:
    """Return the backend ``torch-compile``."""
    return TorchBackend(compiled=True)


@dataclass(frozen=True, slots=True)
class TorchModel:
    """A torch module ready to run; see `base.LoadedModel`.

    `prepare` turns an input tensor into what the module takes (another layout, a quantised tensor), outside the pass.
    """

    inputs: Sequence[TensorSpec]
    load_s: float | None
    compile_s: float | None
    module: Module = field(repr=False)
    precision: str
    compiled: bool = False
    prepare: Callable[[torch.Tensor], torch.Tensor] | None = field(default=None, repr=False)

    def bind(self, feeds: Mapping[str, Array]) -> Callable[[], object]:
        """Return a pass over tensors made once; entering inference mode costs about 1.5 µs of each pass."""
        import torch

        module, tensors, inference_mode = self.module, self._tensors(feeds), torch.inference_mode
        if len(tensors) == 1:
            (only,) = tensors

            def one_pass() -> object:
                with inference_mode():
                    return module(only)

            return one_pass

        def one_pass_of_many() -> object:
            with inference_mode():
                return module(*tensors)

        return one_pass_of_many

    def run(self, feeds: Mapping[str, Array]) -> list[Array]:
        """Run once; bf16 and quantised outputs come back as float32."""
        with refusals("torch", "to run the model"):
            return [_to_numpy(tensor) for tensor in tensors_in(self.bind(feeds)())]

    def layers(self) -> list[Layer]:
        """Run one pass under observation and return what was executed.

        Eager: every ATen and quantised operator that torch dispatched, with the precision of its arithmetic. Compiled:
        the oneDNN primitives that were called (Inductor's own fused loops have no names that could be told).
        """
        one_pass = self.bind(self._zeros())
        with refusals("torch", "to observe a pass"):
            if self.compiled:
                return list(listen(one_pass).primitives)
            return dispatched(one_pass)

    def effective(self) -> dict[str, Any]:
        """Return threads, kernels' ISA levels, the quantised engine and the oneDNN kernels of one observed pass."""
        import torch

        with refusals("torch", "to observe a pass"):
            log = listen(self.bind(self._zeros()))
        kernels: dict[str, int] = {}
        for layer in log.primitives:
            key = f"{layer.type} {layer.kernel} {layer.precision}"
            kernels[key] = kernels.get(key, 0) + 1
        known: dict[str, Any] = {
            "device": "CPU",
            "mode": "inductor with freezing" if self.compiled else "eager",
            "precision": self.precision,
            "threads": torch.get_num_threads(),
            "aten_capability": torch.backends.cpu.get_cpu_capability(),
            "onednn": torch.backends.mkldnn.is_available(),
            "onednn_kernels": dict(sorted(kernels.items())),
            "quantized_engine": str(torch.backends.quantized.engine),
        }
        if log.isa is not None:
            known["onednn_isa"] = log.isa
        for variable in ("ONEDNN_MAX_CPU_ISA", "ATEN_CPU_CAPABILITY"):
            if variable in os.environ:
                known[variable.lower()] = os.environ[variable]
        return known

    def _tensors(self, feeds: Mapping[str, Array]) -> list[torch.Tensor]:
        import torch

        # A copy: torch must neither see later changes of the caller's array nor refuse a read-only one.
        tensors = [torch.from_numpy(array.copy()) for array in fit_feeds(self.inputs, feeds)]
        if self.precision == "bf16":
            tensors = [tensor.bfloat16() if tensor.is_floating_point() else tensor for tensor in tensors]
        return tensors if self.prepare is None else [self.prepare(tensor) for tensor in tensors]

    def _zeros(self) -> dict[str, Array]:
        import numpy as np

        return {spec.name: np.zeros(spec.shape, spec.dtype) for spec in self.inputs}


def wrap_module(
    module: Any,
    inputs: Sequence[TensorSpec],
    spec: LoadSpec,
    load_s: float | None = None,
    *,
    compiled: bool = False,
    prepare: Callable[[torch.Tensor], torch.Tensor] | None = None,
) -> TorchModel:
    """Return a model of a module that is already in memory; `spec` gives precision and, in errors, the path."""
    import torch

    name = "torch-compile" if compiled else "torch"
    with refusals(name, f"precision {spec.precision} for", spec.path):
        if isinstance(module, torch.nn.Module):
            module.requires_grad_(requires_grad=False)
            if spec.precision == "bf16":
                module = module.to(torch.bfloat16)
    if not compiled:
        return TorchModel(inputs, load_s, None, module, spec.precision, prepare=prepare)
    fast = torch.compile(module, backend="inductor", dynamic=False, options={"freezing": True})
    model = TorchModel(inputs, load_s, None, fast, spec.precision, compiled=True)
    one_pass = model.bind(model._zeros())  # noqa: SLF001  # the same file's
    started = time.perf_counter()
    with refusals(name, "to compile", spec.path, "measure it with the torch backend instead"):
        one_pass()
    return TorchModel(inputs, load_s, time.perf_counter() - started, fast, spec.precision, compiled=True)


def read_module(spec: LoadSpec) -> tuple[Any, list[ModelInput]]:
    """Return the module of a checkpoint folder or exported program on the CPU, and its declared inputs."""
    if spec.format == "pt2":
        check_file(spec.path)
        program = load_program(spec.path)
        return program.module(check_guards=False), inputs_of(program)
    # Choosing a backend must not pay for NumPy, which the zoo needs.
    from edgebench.compress.checkpoint import load_checkpoint
    from edgebench_suites.zoo import task_of

    module, made = load_checkpoint(spec.path)
    if not spec.shapes:
        raise BackendError(f"a torch checkpoint names no input shape ({spec.path}): give one in shapes")
    # A language model's only input is tokens, where every other model's is floating-point.
    known = {item.name: item.dtype for item in task_of(made.model).inputs(1, 16, 1.0)}
    names = [name for name in spec.shapes if name != ONLY_INPUT] or list(known)
    ranks = [len(spec.shapes.get(name, spec.shapes.get(ONLY_INPUT, ()))) for name in names]
    declared = [
        ModelInput(name, (None,) * rank, known.get(name, "float32")) for name, rank in zip(names, ranks, strict=True)
    ]
    return module.eval(), declared


def _compiler() -> str | None:
    return shutil.which(os.environ.get("CXX", "g++")) or shutil.which("clang++")


def tensors_in(output: Any) -> list[torch.Tensor]:
    """Return the tensors of a module's output, in order, whatever tuples, lists and dictionaries hold them."""
    import torch
    from torch.utils import _pytree

    leaves = _pytree.tree_leaves(output)
    return [leaf for leaf in leaves if isinstance(leaf, torch.Tensor)]


def _to_numpy(tensor: torch.Tensor) -> Array:
    import torch

    tensor = tensor.dequantize() if tensor.is_quantized else tensor
    array: Array = (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).detach().numpy()
    return array


def dispatched(one_pass: Callable[[], object]) -> list[Layer]:
    """Record each operator torch dispatches in one pass, with the precision of the tensors it works on."""
    import torch
    from torch.utils import _pytree
    from torch.utils._python_dispatch import TorchDispatchMode

    seen: list[Layer] = []

    class Observer(TorchDispatchMode):
        def __torch_dispatch__(
            self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
        ) -> Any:
            del types
            output = func(*args, **(kwargs or {}))
            tensors = [leaf for leaf in _pytree.tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
            tensors = tensors or [leaf for leaf in _pytree.tree_leaves(output) if isinstance(leaf, torch.Tensor)]
            name = str(func).removesuffix(".default")
            # A dynamic quantised operator takes float tensors and multiplies in int8.
            whole = name.startswith("quantized.") or any(tensor.is_quantized for tensor in tensors)
            precision = "int8" if whole else precision_name(str(tensors[0].dtype)) if tensors else "unknown"
            seen.append(Layer(f"{len(seen)}", name, precision))
            return output

    with torch.inference_mode(), Observer():  # type: ignore[no-untyped-call]  # untyped in torch
        one_pass()
    return seen
