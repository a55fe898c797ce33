"""The runtimes by name, a row each; a runtime's module is imported when it is asked for, the runtime when it loads."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

from edgebench.backends import plugins
from edgebench.backends.families import families
from edgebench.backends.row import ANYWHERE, IN_THE_FILE, BackendRow, Need
from edgebench.errors import BackendError, unknown

if TYPE_CHECKING:
    from edgebench.backends.base import Backend, LoadSpec

_OPENVINO_CPU = "edgebench.backends.openvino:why_not_here"
_CHECKPOINTS = "checkpoint folders, `.pt2`"
_GPU = {"fp32": ANYWHERE, "fp16": ANYWHERE}
# Of graphs whose batch is free: as many as a suite may ask for.
ANY_BATCH = 4096
# What GGUF's formats take a weight in; llama.cpp multiplies all of them with activations in 8 bits.
GGUF_BITS = ("int8", "int6", "int5", "int4", "int3", "int2")

_OURS = (
    BackendRow(
        "torch",
        "torch",
        "edgebench.backends.torch:TorchBackend",
        family="torch",
        formats=("torch", "pt2"),
        precisions={"fp32": ANYWHERE, "bf16": ANYWHERE, "int8": IN_THE_FILE},
        operators="edgebench.backends.operators.torch:make_torch",
        decoder="edgebench.backends.cached:in_torch",
        sequences=ANY_BATCH,
        platforms=("n150", "jetson"),
        opens=_CHECKPOINTS,
        install="`edgebench[torch]`",
        uncompiled="nothing is compiled: torch runs one operator after the other",
        pass_s=0.012,
        start_s=4.5,
        int8_ratio=1.0,
        token_s=0.004,
    ),
    BackendRow(
        "torch-compile",
        "torch (compiled)",
        "edgebench.backends.torch:compiling",
        family="torch",
        formats=("torch", "pt2"),
        # Inductor takes none of the quantised operators that torch's own INT8 is made of.
        precisions={"fp32": ANYWHERE, "bf16": ANYWHERE},
        platforms=("n150",),
        opens=_CHECKPOINTS,
        install="`edgebench[torch]` and a C++ compiler",
        pass_s=0.005,
        start_s=30.0,
    ),
    BackendRow(
        "torch-cuda",
        "torch (CUDA)",
        "edgebench.backends.torch_cuda:TorchCudaBackend",
        family="torch",
        formats=("torch", "pt2"),
        precisions=_GPU,
        platforms=("jetson",),
        opens=_CHECKPOINTS,
        install="a CUDA build of torch ([seen](jetson.md))",
    ),
    BackendRow(
        "openvino",
        "OpenVINO",
        "edgebench.backends.openvino:OpenVINOBackend",
        family="openvino",
        formats=("openvino", "onnx", "tflite"),
        precisions={
            "fp32": ANYWHERE,
            "bf16": Need(ask=_OPENVINO_CPU),
            "fp16": Need(file=True, ask=_OPENVINO_CPU),
            "int8": IN_THE_FILE,
            "int4": IN_THE_FILE,
        },
        operators="edgebench.backends.operators.openvino:make_openvino",
        decoder="edgebench.backends.cached:in_openvino",
        sequences=ANY_BATCH,
        platforms=("n150",),
        opens="IR (`.xml` with `.bin`), `.onnx`, `.tflite`",
        install="`edgebench[openvino]`",
        pass_s=0.003,
        start_s=1.5,
    ),
    BackendRow(
        "onnxruntime",
        "ONNX Runtime",
        "edgebench.backends.onnxruntime:OnnxRuntimeBackend",
        family="onnx",
        formats=("onnx",),
        precisions={"fp32": ANYWHERE, "fp16": IN_THE_FILE, "int8": IN_THE_FILE, "int4": IN_THE_FILE},
        operators="edgebench.backends.operators.onnxruntime:make_onnxruntime",
        # Its operators have one node each, and these would be several.
        without=("quantise", "triad"),
        decoder="edgebench.backends.cached:in_onnxruntime",
        sequences=ANY_BATCH,
        platforms=("n150", "jetson", "pi"),
        opens="`.onnx`",
        install="`edgebench[onnxruntime]`",
        pass_s=0.004,
        start_s=1.5,
    ),
    BackendRow(
        "onnxruntime-cuda",
        "ONNX Runtime (CUDA)",
        "edgebench.backends.onnxruntime_cuda:OnnxRuntimeCudaBackend",
        family="onnx",
        formats=("onnx",),
        precisions={"fp32": ANYWHERE, "fp16": IN_THE_FILE},
        platforms=("jetson",),
        opens="`.onnx`",
        install="`onnxruntime-gpu` ([seen](jetson.md))",
    ),
    BackendRow(
        "litert",
        "LiteRT",
        "edgebench.backends.litert:LiteRTBackend",
        family="tflite",
        formats=("tflite",),
        precisions={"fp32": ANYWHERE, "fp16": IN_THE_FILE, "int8": IN_THE_FILE},
        platforms=("pi",),
        opens="`.tflite`",
        install="`edgebench[litert]`; `edgebench[tflite]` makes the files",
        pass_s=0.004,
        start_s=1.0,
    ),
    BackendRow(
        "llama.cpp",
        "llama.cpp",
        "edgebench.backends.llamacpp:backend",
        family="gguf",
        formats=("gguf",),
        precisions={"fp32": ANYWHERE, **dict.fromkeys(("fp16", "bf16", *GGUF_BITS), IN_THE_FILE)},
        decoder="edgebench.backends.llamacpp:decoder",
        sequences=256,  # `llama_max_parallel_sequences`
        passes=False,
        platforms=("n150", "pi"),
        opens="`.gguf`",
        install="`edgebench[llama]` ([compiled](language-models.md))",
        pass_s=0.003,
        start_s=1.0,
        int8_ratio=0.6,
        token_s=0.001,
    ),
    BackendRow(
        "openvino-genai",
        "OpenVINO GenAI",
        "edgebench.backends.genai:backend",
        family="genai",
        formats=("genai",),
        precisions={
            "fp32": ANYWHERE,
            "bf16": Need(ask=_OPENVINO_CPU),
            "fp16": Need(file=True, ask=_OPENVINO_CPU),
            "int8": IN_THE_FILE,
            "int4": IN_THE_FILE,
        },
        decoder="edgebench.backends.genai:decoder",
        sequences=ANY_BATCH,
        passes=False,
        opens="its folders",
        install="`edgebench[genai]` ([seen](language-models.md))",
        pass_s=0.003,
        start_s=2.0,
    ),
    BackendRow(
        "onnxruntime-genai",
        "ONNX Runtime GenAI",
        "edgebench.backends.ortgenai:backend",
        family="ort-genai",
        formats=("ort-genai",),
        precisions={"fp32": ANYWHERE, "fp16": IN_THE_FILE, "int8": IN_THE_FILE, "int4": IN_THE_FILE},
        decoder="edgebench.backends.ortgenai:decoder",
        sequences=ANY_BATCH,
        passes=False,
        opens="its folders",
        install="`edgebench[ort-genai]` ([seen](language-models.md))",
        pass_s=0.004,
        start_s=1.5,
    ),
    BackendRow(
        "litert-lm",
        "LiteRT-LM",
        "edgebench.backends.litertlm:backend",
        family="litert-lm",
        formats=("litert-lm",),
        precisions={"fp32": ANYWHERE, "fp16": IN_THE_FILE, "int8": IN_THE_FILE, "int4": IN_THE_FILE},
        decoder="edgebench.backends.litertlm:decoder",
        passes=False,
        opens="`.litertlm`",
        install="`edgebench[litert-lm]`; `edgebench[tflite]` makes the files",
        pass_s=0.003,
        start_s=1.5,
    ),
    BackendRow(
        "tensorrt",
        "TensorRT",
        "edgebench.backends.tensorrt:TensorRTBackend",
        family="tensorrt",
        formats=("tensorrt",),
        precisions={"fp32": ANYWHERE, "fp16": IN_THE_FILE, "int8": IN_THE_FILE},
        platforms=("jetson",),
        opens="its engines",
        install="L4T's, or `tensorrt-cu12` ([never run](jetson.md))",
    ),
)
_BY_NAME = {row.name: row for row in _OURS}
# Those of edgebench itself; `rows` has those of plug-ins too.
BACKENDS: tuple[str, ...] = tuple(_BY_NAME)
PLATFORMS: tuple[str, ...] = ("pi", "jetson", "n150")


@cache
def rows() -> Mapping[str, BackendRow]:
    """Return every backend by name, ours first; a plug-in that cannot be used is in `broken`."""
    return _BY_NAME | _from_plugins()[0]


def broken() -> Mapping[str, str]:
    """Return {name: sentence} of the plug-ins that are skipped."""
    return _from_plugins()[1]


def row_of(name: str) -> BackendRow:
    """Return a backend's row; raises BackendError for a name that nobody has, or whose plug-in is broken."""
    # A worker asks for one backend, most often ours: it shall not look through every installed package first.
    if (row := _BY_NAME.get(name) or rows().get(name)) is not None:
        return row
    raise BackendError(broken().get(name) or unknown("backend", name, rows()))


