"""OpenVINO on the CPU: one stream, latency, and the precision that was asked for rather than the plugin's default."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from edgebench.backends.base import Layer, LoadSpec, TensorSpec
from edgebench.backends.boundary import check_file, check_room, refusals
from edgebench.backends.executed import precision_name
from edgebench.backends.inputs import MAX_RANK, ModelInput, fit_feeds, fix_shapes
from edgebench.backends.packages import installed_versions
from edgebench.backends.registry import check_spec
from edgebench.errors import BackendError
from edgebench.machine.advice import extra
from edgebench.machine.child import run_child
from edgebench.machine.facts import ISA_ENVIRONMENT

if TYPE_CHECKING:
    from edgebench.backends.base import Array

# A quantised model's other layers would run in bf16 by default where the CPU has it: f32 makes machines comparable.
_HINTS = {"fp32": "f32", "int8": "f32", "int4": "f32", "bf16": "bf16", "fp16": "f16"}
# What the precisions that not every CPU has are called among the plugin's capabilities.
_CAPABILITIES = {"bf16": "BF16", "fp16": "FP16"}
_ASK = """import sys, openvino
sys.stdout.write(" ".join(openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")))"""
_ASK_LIMIT_S = 60.0
_BELOW_BF16 = ("SSE41", "AVX", "AVX2", "AVX2_VNNI", "AVX512_CORE", "AVX512_CORE_VNNI")
# Layers that hold others, as the plugin calls them.
_HOLDERS = frozenset({"TensorIterator", "If"})
_SILENT = frozenset({"Input", "Output", "Const", "Parameter", "Result", "Constant"})


@dataclass(frozen=True, slots=True)
class OpenVINOBackend:
    """Opens IR (.xml with its .bin), ONNX and TFLite files; no model cache, so `compile_s` is always compilation."""

    name: ClassVar[str] = "openvino"

    def unavailable(self) -> str | None:
        """Say whether the package is missing."""
        if find_spec("openvino") is None:
            return f"openvino is not installed: {extra('openvino')}"
        return None

    def versions(self) -> dict[str, str]:
        """Return the installed versions of OpenVINO and NNCF."""
        return installed_versions("openvino", "nncf")

    def load(self, spec: LoadSpec) -> OpenVINOModel:
        """Read, reshape and compile a file; raises BackendError where a precision cannot be had on this CPU."""
        if (reason := self.unavailable()) is not None:
            raise BackendError(reason)
        check_spec(self.name, spec)
        started = time.perf_counter()
        model = read_model(spec.path)
        return compile_model(model, spec, time.perf_counter() - started)


@dataclass(frozen=True, slots=True)
class OpenVINOModel:
    """A compiled model; see `base.LoadedModel`."""

    inputs: Sequence[TensorSpec]
    load_s: float | None
    compile_s: float
    compiled: Any = field(repr=False)
    # What lies in its loops and branches, by the operator's name, and how it was compiled.
    bodies: Mapping[str, Sequence[Any]] = field(default_factory=dict, repr=False)
    config: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def bind(self, feeds: Mapping[str, Array]) -> Callable[[], object]:
        """Return `infer` of a request whose own input tensors hold the data: OpenVINO's cheapest synchronous call.

        The outputs stay in the request: the default call would copy them into new arrays, which C++ never does.
        """
        with refusals("openvino", "the input data"):
            request = self.compiled.create_infer_request()
            for index, array in enumerate(fit_feeds(self.inputs, feeds)):
                request.get_input_tensor(index).data[...] = array
        return partial(request.infer, share_outputs=True)

    def run(self, feeds: Mapping[str, Array]) -> list[Array]:
        """Run once and return copies of the outputs."""
        import numpy as np

        with refusals("openvino", "to run the model"):
            request = self.compiled.create_infer_request()
            found = request.infer(dict(enumerate(fit_feeds(self.inputs, feeds))))
            return [np.array(found[index]) for index in range(len(self.compiled.outputs))]

    def layers(self) -> list[Layer]:
        """Return the execution graph's nodes with their executed precision and kernel, less inputs and constants.

        The graph does not show what lies in loops and branches: each body is compiled on its own, in the same way.
        """
        with refusals("openvino", "to show the execution graph"):
            return list(_layers(self.compiled, self.bodies, self.config))

    def effective(self) -> dict[str, Any]:
        """Return device, hint, threads and streams as the compiled model states them, and the ISA its kernels name."""
        with refusals("openvino", "to tell its settings"):
            known: dict[str, Any] = {
                "device": list(self.compiled.get_property("EXECUTION_DEVICES")),
                "inference_precision_hint": _element_name(self.compiled.get_property("INFERENCE_PRECISION_HINT")),
                "threads": int(self.compiled.get_property("INFERENCE_NUM_THREADS")),
                "streams": int(self.compiled.get_property("NUM_STREAMS")),
                "cpu_pinning": bool(self.compiled.get_property("ENABLE_CPU_PINNING")),
                # With INT8 weights it quantises activations too, in groups of as many; 0: it does not.
                "dynamic_quantisation_group": int(self.compiled.get_property("DYNAMIC_QUANTIZATION_GROUP_SIZE")),
            }
        kernels = [layer.kernel for layer in self.layers()]
        # Newest first; "jit_uni" and "gemm" kernels name no ISA.
        named = ("avx10", "amx", "avx512", "avx2_vnni", "avx2", "avx", "sse41")
        known["kernel_isa"] = [isa for isa in named if any(_names_isa(kernel, isa) for kernel in kernels)]
        if "ONEDNN_MAX_CPU_ISA" in os.environ:
            known["onednn_max_cpu_isa"] = os.environ["ONEDNN_MAX_CPU_ISA"]
        return known


def _layers(compiled: Any, bodies: Mapping[str, Sequence[Any]], config: Mapping[str, Any]) -> Iterator[Layer]:
    import openvino

    for node in compiled.get_runtime_model().get_ordered_ops():
        facts = node.get_rt_info()
        name, kind = node.get_friendly_name(), _fact(facts, "layerType")
        if kind not in _SILENT:
            kernel = _fact(facts, "primitiveType")
            precision = precision_name(_fact(facts, "runtimePrecision"))
            if precision == "fp16" and kernel.endswith("_f32"):
                # A node over halved weights calls itself f16 where its kernel works on f32 (seen in 2026.4).
                precision = "fp32"
            yield Layer(name, kind, precision, kernel)
        for body in bodies.get(name, ()) if kind in _HOLDERS else ():
            inner = openvino.Core().compile_model(body, "CPU", dict(config))
            yield from _layers(inner, bodies_of(body), config)


def bodies_of(model: Any) -> dict[str, list[Any]]:
    """Return what lies in the loops and branches of an ov.Model, by the operator's name."""
    found: dict[str, list[Any]] = {}
    for node in model.get_ops():
        if (kind := node.get_type_name()) in {"Loop", "TensorIterator"}:
            found[node.get_friendly_name()] = [node.get_function()]
        elif kind == "If":
            found[node.get_friendly_name()] = [node.get_function(index) for index in range(2)]
    return found


def read_model(path: Path) -> Any:
    """Return the ov.Model of a file; BackendError where it is missing, truncated or not a model."""
    check_file(path)
    if (weights := path.with_suffix(".bin")).is_file():
        check_room(weights)
    import openvino

    with refusals("openvino", "to read", path, "export the model again"):
        return openvino.Core().read_model(path)


def declared_inputs(model: Any) -> list[ModelInput]:
    """Return an ov.Model's inputs as the file declares them."""
    found = []
    for index, port in enumerate(model.inputs):
        name = min(port.names) if port.names else f"input{index}"
        rank = port.partial_shape.rank
        if rank.is_dynamic or rank.get_length() > MAX_RANK:
            raise BackendError(f"input {name!r} has no fixed number of dimensions: export the model with a known rank")
        shape = tuple(size.get_length() if size.is_static else None for size in port.partial_shape)
        found.append(ModelInput(name, shape, port.element_type.to_dtype().name))
    return found


def compile_model(model: Any, spec: LoadSpec, load_s: float | None = None) -> OpenVINOModel:
    """Fix the shapes of an ov.Model and compile it as `spec` asks; `spec.path` only names it in errors."""
    import openvino

    hint = precision_hint(spec.precision, model)
    inputs = fix_shapes(declared_inputs(model), spec.shapes, spec.path, may_change=True)
    started = time.perf_counter()
    with refusals("openvino", "the shapes given for", spec.path, "give shapes the model was made for"):
        changed = {
            port: openvino.PartialShape(list(want.shape))
            for port, want in zip(model.inputs, inputs, strict=True)
            if port.partial_shape != openvino.PartialShape(list(want.shape))
        }
        if changed:
            model.reshape(changed)
    config = {
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": 1,
        "INFERENCE_NUM_THREADS": spec.threads,
        "INFERENCE_PRECISION_HINT": hint,
        # The worker has fixed its affinity before; OpenVINO then pins its threads inside that mask.
        "ENABLE_CPU_PINNING": True,
    }
    with refusals("openvino", "to compile", spec.path):
        compiled = openvino.Core().compile_model(model, "CPU", config)
        got = _element_name(compiled.get_property("INFERENCE_PRECISION_HINT"))
    if got != hint:
        raise BackendError(f"this CPU runs {got} where {spec.precision} was asked of openvino: choose precision fp32")
    return OpenVINOModel(inputs, load_s, time.perf_counter() - started, compiled, bodies_of(model), config)


def precision_hint(precision: str, model: Any) -> str:
    """Return OpenVINO's hint for a precision of a model; BackendError where this CPU lacks it."""
    if precision == "fp16" and _has_half_weights(model):
        # Half the file is what was asked for; a CPU without FP16 arithmetic computes it in FP32, and `layers` says so.
        try:
            return _checked_hint(precision)
        except BackendError:
            return _HINTS["fp32"]
    return _checked_hint(precision)


def _has_half_weights(model: Any) -> bool:
    constants = (node for node in model.get_ops() if node.get_type_name() == "Constant")
    return any(str(node.get_element_type().to_string()) == "f16" for node in constants)


def _checked_hint(precision: str) -> str:
    """Return the hint of a precision that this CPU has; BackendError where it has not."""
    if reason := _below(precision, os.environ.get("ONEDNN_MAX_CPU_ISA", "")):
        raise BackendError(reason)
    import openvino

    wanted = _CAPABILITIES.get(precision)
    with refusals("openvino", "to tell what this CPU can do"):
        able = openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    if wanted is not None and wanted not in able:
        raise BackendError(_without(precision))
    return _HINTS[precision]


def why_not_here(precision: str, isa: str) -> str | None:
    """Say that a precision cannot be had on this CPU or under an ISA ceiling, or None.

    A child asks OpenVINO itself, as `_checked_hint` does in the worker: /proc/cpuinfo does not tell, as the kernel
    lists no flag for AVX-NE-CONVERT, by which processors without AVX-512 have bf16. None where there is no answer.
    """
    environment = {**os.environ, **ISA_ENVIRONMENT[isa]}
    if reason := _below(precision, environment.get("ONEDNN_MAX_CPU_ISA", "")):
        return reason
    found = _capabilities()
    return None if not found or _CAPABILITIES[precision] in found else _without(precision)


@cache
def _capabilities() -> frozenset[str]:
    lines: list[str] = []
    run_child([sys.executable, "-c", _ASK], environment=os.environ, limit_s=_ASK_LIMIT_S, on_line=lines.append)
    return frozenset(lines[-1].split()) if lines else frozenset()


def _below(precision: str, ceiling: str) -> str | None:
    """Say that a ceiling is below a precision: the plugin tells of bf16 whatever the ceiling is (seen in 2026.4)."""
    if precision not in _CAPABILITIES or ceiling.upper() not in _BELOW_BF16:
        return None
    return f"openvino has no {precision} under the ISA ceiling {ceiling.upper()}: choose fp32 or lift the ceiling"


def _without(precision: str) -> str:
    return f"this CPU has no {precision} arithmetic for openvino: choose precision fp32"


def _fact(facts: Any, key: str) -> str:
    return str(facts[key].value) if key in facts else "unknown"


def _element_name(element: Any) -> str:
    return str(element.to_string())


def _names_isa(kernel: str, isa: str) -> bool:
    return isa in kernel.split("_") or (isa == "avx2_vnni" and "avx2_vnni" in kernel)
