"""ncnn on the CPU: one extractor a pass, as its own examples and benchmark do."""

from __future__ import annotations

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
from edgebench_ncnn.files import graph_of, inputs, read_graph, weights_of
from edgebench_suites.zoo import task_of

if TYPE_CHECKING:
    from edgebench.backends.base import Array

# The tasks whose models take one image.
TASKS = ("classification", "segmentation", "detection")


def unable(asked: Asked) -> str | None:
    """Say what ncnn cannot run in any precision, or None."""
    if asked.batch != 1:
        return "ncnn computes one image a pass, it knows no batch: choose batch 1"
    if asked.model is not None and (task := task_of(asked.model).name) not in TASKS:
        return f"edgebench-ncnn converts models that take one image, {asked.model} does {task}: choose another backend"
    return None


def why_not_halved(precision: str, isa: str) -> str | None:
    """Say why ncnn has no FP16 on this processor, or None; `isa` is a ceiling of oneDNN's, which ncnn ignores."""
    del precision, isa
    import ncnn

    able = ncnn.cpu_support_arm_vfpv4() or ncnn.cpu_support_arm_asimdhp()
    return (
        None if able else "ncnn holds FP16 on ARM only: choose fp32, or the variant fp16, whose file is half as large"
    )


@dataclass(frozen=True, slots=True)
class NcnnBackend:
    """Opens a `.param` file with the `.bin` beside it."""

    name: ClassVar[str] = "ncnn"

    def unavailable(self) -> str | None:
        """Say whether the package is missing."""
        return f"ncnn is not installed: {install('ncnn')}" if find_spec("ncnn") is None else None

    def versions(self) -> dict[str, str]:
        """Return the installed versions of the runtime and its converter."""
        return installed_versions("ncnn", "pnnx")

    def load(self, spec: LoadSpec) -> NcnnModel:
        """Open both files. `load_s` is reading the graph, `compile_s` reading and packing the weights.

        An input of several images is run one after the other: ncnn knows no batch.
        """
        if (reason := self.unavailable()) is not None:
            raise BackendError(reason)
        check_spec(self.name, spec)
        path = spec.path
        if path.is_dir():
            (shape,) = spec.shapes.values()
            path = graph_of(path, shape[2])
        check_file(path)
        check_file(weights_of(path))
        declared = [item._replace(shape=(None, *item.shape[1:])) for item in inputs(path)]
        fixed = fix_shapes(declared, spec.shapes, path, may_change=True)
        import ncnn

        net = ncnn.Net()
        net.opt = _options(ncnn, spec)
        with refusals("ncnn", "to read", path):
            begun = time.perf_counter()
            if net.load_param(str(path)):
                raise BackendError(f"ncnn refuses to read {path}: it has a layer that ncnn does not know")
            read = time.perf_counter()
            if net.load_model(str(weights_of(path))):
                raise BackendError(f"ncnn refuses the weights of {path}: export the model again, both files")
        return NcnnModel(fixed, read - begun, time.perf_counter() - read, net, path)


def _options(ncnn: Any, spec: LoadSpec) -> Any:
    """Return ncnn's options: its defaults, but nothing is held or computed in a precision that was not asked for."""
    options = ncnn.Option()
    options.num_threads = spec.threads
    options.use_vulkan_compute = False
    half = spec.precision == "fp16"
    options.use_fp16_packed = options.use_fp16_storage = options.use_fp16_arithmetic = half
    options.use_bf16_storage = spec.precision == "bf16"
    options.use_int8_inference = spec.precision == "int8"
    return options


