"""What an ONNX file says of itself, read as bytes: no parser that a hostile file could take down, no package needed.

Field numbers are those of onnx.proto3 (github.com/onnx/onnx); the encoding is protobuf's wire format.
"""

from __future__ import annotations

import mmap
from collections import Counter
from dataclasses import dataclass, field
from math import prod
from pathlib import Path, PurePosixPath

from edgebench.backends.wire import DamagedError, fields, text_at, varint

# Operators of ONNX Runtime's own that hold weights in blocks, of as many bits as an attribute says (4 unless it does).
_IN_BLOCKS = frozenset({"MatMulNBits", "GatherBlockQuantized", "QMoE"})
# Messages lie in each other: graphs in attributes of nodes in graphs. No model needs more.
MAX_DEPTH = 32
_FLOAT, _FLOAT16 = 1, 10
# Operators that only a quantised model has, in ONNX and among ONNX Runtime's own; QLinearConv and its like besides.
_QUANTISED = frozenset(
    [
        "QuantizeLinear",
        "DequantizeLinear",
        "DynamicQuantizeLinear",
        "ConvInteger",
        "MatMulInteger",
        "QGemm",
        "QAttention",
        "DynamicQuantizeMatMul",
        "DynamicQuantizeLSTM",
        "MatMulIntegerToFloat",
    ]
)


@dataclass(slots=True)
class OnnxFacts:
    """Files outside the model that hold its weights, its operators (subgraphs' too), and weights by element type.

    `bits` are those of weights that operators hold in blocks of their own.
    """

    external: set[str] = field(default_factory=set)
    operators: Counter[str] = field(default_factory=Counter)
    elements: Counter[int] = field(default_factory=Counter)
    bits: set[int] = field(default_factory=set)

    @property
    def precision(self) -> str:
        """The precision that the graph holds: ``int8``, ``int4``, ``fp16`` or ``fp32``."""
        if any(name in _QUANTISED or name.startswith("QLinear") for name in self.operators):
            return "int8"
        if self.bits:
            return "int4" if min(self.bits) <= 4 else "int8"
        return "fp16" if self.elements[_FLOAT16] > self.elements[_FLOAT] else "fp32"


def read_facts(path: Path) -> OnnxFacts:
    """Return what a file says; of a damaged one what could be read: opening it will say what is wrong.

    Raises OSError where it cannot be read.
    """
    facts = OnnxFacts()
    with path.open("rb") as stream:
        try:
            with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
                _model(data, facts)
        except (ValueError, DamagedError):
            pass  # empty, or no protobuf
    return facts


def outside(location: str) -> bool:
    """Say whether a place that a model names for its weights is not below the model's own folder."""
    place = PurePosixPath(location)
    return not location or place.is_absolute() or ".." in place.parts or "\\" in location or "\0" in location


def _model(data: mmap.mmap, facts: OnnxFacts) -> None:
    for number, begin, end in fields(data, 0, len(data)):
        if number == 7:
            _graph(data, begin, end, facts, 0)
        elif number == 25:
            for inner, start, stop in fields(data, begin, end):
                if inner == 7:
                    _node(data, start, stop, facts, 0)


def _graph(data: mmap.mmap, begin: int, end: int, facts: OnnxFacts, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise DamagedError
    for number, start, stop in fields(data, begin, end):
        if number == 1:
            _node(data, start, stop, facts, depth)
        elif number == 5:
            _tensor(data, start, stop, facts)
        elif number == 15:
            _sparse(data, start, stop, facts)


def _node(data: mmap.mmap, begin: int, end: int, facts: OnnxFacts, depth: int) -> None:
    operator, bits = "", 4
    for number, start, stop in fields(data, begin, end):
        if number == 4:
            operator = text_at(data, start, stop)
            facts.operators[operator] += 1
        elif number == 5:
            bits = _attribute(data, start, stop, facts, depth) or bits
    if operator in _IN_BLOCKS:
        facts.bits.add(bits)


def _attribute(data: mmap.mmap, begin: int, end: int, facts: OnnxFacts, depth: int) -> int | None:
    """Look into an attribute; return its number where it is the one called ``bits``."""
    name = ""
    value = None
    for kind, start, stop in fields(data, begin, end):
        if kind == 1:
            name = text_at(data, start, stop)
        elif kind == 3:
            value, _ = varint(data, start, stop)
        elif kind in {5, 10}:
            _tensor(data, start, stop, facts)
        elif kind in {6, 11}:
            _graph(data, start, stop, facts, depth + 1)
        elif kind == 22:
            _sparse(data, start, stop, facts)
    return value if name == "bits" else None


def _sparse(data: mmap.mmap, begin: int, end: int, facts: OnnxFacts) -> None:
    for number, start, stop in fields(data, begin, end):
        if number in {1, 2}:
            _tensor(data, start, stop, facts)


def _tensor(data: mmap.mmap, begin: int, end: int, facts: OnnxFacts) -> None:
    sizes: list[int] = []
    kind = 0
    for number, start, stop in fields(data, begin, end):
        if number == 1:
            while start < stop:
                size, start = varint(data, start, stop)  # noqa: PLW2901  # packed: one after another
                sizes.append(size)
        elif number == 2:
            kind, _ = varint(data, start, stop)
        elif number == 13:
            entry = {inner: text_at(data, left, right) for inner, left, right in fields(data, start, stop)}
            if entry.get(1) == "location":
                facts.external.add(entry.get(2, ""))
    facts.elements[kind] += prod(sizes)
