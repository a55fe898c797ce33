"""A `.pte` file, read without ExecuTorch: what it takes, what it runs and in which precision, and who runs it.

The file is a flatbuffer (schema: `program.fbs` in the package) whose delegates hold flatbuffers of their own; XNNPACK's
(`schema.fbs`) begin with a header. Numbers of fields are those of the schemas, which only grow at their ends.
"""

from __future__ import annotations

import contextlib
import re
import struct
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path

from edgebench.backends.base import Layer
from edgebench.backends.flatbuffer import Table, root
from edgebench.backends.inputs import ModelInput
from edgebench.errors import BackendError

XNNPACK, PORTABLE = "XNNPACK", "portable kernel"
_MAGIC = b"ET12"
_MOST_BYTES = 4 << 30
_DTYPES = {
    0: "uint8",
    1: "int8",
    2: "int16",
    3: "int32",
    4: "int64",
    5: "float16",
    6: "float32",
    7: "float64",
    11: "bool",
}
_FLOATS = {5: "fp16", 6: "fp32", 15: "bf16"}
_TENSOR, _KERNEL_CALL, _DELEGATE_CALL = 5, 1, 2
# XNNPACK's types of values, and the kinds of nodes that have weights: where their first input and weights stand.
_TYPES = {
    1: "fp32",
    2: "fp16",
    3: "int8",
    4: "int8",
    6: "int8",
    8: "int4",
    9: "int8",
    10: "int4",
    11: "int8",
    14: "bf16",
}
_CONVOLUTION = (15, 16)
_NODES: Mapping[int, tuple[str, tuple[int, int]]] = {
    2: ("fully_connected", (0, 1)),
    7: ("conv2d", _CONVOLUTION),
    13: ("depthwise_conv2d", _CONVOLUTION),
    36: ("attention", (0, 1)),
    37: ("batch_matmul", (0, 1)),
    39: ("conv_transpose2d", _CONVOLUTION),
}


@dataclass(frozen=True, slots=True)
class Program:
    """What a file says: its inputs, the layers it runs in their order, and the bytes of its constants by precision."""

    inputs: tuple[ModelInput, ...]
    layers: tuple[Layer, ...]
    weights: Mapping[str, int]


def read_program(path: Path) -> Program:
    """Return what a file says; raises OSError, BackendError where it is none."""
    if path.stat().st_size > _MOST_BYTES:
        raise BackendError(f"{path} has more than {_MOST_BYTES >> 30} GiB: use a smaller model")
    data = path.read_bytes()
    found = None
    with contextlib.suppress(struct.error, LookupError, ValueError, OverflowError):
        found = _program(data) if data[4:8] == _MAGIC else None
    if found is None:
        raise BackendError(f"{path} is no program of ExecuTorch, or is cut off: export it again")
    return found


def _program(data: bytes) -> Program:
    whole = root(data)
    plan = whole.tables(1)[0]
    values = plan.tables(2)
    inputs = tuple(_input(values[index], place) for place, index in enumerate(plan.numbers(3, "i")))
    operators = [entry.text(0) for entry in plan.tables(6)]
    payloads = list(_payloads(data, whole, plan))
    layers: list[Layer] = []
    weights: Counter[str] = Counter()
    for payload in payloads:
        weights += payload.weights
    for step in (step for chain in plan.tables(5) for step in chain.tables(2)):
        call, number = step.table(1), len(layers)
        if call is None:
            continue
        if step.number(0, "<B") == _DELEGATE_CALL:
            layers += payloads[call.number(0, "<i")].layers
        elif step.number(0, "<B") == _KERNEL_CALL:
            called = [values[index] for index in call.numbers(1, "i") if 0 <= index < len(values)]
            kinds = [tensor.number(0, "<b") for tensor in map(_tensor, called) if tensor is not None]
            precision = _FLOATS.get(kinds[0], _DTYPES.get(kinds[0], "unknown")) if kinds else "unknown"
            layers.append(Layer(str(number), operators[call.number(0, "<i")], precision, PORTABLE))
    return Program(inputs, tuple(layers), weights)


def _tensor(value: Table) -> Table | None:
    return value.table(1) if value.number(0, "<B") == _TENSOR else None


def _input(value: Table, place: int) -> ModelInput:
    if (tensor := _tensor(value)) is None:
        raise ValueError(place)
    return ModelInput(f"input{place}", tensor.numbers(2, "i"), _DTYPES[tensor.number(0, "<b")])


@dataclass(frozen=True, slots=True)
class _Payload:
    layers: tuple[Layer, ...]
    weights: Counter[str]


def _payloads(data: bytes, whole: Table, plan: Table) -> Iterator[_Payload]:
    """Yield what each delegate runs; of one that is not XNNPACK's only its name is known."""
    extended = data[8:12] == b"eh00"
    base = struct.unpack_from("<Q", data, 24)[0] if extended else 0
    segments, inline = whole.tables(4), whole.tables(3)
    for delegate in plan.tables(7):
        name, place = delegate.text(0), delegate.table(1)
        if place is None or name != "XnnpackBackend":
            yield _Payload((Layer("0", name, "unknown", name),), Counter())
            continue
        index = place.number(1, "<I")
        if place.number(0, "<b"):
            segment = segments[index]
            start, size = base + segment.number(0, "<Q"), segment.number(1, "<Q")
        else:
            found = inline[index].bytes_of(0)
            start, size = found.start, len(found)
        if start + size > len(data):
            raise IndexError(start)
        yield _xnnpack(data[start : start + size])


def _xnnpack(data: bytes) -> _Payload:
    begin = struct.unpack_from("<I", data, 10)[0] if data[4:8] == b"XH00" else 0
    graph = root(data[begin:])
    types: dict[int, str] = {}
    weights: Counter[str] = Counter()
    for value in graph.tables(2):
        if (tensor := value.table(1)) is None:
            continue
        if value.number(0, "<B") == 2 and (tensor := tensor.table(0)) is None:
            continue
        precision = _TYPES.get(tensor.number(0, "<h"), "other")
        types[tensor.number(6, "<I")] = precision
        if tensor.number(3, "<I"):
            weights[precision] += prod(tensor.numbers(2, "I"))
    layers = []
    for number, node in enumerate(graph.tables(1)):
        kind, ends = _NODES.get(node.number(0, "<B"), ("other", (0, 0)))
        body = node.table(1)
        fed = [types.get(body.number(end, "<I"), "unknown") for end in ends] if body is not None else ["unknown"] * 2
        # What is quantised as it comes meets weights in integers: it is multiplied in those.
        layers.append(Layer(str(number), kind, fed[0] if kind != "other" else "unknown", XNNPACK))
    return _Payload(tuple(layers), weights)


def inputs(path: Path) -> list[ModelInput]:
    """Return the inputs of a program, every size fixed."""
    return list(read_program(path).inputs)


def precision(path: Path) -> str:
    """Return what most of XNNPACK's weights are held in: ``fp32`` or ``int8``."""
    held = {name: size for name, size in read_program(path).weights.items() if name != "other"}
    return max(held, key=lambda name: held[name]) if held else "fp32"


def others(path: Path) -> tuple[str, ...]:
    """Return nothing: a program is one file."""
    del path
    return ()


def file_of(folder: Path, shape: tuple[int, ...]) -> Path:
    """Return the program of an artifact that takes inputs of a shape."""
    return folder / f"model-{re.sub('[^0-9]+', 'x', str(shape)).strip('x')}.pte"