@dataclass(frozen=True, slots=True)
class NcnnModel:
    """A net; see `base.LoadedModel`."""

    inputs: Sequence[TensorSpec]
    load_s: float
    compile_s: float
    net: Any = field(repr=False)
    path: Path
    # What was bound last: what shows the threads at work.
    bound: list[Callable[[], object]] = field(default_factory=list, repr=False)

    layers_source: ClassVar[str] = "the layers that multiply, by the options, the graph and what each layer supports"

    def bind(self, feeds: Mapping[str, Array]) -> Callable[[], object]:
        """Return a pass over inputs in ncnn's own memory: a new extractor, inputs set, every output extracted."""
        passes = [self._pass(arrays) for arrays in self._images(feeds)]
        run = passes[0][0] if len(passes) == 1 else lambda: [one() for one, _ in passes]
        self.bound[:] = [run]
        return run

    def run(self, feeds: Mapping[str, Array]) -> list[Array]:
        """Run once and return the outputs, each with a first dimension: the images."""
        import numpy as np

        rows = []
        for arrays in self._images(feeds):
            run, outputs = self._pass(arrays)
            run()
            rows.append([np.array(output) for output in outputs])
        return [np.stack(column) for column in zip(*rows, strict=True)]

    def layers(self) -> list[Layer]:
        """Return the layers with the precision they compute in; what holds weights and blobs stands as the kernel.

        FP16 is computed in where the processor has it (ARMv8.2); elsewhere, and for BF16, values are halved in memory
        only, and expanded before they are multiplied.
        """
        import ncnn

        arithmetic = self.net.opt.use_fp16_arithmetic and ncnn.cpu_support_arm_asimdhp()
        graph = {layer.name: layer for layer in read_graph(self.path)}
        found = []
        for layer in self.net.layers():
            holds, computes = "fp32", "fp32"
            if self.net.opt.use_int8_inference and (line := graph.get(layer.name)) is not None and line.quantised:
                holds = computes = "int8"
            elif self.net.opt.use_fp16_storage and layer.support_fp16_storage:
                holds, computes = "fp16", "fp16" if arithmetic else "fp32"
            elif self.net.opt.use_bf16_storage and layer.support_bf16_storage:
                holds = "bf16"
            found.append(Layer(layer.name, layer.type, computes, f"{holds} in memory"))
        return found

    def effective(self) -> dict[str, Any]:
        """Return the options as the net has them, how many threads were seen at work, and the ISA that ncnn found."""
        import ncnn

        options = self.net.opt
        known: dict[str, Any] = {
            "device": "CPU",
            "threads": int(options.num_threads),
            "threads_at_work": working_threads(self.bound[0]) if self.bound else None,
            "layers_in_memory": dict(Counter(layer.kernel.partition(" ")[0] for layer in self.layers())),
            "fp16_arithmetic": bool(options.use_fp16_arithmetic and ncnn.cpu_support_arm_asimdhp()),
            "packing": bool(options.use_packing_layout),
            "winograd": bool(options.use_winograd_convolution),
            "light_mode": bool(options.lightmode),
            "isa": _isa(ncnn),
            "precision_from": self.layers_source,
        }
        if "ONEDNN_MAX_CPU_ISA" in os.environ:
            known["isa_note"] = "ignores ONEDNN_MAX_CPU_ISA: its kernels choose the ISA themselves"
        return known

    def _images(self, feeds: Mapping[str, Array]) -> list[list[Array]]:
        """Return the inputs of every image, without the dimension that ncnn does not have."""
        arrays = fit_feeds(self.inputs, feeds)
        if len({len(array) for array in arrays}) != 1:
            raise BackendError("the inputs have different numbers of images: give them equal first dimensions")
        return [list(parts) for parts in zip(*arrays, strict=True)]

    def _pass(self, arrays: Sequence[Array]) -> tuple[Callable[[], object], list[Any]]:
        """Return a pass over one image, and the outputs that it fills."""
        import ncnn
        import numpy as np

        net = self.net
        with refusals("ncnn", "the input data"):
            # Copies in memory of ncnn's own, aligned as its kernels like it.
            given = [
                (spec.name, ncnn.Mat(np.ascontiguousarray(array)).clone())
                for spec, array in zip(self.inputs, arrays, strict=True)
            ]
        wanted = [(name, ncnn.Mat()) for name in net.output_names()]

        def run() -> None:
            extractor = net.create_extractor()
            for name, mat in given:
                extractor.input(name, mat)
            for name, mat in wanted:
                if extractor.extract(name, mat):
                    raise BackendError(f"ncnn cannot compute {name}: give the size that the model was exported with")

        return run, [mat for _, mat in wanted]


def _isa(ncnn: Any) -> list[str]:
    """Return the instruction sets that ncnn found on this processor: it takes the kernels for the best of them."""
    prefixes = ("cpu_support_x86_", "cpu_support_arm_")
    names = [(name, prefix) for name in dir(ncnn) for prefix in prefixes if name.startswith(prefix)]
    return sorted(name.removeprefix(prefix) for name, prefix in names if getattr(ncnn, name)())
