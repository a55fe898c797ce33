"""ONNX Runtime's CPU provider: sequential, all graph optimisations, threads that spin between passes (its default)."""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from edgebench.backends.base import Layer, LoadSpec, TensorSpec
from edgebench.backends.boundary import check_file, refusals
from edgebench.backends.executed import precision_name
from edgebench.backends.inputs import ModelInput, fit_feeds, fix_shapes
from edgebench.backends.onnxfile import read_facts
from edgebench.backends.packages import installed_versions
from edgebench.backends.registry import check_spec
from edgebench.compress.half import ONNX_MARK
from edgebench.errors import BackendError
from edgebench.machine.advice import extra

if TYPE_CHECKING:
    from edgebench.backends.base import Array

_PROVIDERS: tuple[Any, ...] = ("CPUExecutionProvider",)
# What exporters write for a free dimension that has no name, once for each.
_UNNAMED = frozenset({"?", "*", "-1", "None"})
_DTYPES = {"float": "float32", "double": "float64", "bool": "bool"}


@dataclass(frozen=True, slots=True)
class OnnxRuntimeBackend:
    """Opens ONNX files; external data only from the model's own folder, custom operator libraries never."""

    providers: tuple[Any, ...] = _PROVIDERS
    name: ClassVar[str] = "onnxruntime"

    def unavailable(self) -> str | None:
        """Say whether the package is missing."""
        if find_spec("onnxruntime") is None:
            return f"onnxruntime is not installed: {extra('onnxruntime')}"
        return None

    def versions(self) -> dict[str, str]:
        """Return the installed versions of ONNX Runtime and ONNX."""
        return installed_versions("onnxruntime", "onnx")

    def load(self, spec: LoadSpec) -> OnnxRuntimeModel:
        """Make a session with fixed shapes.

        `load_s` is reading the file and its declared inputs, `compile_s` the session that runs (ONNX Runtime parses
        the file once more there and does not tell the two apart).
        """
        if (reason := self.unavailable()) is not None:
            raise BackendError(reason)
        check_spec(self.name, spec)
        check_file(spec.path)
        import onnxruntime

        # Errors come as exceptions; its log would go to the worker's stderr besides.
        onnxruntime.set_default_logger_severity(4)
        started = time.perf_counter()
        with refusals("onnxruntime", "to read", spec.path, "export the model again"):
            declared = _declared(open_session(spec, {}, optimised=False))
        load_s = time.perf_counter() - started
        started = time.perf_counter()
        inputs = fix_shapes([item for item, _ in declared], spec.shapes, spec.path)
        free = _free_dimensions(declared, inputs, spec.path)
        with refusals("onnxruntime", "to prepare", spec.path, "check the shapes and the model's operators"):
            session = open_session(spec, free, providers=self.providers)
        if spec.precision == "fp16":
            _check_half(session, spec.path)
        return OnnxRuntimeModel(inputs, load_s, time.perf_counter() - started, session, spec, free, self.providers)


@dataclass(frozen=True, slots=True)
class OnnxRuntimeModel:
    """A session; see `base.LoadedModel`."""

    inputs: Sequence[TensorSpec]
    load_s: float
    compile_s: float
    session: Any = field(repr=False)
    spec: LoadSpec
    free: Mapping[str, int]
    providers: tuple[Any, ...] = _PROVIDERS
    # What was bound last: a profiled pass takes the same branches and turns.
    bound: dict[str, Any] = field(default_factory=dict, repr=False)

    def bind(self, feeds: Mapping[str, Array]) -> Callable[[], object]:
        """Return a run over bound inputs and outputs: half the overhead of `run` with a dictionary, no copies."""
        import onnxruntime

        with refusals("onnxruntime", "the input data"):
            binding = self.session.io_binding()
            for spec, array in zip(self.inputs, fit_feeds(self.inputs, feeds), strict=True):
                # Memory of ONNX Runtime's own: a value made from an array would only point to it.
                value = onnxruntime.OrtValue.ortvalue_from_shape_and_type(list(spec.shape), array.dtype.type, "cpu")
                value.update_inplace(array)
                binding.bind_ortvalue_input(spec.name, value)
                self.bound[spec.name] = array
            for output in self.session.get_outputs():
                binding.bind_output(output.name)
        return partial(self.session.run_with_iobinding, binding)

    def run(self, feeds: Mapping[str, Array]) -> list[Array]:
        """Run once and return the outputs."""
        import numpy as np

        arrays = fit_feeds(self.inputs, feeds)
        with refusals("onnxruntime", "to run the model"):
            named = {spec.name: array for spec, array in zip(self.inputs, arrays, strict=True)}
            return [np.asarray(value) for value in self.session.run(None, named)]

    def layers(self) -> list[Layer]:
        """Run one pass in a profiled session of its own and return the executed nodes, in execution order.

        The precision is that of a node's first input, as the profile gives it: a fused QLinearConv reads int8.
        """
        import numpy as np

        # Whole numbers and truths may say how often a loop runs and which branch is taken: not zero times.
        whole = {item.name: np.issubdtype(item.dtype, np.integer) or item.dtype == "bool" for item in self.inputs}
        plain = {i.name: (np.ones if whole[i.name] else np.zeros)(i.shape, i.dtype) for i in self.inputs}
        feeds = plain | self.bound
        with refusals("onnxruntime", "to profile", self.spec.path), tempfile.TemporaryDirectory() as folder:
            session = open_session(self.spec, self.free, profile=Path(folder) / "profile", providers=self.providers)
            session.run(None, feeds)
            events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
        # A node in a loop has an event a turn, and is one layer.
        found = {_node_key(event): event for event in events if _is_kernel(event)}
        return [_layer(event) for event in found.values()]

    def effective(self) -> dict[str, Any]:
        """Return provider, threads and modes; says that oneDNN's ISA ceiling does not reach this runtime."""
        options = self.session.get_session_options()
        known: dict[str, Any] = {
            "device": "CPU",
            "providers": list(self.session.get_providers()),
            "threads": int(options.intra_op_num_threads),
            "execution": "sequential",
            "graph_optimisation": "all",
            "spinning": True,
            "shapes": dict(self.free),
        }
        if "ONEDNN_MAX_CPU_ISA" in os.environ:
            known["isa_note"] = "ignores ONEDNN_MAX_CPU_ISA: its kernels choose the ISA themselves"
        return known