def title_of(name: str) -> str:
    """Return what people call a backend; one that is none of ours, in a report of elsewhere, has its name."""
    row = _BY_NAME.get(name)
    return name if row is None else row.title


def get_backend(name: str) -> Backend:
    """Return the backend called `name`; raises BackendError for an unknown one. Imports no runtime."""
    backend: Backend = resolve(row_of(name).source)()
    return backend


def backends_of(platform: str) -> tuple[str, ...]:
    """Return the backends that a platform's image holds; ``any``: all of them."""
    return tuple(row.name for row in rows().values() if platform == "any" or platform in row.platforms)


def check_spec(name: str, spec: LoadSpec) -> None:
    """Raise BackendError unless a backend takes the format and the precision of what it is to load."""
    row = row_of(name)
    if spec.format not in row.formats:
        raise BackendError(f"{name} opens {', '.join(row.formats)}, not {spec.format}: choose another backend")
    if spec.precision not in row.precisions:
        raise BackendError(f"{name} runs {', '.join(row.precisions)}, not {spec.precision}: choose one of these")


def resolve(name: str) -> Any:
    """Import what ``module:object`` names."""
    module, _, attribute = name.partition(":")
    return getattr(import_module(module), attribute)


@cache
def _from_plugins() -> tuple[dict[str, BackendRow], dict[str, str]]:
    found: dict[str, BackendRow] = {}
    refused: dict[str, str] = {}
    for offer in plugins.offers(plugins.BACKENDS, BACKENDS):
        row, reason = plugins.load(offer)
        reason = reason or _unfit(offer.name, row)
        if reason is None:
            found[offer.name] = row
        else:
            refused[offer.name] = offer.refusal(reason)
    return found, refused


def _unfit(name: str, row: Any) -> str | None:
    """Say why what a plug-in names is no backend's row, or None. Its class is looked up, as it will be needed."""
    if not isinstance(row, BackendRow):
        return f"it names a {type(row).__name__}, no edgebench.backends.row.BackendRow"
    if row.name != name:
        return f"its row is called {row.name!r}"
    if row.family not in families():
        return f"its family {row.family!r} is none of {', '.join(families())}"
    try:
        backend = resolve(row.source)()
    except Exception as error:  # noqa: BLE001  # code of others, of which nothing is known
        return f"{row.source} cannot be had, {plugins.said(error)}"
    missing = [part for part in ("name", "unavailable", "versions", "load") if not hasattr(backend, part)]
    return f"{row.source} has no {missing[0]}" if missing else None
