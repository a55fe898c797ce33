"""TensorRT 8.5 to 11: runs engines that `artifacts.convert.engines` made for this very GPU and this very version.

Written against the real bindings of 10 and 11 (a test checks every name used); its engines have not run yet.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from ctypes.util import find_library
from dataclasses import dataclass, field
from importlib.util import find_spec
from statistics import median
from typing import TYPE_CHECKING, Any, ClassVar

from edgebench.backends.base import Layer, LoadSpec, TensorSpec
from edgebench.backends.boundary import check_file, refusals
from edgebench.backends.cuda import Cudart, why_no_gpu
from edgebench.backends.executed import precision_name
from edgebench.backends.inputs import ONLY_INPUT, ModelInput, fit_feeds, fix_shapes, shape_text
from edgebench.backends.packages import installed_versions
from edgebench.backends.registry import check_spec
from edgebench.errors import BackendError
from edgebench.machine.advice import install

if TYPE_CHECKING:
    from edgebench.backends.base import Array

_WATCHED = 50  # passes behind the GPU's own times
# "Row major linear FP32", "Four wide channel vectorized row major Int8 format", "Half", "Float".
_DATATYPE = re.compile(r"\b(fp32|fp16|bf16|fp8|int8|int32|int64|half|float|bool)\b", re.IGNORECASE)
_WORDS = {"half": "fp16", "float": "fp32"}


@dataclass(frozen=True, slots=True)
class TensorRTBackend:
    """Opens a folder of engines, one a shape; they fit one GPU, one version and the precision they were built for."""

    name: ClassVar[str] = "tensorrt"

    def unavailable(self) -> str | None:
        """Say what is missing: the bindings, the library, or a GPU."""
        if find_spec("tensorrt") is None:
            return f"tensorrt is not installed: use L4T's (python3-libnvinfer), or {install('tensorrt-cu12')}"
        if find_library("nvinfer") is None and find_spec("tensorrt_libs") is None:
            return f"tensorrt's library libnvinfer is not here: install L4T's libnvinfer, or {install('tensorrt-cu12')}"
        return why_no_gpu()

    def versions(self) -> dict[str, str]:
        """Return TensorRT's version as its package states it."""
        return installed_versions("tensorrt", "tensorrt-cu12", "tensorrt-cu13")

    def load(self, spec: LoadSpec) -> TensorRTModel:
        """Deserialise the engine of the asked shape; `compile_s` is making its execution context."""
        if (reason := self.unavailable()) is not None:
            raise BackendError(reason)
        check_spec(self.name, spec)
        (shape,) = spec.shapes.values() if len(spec.shapes) == 1 else (spec.shapes.get(ONLY_INPUT, ()),)
        path = spec.path / engine_file(shape)
        if not path.is_file():
            have = ", ".join(sorted(file.stem for file in spec.path.glob("*.engine"))) or "none"
            raise BackendError(f"{spec.path} holds no engine for {shape_text(shape)} (it holds {have}): build it again")
        check_file(path)
        import tensorrt as trt

        cuda = Cudart()
        started = time.perf_counter()
        logger = Log(trt)
        with refusals("tensorrt", "to load", path, "build the engine again on this machine"):
            runtime = trt.Runtime(logger.native)
            engine = runtime.deserialize_cuda_engine(path.read_bytes())
        if engine is None:
            raise BackendError(
                f"tensorrt refuses {path} ({logger.last()}): build it on this machine, with a TensorRT for its GPU"
            )
        load_s = time.perf_counter() - started
        started = time.perf_counter()
        with refusals("tensorrt", "to prepare", path):
            context = engine.create_execution_context()
        if context is None:
            raise BackendError(f"tensorrt cannot make a context for {path} ({logger.last()}): free GPU memory")
        names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
        inputs: list[ModelInput] = []
        outputs: list[ModelInput] = []
        for name in names:
            kind = str(trt.nptype(engine.get_tensor_dtype(name)).__name__)
            item = ModelInput(name, tuple(engine.get_tensor_shape(name)), kind)
            (inputs if engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT else outputs).append(item)
        return TensorRTModel(
            fix_shapes(inputs, {}, path),
            load_s,
            time.perf_counter() - started,
            fix_shapes(outputs, {}, path),
            Parts(trt, cuda, runtime, engine, context, cuda.stream()),
            spec.precision,
        )


@dataclass(frozen=True, slots=True)
class Parts:
    """What must live as long as the model: TensorRT's objects, and a stream."""

    trt: Any
    cuda: Cudart
    runtime: Any
    engine: Any
    context: Any
    stream: int