def open_session(
    spec: LoadSpec,
    free: Mapping[str, int],
    *,
    optimised: bool = True,
    profile: Path | None = None,
    providers: Sequence[Any] = _PROVIDERS,
) -> Any:
    """Return a session of a file with some of its free dimensions fixed."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    levels = ort.GraphOptimizationLevel
    options.graph_optimization_level = levels.ORT_ENABLE_ALL if optimised else levels.ORT_DISABLE_ALL
    options.intra_op_num_threads = spec.threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    for name, size in free.items():
        options.add_free_dimension_override_by_name(name, size)
    if profile is not None:
        options.enable_profiling = True
        options.profile_file_prefix = str(profile)
    return ort.InferenceSession(str(spec.path), options, providers=list(providers))


def _check_half(session: Any, path: Path) -> None:
    """Refuse to call a file FP16 that is not: ONNX Runtime runs what the file holds, whatever is asked."""
    key, value = ONNX_MARK
    halved = session.get_modelmeta().custom_metadata_map.get(key) == value
    if not halved and read_facts(path).precision != "fp16":
        raise BackendError(f"{path} holds no FP16 weights: measure the variant fp16, or choose precision fp32")


def inputs_of_file(path: Path) -> list[ModelInput]:
    """Return what a file declares, as ONNX Runtime alone tells it: not what its graph does with it."""
    import onnxruntime

    onnxruntime.set_default_logger_severity(4)
    with refusals("onnxruntime", "to read", path, "export the model again"):
        spec = LoadSpec(path, "onnx", threads=1, precision="fp32")
        return [item for item, _ in _declared(open_session(spec, {}, optimised=False))]


def _declared(session: Any) -> list[tuple[ModelInput, list[str | int | None]]]:
    """Return each input with its raw dimensions, in which a free one is a name or None."""
    found = []
    for item in session.get_inputs():
        raw = list(item.shape)
        kind = item.type.removeprefix("tensor(").removesuffix(")")
        shape = tuple(size if isinstance(size, int) else None for size in raw)
        found.append((ModelInput(item.name, shape, _DTYPES.get(kind, kind)), raw))
    return found


def _free_dimensions(
    declared: Sequence[tuple[ModelInput, list[str | int | None]]], inputs: Sequence[TensorSpec], path: Path
) -> dict[str, int]:
    """Return {dimension name: size}. A free dimension without a name stays free, which costs only optimisations."""
    sizes: dict[str, int] = {}
    for (_, raw), spec in zip(declared, inputs, strict=True):
        for name, size in zip(raw, spec.shape, strict=True):
            if isinstance(name, str) and name not in _UNNAMED and sizes.setdefault(name, size) != size:
                raise BackendError(f"dimension {name!r} of {path} would be {sizes[name]} and {size}: give equal sizes")
    return sizes


def _node_key(event: Mapping[str, Any]) -> tuple[str, str, str]:
    return str(event["name"]), str(event["args"].get("node_index")), str(event["args"].get("op_name"))


def _is_kernel(event: Mapping[str, Any]) -> bool:
    return event.get("cat") == "Node" and str(event.get("name", "")).endswith("_kernel_time")


def _layer(event: Mapping[str, Any]) -> Layer:
    facts = event["args"]
    inputs = facts.get("input_type_shape") or [{}]
    kind = next(iter(inputs[0]), "unknown")
    name = str(event["name"]).removesuffix("_kernel_time")
    return Layer(name, str(facts.get("op_name", "unknown")), precision_name(kind), str(facts.get("provider", "")))
