"""The precision that a user's file holds, told from its content before any runtime opens it."""

from __future__ import annotations

import json
import re
import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Mapping
from math import prod
from pathlib import Path

from edgebench.backends.flatbuffer import root
from edgebench.backends.genai import MODEL
from edgebench.backends.gguffile import read_gguf
from edgebench.backends.litertlmfile import graph_of
from edgebench.backends.onnxfile import read_facts
from edgebench.backends.ortgenaifile import read_config
from edgebench.backends.reader import reader_of

# Exported programs (torch/_export/serde/schema.py): where the graph lies, what quantises, and types of weights.
_PROGRAM = re.compile(r"(^|/)models/[^/]*\.json$")
_QUANTISING = re.compile(r"quantized_decomposed|torchao|\.quantized\.")
_HALF, _FLOAT = 6, 7
_MOST_JSON = 256 << 20
_CONSTANT = re.compile(rb'<data element_type="(\w+)" shape="[^"]*" offset="\d+" size="(\d+)"')
_IR_TYPES = {b"f32": "fp32", b"f16": "fp16", b"i8": "int8", b"u8": "int8", b"i4": "int4", b"u4": "int4"}
# TensorType of TensorFlow Lite's schema (schema.fbs); weights of other types decide nothing.
_TFLITE_TYPES = {0: "fp32", 1: "fp16", 3: "int8", 9: "int8", 17: "int4"}


def held_precision(path: Path, form: str) -> str:
    """Return ``int8``, ``int4``, ``fp16`` or ``fp32``; the last for a file that is damaged or tells nothing.

    An ONNX file, IR or exported program is int8 by its quantising operators, others by most of their weights; a .gguf
    may be ``bf16`` as well, and a plug-in says what its format holds. Of a language model's folder it is that of its
    graph. Raises OSError where the file cannot be read, BackendError for a damaged .gguf or folder.
    """
    if form == "genai":
        path, form = path / MODEL, "openvino"
    elif form == "ort-genai":
        path, form = path / read_config(path).model, "onnx"
    if (reader := reader_of(form)) is not None:
        return reader.precision(path)
    try:
        return _READERS[form](path)
    except (struct.error, LookupError, ValueError, TypeError, AttributeError, RecursionError):
        return "fp32"
    except (zipfile.BadZipFile, zlib.error):
        return "fp32"


def _of_program(path: Path) -> str:
    """Look at the operators and weights of an exported program, as its JSON tells them."""
    with zipfile.ZipFile(path) as archive:
        entry = next((item for item in archive.infolist() if _PROGRAM.search(item.filename)), None)
        if entry is None or entry.file_size > _MOST_JSON:
            return "fp32"
        module = json.loads(archive.read(entry))["graph_module"]
    graph = module["graph"]
    if any(_QUANTISING.search(node["target"]) for node in graph["nodes"]):
        return "int8"
    kept: Counter[int] = Counter()
    for spec in module["signature"]["input_specs"]:
        for kind in ("parameter", "buffer"):
            if kind in spec:
                value = graph["tensor_values"][spec[kind]["arg"]["name"]]
                kept[value["dtype"]] += prod(size["as_int"] for size in value["sizes"])
    return "fp16" if kept[_HALF] > kept[_FLOAT] else "fp32"


def _of_ir(path: Path) -> str:
    text = path.read_bytes()
    if b'type="FakeQuantize"' in text:
        return "int8"
    kept: Counter[str] = Counter()
    for kind, size in _CONSTANT.findall(text):
        kept[_IR_TYPES.get(kind, "other")] += int(size)
    del kept["other"]
    return max(kept, key=lambda name: kept[name]) if any(kept.values()) else "fp32"


def _of_tflite(data: bytes) -> str:
    """Compare the bytes of the constants by type: a flatbuffer is vectors of tables."""
    model = root(data)
    # Model: subgraphs 2, buffers 4; SubGraph: tensors 0; Tensor: type 1, buffer 2; Buffer: data 0, or size 2 where it
    # lies behind the flatbuffer.
    buffers = [len(buffer.bytes_of(0)) or buffer.number(2, "<Q") for buffer in model.tables(4)]
    kept: Counter[str] = Counter()
    for graph in model.tables(2):
        for tensor in graph.tables(0):
            size = buffers[tensor.number(2, "<I")]
            kept[_TFLITE_TYPES.get(tensor.number(1, "<b"), "other")] += size
    del kept["other"]
    return max(kept, key=lambda name: kept[name]) if any(kept.values()) else "fp32"


_READERS: Mapping[str, Callable[[Path], str]] = {
    "onnx": lambda path: read_facts(path).precision,
    "gguf": lambda path: read_gguf(path).precision,
    "openvino": _of_ir,
    "tflite": lambda path: _of_tflite(path.read_bytes()),
    "litert-lm": lambda path: _of_tflite(graph_of(path)),
    "pt2": _of_program,
}
