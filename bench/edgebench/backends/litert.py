"""LiteRT (TensorFlow Lite) on the CPU: the interpreter with its default XNNPACK delegate."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from edgebench.backends.base import Layer, LoadSpec, TensorSpec
from edgebench.backends.boundary import check_file, refusals
from edgebench.backends.executed import precision_name
from edgebench.backends.inputs import ModelInput, fit_feeds, fix_shapes
from edgebench.backends.packages import installed_versions
from edgebench.backends.registry import check_spec
from edgebench.errors import BackendError
from edgebench.machine.advice import extra

if TYPE_CHECKING:
    from edgebench.backends.base import Array

    Node = Mapping[str, Any]

_DELEGATE = "DELEGATE"
XNNPACK = "XNNPACK"
BUILT_IN = "built-in kernel"


@dataclass(frozen=True, slots=True)
class LiteRTBackend:
    """Opens .tflite files. fp32, fp16 and int8 run what the file holds: LiteRT takes no precision hint here."""

    name: ClassVar[str] = "litert"

    def unavailable(self) -> str | None:
        """Say whether the package is missing."""
        if find_spec("ai_edge_litert") is None:
            return f"ai-edge-litert is not installed: {extra('litert')}"
        return None

    def versions(self) -> dict[str, str]:
        """Return the installed versions of the runtime, the converter and the quantiser."""
        return installed_versions("ai-edge-litert", "litert-torch", "ai-edge-quantizer")

    def load(self, spec: LoadSpec) -> LiteRTModel:
        """Open a file and give its tensors their memory.

        `load_s` is reading and checking the file, `compile_s` fixing shapes, XNNPACK's taking over of what it can and
        its packing of the weights. Shapes that the file fixes may be others: the runtime propagates them and refuses
        what cannot follow.
        """
        if (reason := self.unavailable()) is not None:
            raise BackendError(reason)
        check_spec(self.name, spec)
        started = time.perf_counter()
        interpreter = open_file(spec.path, spec.threads)
        declared = declared_inputs(interpreter)
        load_s = time.perf_counter() - started
        inputs = fix_shapes(declared, spec.shapes, spec.path, may_change=True)
        started = time.perf_counter()
        details = interpreter.get_input_details()
        advice = "give the shape it was exported with"
        with refusals("litert", "the shapes given for", spec.path, advice):
            for item, want, entry in zip(declared, inputs, details, strict=True):
                if item.shape != want.shape:
                    interpreter.resize_tensor_input(entry["index"], want.shape)
            interpreter.allocate_tensors()
        return LiteRTModel(inputs, load_s, time.perf_counter() - started, interpreter, spec)


@dataclass(frozen=True, slots=True)
class LiteRTModel:
    """An interpreter with its tensors allocated; see `base.LoadedModel`."""

    inputs: Sequence[TensorSpec]
    load_s: float
    compile_s: float
    interpreter: Any = field(repr=False)
    spec: LoadSpec

    # The Python interface has no profile of the operators: this is read from the graph.
    layers_source: ClassVar[str] = "the layers that multiply, by the graph's tensors and what XNNPACK took over"

    def bind(self, feeds: Mapping[str, Array]) -> Callable[[], object]:
        """Return `invoke` over inputs copied once; the interpreter has one set of inputs, so the last binding holds."""
        self._feed(feeds)
        invoke: Callable[[], object] = self.interpreter.invoke
        return invoke

    def run(self, feeds: Mapping[str, Array]) -> list[Array]:
        """Run once and return copies of the outputs."""
        with refusals("litert", "to run the model"):
            self._feed(feeds)
            self.interpreter.invoke()
            return [self.interpreter.get_tensor(entry["index"]) for entry in self.interpreter.get_output_details()]

    def layers(self) -> list[Layer]:
        """Return the graph's operators, each with the precision its tensors make it compute in, and what runs it.

        A convolution or matrix product of int8 weights and float32 activations is int8: the kernel quantises the
        activations as they come and multiplies integers (dynamic range). float16 weights are expanded before: fp32.
        """
        nodes, types = self._graph()
        taken = taken_over(nodes, {entry["index"] for entry in self.interpreter.get_output_details()})
        found = []
        for node in nodes:
            if node["op_name"] != _DELEGATE:
                kernel = XNNPACK if node["index"] in taken else BUILT_IN
                found.append(Layer(str(node["index"]), str(node["op_name"]), _precision(node, types), kernel))
        return found

    def effective(self) -> dict[str, Any]:
        """Return delegate, threads, who runs how many operators, and how many of them only move data."""
        nodes, _ = self._graph()
        kernels = [layer.kernel for layer in self.layers()]
        parts = sum(node["op_name"] == _DELEGATE for node in nodes)
        known = {
            "device": "CPU",
            "delegate": XNNPACK if parts else "none",
            "delegate_parts": parts,
            "operators": {name: kernels.count(name) for name in sorted(set(kernels))},
            # LiteRT computes channels-last: a file that takes [N, C, H, W] transposes inside the pass.
            "transpositions": sum(node["op_name"] == "TRANSPOSE" for node in nodes),
            "threads": self.spec.threads,
            "precision_from": self.layers_source,
        }
        if "ONEDNN_MAX_CPU_ISA" in os.environ:
            known["isa_note"] = "ignores ONEDNN_MAX_CPU_ISA: its kernels choose the ISA themselves"
        return known

    def _feed(self, feeds: Mapping[str, Array]) -> None:
        arrays = fit_feeds(self.inputs, feeds)
        with refusals("litert", "the input data"):
            for entry, array in zip(self.interpreter.get_input_details(), arrays, strict=True):
                self.interpreter.set_tensor(entry["index"], array)

    def _graph(self) -> tuple[list[Node], dict[int, str]]:
        """Return the nodes and {tensor: element type}; what delegates made carries no name of its own."""
        import numpy as np

        with refusals("litert", "to show its operators"):
            # No public call gives the operators; the package's own analyser and quantiser use this one.
            nodes = list(self.interpreter._get_ops_details())  # noqa: SLF001
            entries = self.interpreter.get_tensor_details()
        return nodes, {entry["index"]: np.dtype(entry["dtype"]).name for entry in entries}


def open_file(path: Path, threads: int) -> Any:
    """Return the interpreter of a file, without memory for its tensors; BackendError where it is no model."""
    check_file(path)
    from ai_edge_litert.interpreter import Interpreter

    with refusals("litert", "to read", path, "export the model again"):
        return Interpreter(model_path=str(path), num_threads=threads)


def declared_inputs(interpreter: Any) -> list[ModelInput]:
    """Return the inputs as the file declares them."""
    import numpy as np

    found = []
    for entry in interpreter.get_input_details():
        shape = tuple(None if size < 0 else int(size) for size in entry["shape_signature"])
        found.append(ModelInput(str(entry["name"]), shape, np.dtype(entry["dtype"]).name))
    return found


def taken_over(nodes: Sequence[Node], outputs: set[int]) -> set[int]:
    """Return the indices of the operators that a delegate runs.

    The interpreter lists the graph's operators and the delegates' parts side by side. An operator whose result a part
    gives runs in that part; one whose result a part, the model's end or an operator outside takes from outside does
    not; any other result lives inside a part. Consumers stand after producers, so one pass backwards decides.
    """
    parts = [node for node in nodes if node["op_name"] == _DELEGATE]
    given = {int(tensor) for part in parts for tensor in part["outputs"]}
    asked = {int(tensor) for part in parts for tensor in part["inputs"]}
    outside = set(outputs)
    taken = set()
    for node in reversed(nodes):
        if node["op_name"] == _DELEGATE:
            continue
        made = {int(tensor) for tensor in node["outputs"]}
        if parts and (made & given or not made & (asked | outside)):
            taken.add(int(node["index"]))
        else:
            outside |= {int(tensor) for tensor in node["inputs"]}
    return taken


def _precision(node: Node, types: Mapping[int, str]) -> str:
    """The precision of an operator's arithmetic, from the types of its activations and its weights."""
    used = [types[int(tensor)] for tensor in node["inputs"] if int(tensor) in types]
    if not used:
        return "unknown"
    kinds = [precision_name(name) for name in used]
    weighted = len(kinds) > 1 and kinds[0] in {"fp32", "fp16"} and kinds[1] in {"int8", "int4"}
    return kinds[1] if weighted else kinds[0]