@dataclass(frozen=True, slots=True)
class TensorRTModel:
    """An engine with its context; see `base.LoadedModel`."""

    inputs: Sequence[TensorSpec]
    load_s: float
    compile_s: float
    outputs: Sequence[TensorSpec]
    parts: Parts = field(repr=False)
    precision: str

    def bind(self, feeds: Mapping[str, Array]) -> Callable[[], object]:
        """Return a pass over device memory: enqueue, then wait for the stream. Transfers are outside the pass."""
        self._place(feeds)
        execute, wait, stream = self.parts.context.execute_async_v3, self.parts.cuda.wait, self.parts.stream

        def one_pass() -> None:
            execute(stream)
            wait(stream)

        return one_pass

    def run(self, feeds: Mapping[str, Array]) -> list[Array]:
        """Run once and return copies of the outputs."""
        addresses = self._place(feeds)
        if not self.parts.context.execute_async_v3(self.parts.stream):
            raise BackendError("tensorrt refuses to run the engine: build it again on this machine")
        return self._fetch(addresses)

    def layers(self) -> list[Layer]:
        """Return the engine's layers as its inspector tells them; the precision is that of a layer's first input."""
        trt = self.parts.trt
        with refusals("tensorrt", "to inspect the engine"):
            inspector = self.parts.engine.create_engine_inspector()
            return parse_layers(inspector.get_engine_information(trt.LayerInformationFormat.JSON))

    def effective(self) -> dict[str, Any]:
        """Return device and versions, the GPU's own time of a pass (CUDA events), and the transfers' time, apart."""
        parts = self.parts
        name, capability = parts.cuda.device()
        feeds = {spec.name: _zeros(spec) for spec in self.inputs}
        upload_s, download_s, gpu_s = [], [], []
        first, second = parts.cuda.event(), parts.cuda.event()
        for _ in range(_WATCHED):
            begun = time.perf_counter()
            addresses = self._place(feeds)
            upload_s.append(time.perf_counter() - begun)
            parts.cuda.record(first, parts.stream)
            parts.context.execute_async_v3(parts.stream)
            parts.cuda.record(second, parts.stream)
            gpu_s.append(parts.cuda.seconds_between(first, second))
            begun = time.perf_counter()
            self._fetch(addresses)
            download_s.append(time.perf_counter() - begun)
        return {
            "device": name,
            "compute_capability": capability,
            "cuda_runtime": parts.cuda.runtime_version(),
            "tensorrt": str(parts.trt.__version__),
            "precision": self.precision,
            "gpu_pass_s": median(gpu_s),
            "upload_s": median(upload_s),
            "download_s": median(download_s),
            "memory": "cudaMalloc through libcudart",
        }

    def _place(self, feeds: Mapping[str, Array]) -> dict[str, int]:
        """Copy the inputs to the device (memory of their own, once a model) and return the outputs' addresses."""
        parts = self.parts
        addresses = {}
        for spec in (*self.inputs, *self.outputs):
            address = parts.context.get_tensor_address(spec.name)
            if not address:
                address = parts.cuda.allocate(_zeros(spec).nbytes)
                parts.context.set_tensor_address(spec.name, address)
            addresses[spec.name] = int(address)
        for spec, array in zip(self.inputs, fit_feeds(self.inputs, feeds), strict=True):
            parts.cuda.upload(addresses[spec.name], array, parts.stream)
        return addresses

    def _fetch(self, addresses: Mapping[str, int]) -> list[Array]:
        found = []
        for spec in self.outputs:
            array = _zeros(spec)
            self.parts.cuda.download(array, addresses[spec.name], self.parts.stream)
            found.append(array)
        return found


class Log:
    """TensorRT's logger: keeps the errors, prints nothing. `native` is the object that TensorRT takes."""

    def __init__(self, trt: Any) -> None:
        errors: list[str] = []
        bad = (trt.ILogger.Severity.ERROR, trt.ILogger.Severity.INTERNAL_ERROR)

        class Native(trt.ILogger):  # type: ignore[misc]  # a class of the module that is passed in
            def __init__(self) -> None:
                trt.ILogger.__init__(self)

            def log(self, severity: Any, message: str) -> None:
                if severity in bad:
                    errors.append(" ".join(message.split())[:200])

        self.native = Native()
        self._errors = errors

    def last(self) -> str:
        """Return the last error, or that there was none."""
        return self._errors[-1] if self._errors else "it gives no reason"


def engine_file(shape: Sequence[int]) -> str:
    """Return the name of the engine for an input shape."""
    return f"{'x'.join(map(str, shape))}.engine"


def parse_layers(text: str) -> list[Layer]:
    """Read the engine inspector's JSON; a layer it gives by name only (another verbosity) has unknown precision."""
    found = []
    for entry in json.loads(text).get("Layers", []):
        if not isinstance(entry, dict):
            found.append(Layer(str(entry), "unknown", "unknown"))
            continue
        inputs = entry.get("Inputs") or [{}]
        told = _DATATYPE.search(str(inputs[0].get("Format/Datatype", "")))
        word = told[1].lower() if told else "unknown"
        kind = entry.get("ParameterType") or entry.get("LayerType", "unknown")
        found.append(
            Layer(
                str(entry.get("Name", "")), str(kind), precision_name(_WORDS.get(word, word)),
                str(entry.get("TacticName", "")),
            )
        )  # fmt: skip
    return found


def _zeros(spec: TensorSpec) -> Array:
    import numpy as np

    return np.zeros(spec.shape, spec.dtype)
