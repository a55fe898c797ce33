"""ExecuTorch's own runtime on the CPU, through the package's bindings: its XNNPACK delegate runs the graph."""

from __future__ import annotations

import importlib
import os
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from edgebench.backends.base import Layer, LoadSpec, TensorSpec
from edgebench.backends.boundary import check_file, refusals
from edgebench.backends.fitness import Asked
from edgebench.backends.inputs import fit_feeds, fix_shapes
from edgebench.backends.packages import installed_versions
from edgebench.backends.registry import check_spec
from edgebench.errors import BackendError
from edgebench.machine.advice import install
from edgebench.machine.working import working_threads
from edgebench_executorch.files import file_of, read_program
from edgebench_suites.zoo import task_of

if TYPE_CHECKING:
    from edgebench.backends.base import Array


def unable(asked: Asked) -> str | None:
    """Say what edgebench-executorch cannot make in any precision, or None."""
    if asked.model is not None and (task := task_of(asked.model).name) != "classification":
        return f"edgebench-executorch converts classifiers of images, {asked.model} does {task}: choose another backend"
    return None


@dataclass(frozen=True, slots=True)
class ExecuTorchBackend:
    """Opens `.pte` files, and artifacts with one for each shape."""

    name: ClassVar[str] = "executorch"

    def unavailable(self) -> str | None:
        """Say which package is missing: the bindings take torch's tensors."""
        missing = [name for name in ("executorch", "torch") if find_spec(name) is None]
        return f"{missing[0]} is not installed: {install('edgebench-executorch')}" if missing else None

    def versions(self) -> dict[str, str]:
        """Return the installed versions of the runtime and of what makes its files."""
        return installed_versions("executorch", "torch", "torchao")

    def load(self, spec: LoadSpec) -> ExecuTorchModel:
        """Open a program. `load_s` is opening the file; what its delegate prepares, the first inference pays for."""
        if (reason := self.unavailable()) is not None:
            raise BackendError(reason)
        check_spec(self.name, spec)
        path = spec.path
        if path.is_dir():
            (shape,) = spec.shapes.values()
            path = file_of(path, shape)
        check_file(path)
        fixed = fix_shapes(read_program(path).inputs, spec.shapes, path)
        runtime = _runtime()
        runtime._unsafe_reset_threadpool(spec.threads)  # noqa: SLF001  # the only way to set it
        begun = time.perf_counter()
        with refusals("executorch", "to load", path, "export it again with this version"):
            program = runtime._load_for_executorch(str(path))  # noqa: SLF001  # as its examples do
        return ExecuTorchModel(fixed, time.perf_counter() - begun, None, program, path)


def _runtime() -> Any:
    """Return the bindings; the module around them imports the whole exporter, seconds of it."""
    import torch  # noqa: F401  # brings the libraries that the bindings are linked to

    return importlib.import_module("executorch.extension.pybindings._C")


@dataclass(frozen=True, slots=True)
class ExecuTorchModel:
    """A program; see `base.LoadedModel`."""

    inputs: Sequence[TensorSpec]
    load_s: float
    compile_s: float | None
    program: Any = field(repr=False)
    path: Path
    # What was bound last: what shows the threads at work.
    bound: list[Callable[[], object]] = field(default_factory=list, repr=False)

    # The bindings tell nothing of kernels: this is read from the file.
    layers_source: ClassVar[str] = "the program's operators and, of XNNPACK's, the types of its values"

    def bind(self, feeds: Mapping[str, Array]) -> Callable[[], object]:
        """Return a pass over torch's tensors; outputs stay in the program's memory."""
        tensors, forward = self._tensors(feeds), self.program.forward

        def run() -> object:
            return forward(tensors, clone_outputs=False)

        self.bound[:] = [run]
        return run

    def run(self, feeds: Mapping[str, Array]) -> list[Array]:
        """Run once and return copies of the outputs."""
        import torch

        with refusals("executorch", "to run the program", self.path):
            found = self.program.forward(self._tensors(feeds))
            return [output.numpy() if isinstance(output, torch.Tensor) else _scalar(output) for output in found]

    def layers(self) -> list[Layer]:
        """Return what the program runs, with the precision that its values make it compute in, and who runs it."""
        return list(read_program(self.path).layers)

    def effective(self) -> dict[str, Any]:
        """Return the size of the thread pool, how many threads were seen at work, and who runs how many operators."""
        known: dict[str, Any] = {
            "device": "CPU",
            "delegate": "XNNPACK",
            "threads": int(_runtime()._threadpool_get_thread_count()),  # noqa: SLF001  # as above
            "threads_at_work": working_threads(self.bound[0]) if self.bound else None,
            "operators": dict(Counter(layer.kernel for layer in self.layers())),
            "isa": "not told: XNNPACK chooses its kernels by the processor and does not say which",
            "precision_from": self.layers_source,
        }
        if "ONEDNN_MAX_CPU_ISA" in os.environ:
            known["isa_note"] = "ignores ONEDNN_MAX_CPU_ISA: its kernels choose the ISA themselves"
        return known

    def _tensors(self, feeds: Mapping[str, Array]) -> list[Any]:
        import torch

        return [torch.from_numpy(array.copy()) for array in fit_feeds(self.inputs, feeds)]


def _scalar(value: object) -> Array:
    import numpy as np

    return np.asarray(value)
