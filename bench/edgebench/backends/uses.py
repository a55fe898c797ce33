"""What a graph does with its inputs, as far as it tells which values make sense there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

# Operators that hand on their first input's values, in ONNX, OpenVINO, TensorFlow Lite and ATen.
_SAME = frozenset(
    [
        *("Cast", "Identity", "Reshape", "Unsqueeze", "Squeeze", "Flatten", "Transpose", "DequantizeLinear", "Convert"),
        *("CAST", "RESHAPE", "EXPAND_DIMS", "SQUEEZE", "DEQUANTIZE"),
        *("aten._to_copy.default", "aten.to.dtype", "aten.view.default", "aten.unsqueeze.default", "aten.squeeze.dim"),
    ]
)
# Operators that look rows up: where the indices stand, and where the table does.
_LOOKUPS: Mapping[str, tuple[tuple[int, int], ...]] = {
    "Gather": ((1, 0),),
    "GatherBlockQuantized": ((1, 0),),
    "EmbedLayerNormalization": ((0, 2), (1, 4)),
    "GATHER": ((1, 0),),
    "EMBEDDING_LOOKUP": ((0, 1),),
    "aten.embedding.default": ((1, 0),),
}


@dataclass(frozen=True, slots=True)
class Use:
    """`rows` of the smallest table it indexes, the constant it `equals` in a test, whether it counts loop `turns`."""

    rows: int | None = None
    equals: int | None = None
    turns: bool = False


class Op(NamedTuple):
    """One operator: its kind, the tensors it reads and makes, and the axis along which it looks up."""

    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    axis: int = 0


class Constant(NamedTuple):
    """A constant's shape; its `value` where it is one whole number."""

    shape: tuple[int, ...]
    value: int | None = None


def uses_of(names: Sequence[str], ops: Iterable[Op], constants: Mapping[str, Constant]) -> dict[str, Use]:
    """Return what is done with each of the tensors `names`; `ops` stand in the order of the graph."""
    known = dict(constants)
    readers: dict[str, list[Op]] = {}
    for op in ops:
        if op.kind in _SAME and op.inputs and op.inputs[0] in known:
            known |= dict.fromkeys(op.outputs, known[op.inputs[0]])
        for name in set(op.inputs):
            readers.setdefault(name, []).append(op)
    return {name: _use(name, readers, known) for name in names}


def _use(name: str, readers: Mapping[str, list[Op]], known: Mapping[str, Constant]) -> Use:
    rows: list[int] = []
    equals: int | None = None
    turns = False
    pending, seen = [name], {name}
    while pending:
        tensor = pending.pop()
        for op in readers.get(tensor, ()):
            if op.kind in _SAME and op.inputs[0] == tensor:
                pending += [made for made in op.outputs if made not in seen]
                seen.update(op.outputs)
            for at, table in _LOOKUPS.get(op.kind, ()):
                if len(op.inputs) > max(at, table) and op.inputs[at] == tensor and op.inputs[table] in known:
                    shape = known[op.inputs[table]].shape
                    rows += [shape[op.axis]] if -len(shape) <= op.axis < len(shape) else []
            if op.kind == "Equal" and equals is None:
                values = (known[other].value for other in op.inputs if other in known)
                equals = next((value for value in values if value is not None), None)
            turns |= op.kind == "Loop" and op.inputs[0] == tensor
    return Use(min(rows, default=None), equals, turns)


def uses_in_onnx(graph: Any, names: Sequence[str]) -> dict[str, Use]:
    """Return the uses of an ONNX graph's inputs, those in branches and loops included."""
    constants: dict[str, Constant] = {}
    return uses_of(names, list(_onnx_ops(graph, constants)), constants)


def _onnx_ops(graph: Any, constants: dict[str, Constant]) -> Iterator[Op]:
    for tensor in graph.initializer:
        constants[tensor.name] = _onnx_constant(tensor)
    for node in graph.node:
        axis = 0
        for attribute in node.attribute:
            if attribute.name == "axis":
                axis = attribute.i
            elif attribute.name == "value" and node.op_type == "Constant":
                constants |= dict.fromkeys(node.output, _onnx_constant(attribute.t))
            elif attribute.name == "value_int":
                constants |= dict.fromkeys(node.output, Constant((), attribute.i))
            for inner in (attribute.g, *attribute.graphs):
                yield from _onnx_ops(inner, constants)
        yield Op(node.op_type, tuple(node.input), tuple(node.output), axis)


def _onnx_constant(tensor: Any) -> Constant:
    import math

    import onnx

    shape = tuple(tensor.dims)
    single = math.prod(shape) == 1 and tensor.data_location != onnx.TensorProto.EXTERNAL
    whole = tensor.data_type in {onnx.TensorProto.INT64, onnx.TensorProto.INT32}
    return Constant(shape, int(onnx.numpy_helper.to_array(tensor).item()) if single and whole else None)


def uses_in_openvino(model: Any) -> list[Use]:
    """Return the uses of an ov.Model's inputs, in their order."""
    constants: dict[str, Constant] = {}
    ops = []
    for node in model.get_ordered_ops():
        outputs = tuple(f"{node.get_name()}:{index}" for index in range(node.get_output_size()))
        if node.get_type_name() == "Constant":
            single = node.get_element_type().is_integral() and node.get_byte_size() <= 8
            value = int(node.data.item()) if single and node.data.size == 1 else None
            constants[outputs[0]] = Constant(tuple(node.shape), value)
        reads = [port.get_source_output() for port in node.inputs()]
        inputs = tuple(f"{port.get_node().get_name()}:{port.get_index()}" for port in reads)
        axis = constants[inputs[2]].value or 0 if len(inputs) > 2 and inputs[2] in constants else 0
        ops.append(Op(node.get_type_name(), inputs, outputs, axis))
    names = [f"{port.get_node().get_name()}:{port.get_index()}" for port in model.inputs]
    found = uses_of(names, ops, constants)
    return [found[name] for name in names]


def uses_in_tflite(interpreter: Any) -> list[Use]:
    """Return the uses of a .tflite file's inputs, in their order."""
    # No public call gives the operators; the package's own analyser and quantiser use this one.
    nodes = interpreter._get_ops_details()  # noqa: SLF001
    made = {int(tensor) for node in nodes for tensor in node["outputs"]}
    ends = [entry["index"] for entry in interpreter.get_input_details()]
    constants = {
        str(entry["index"]): Constant(tuple(map(int, entry["shape"])))
        for entry in interpreter.get_tensor_details()
        if entry["index"] not in made and entry["index"] not in ends
    }
    ops = [Op(str(n["op_name"]), tuple(map(str, n["inputs"])), tuple(map(str, n["outputs"]))) for n in nodes]
    found = uses_of([str(index) for index in ends], ops, constants)
    return [found[str(index)] for index in ends]


def uses_in_program(program: Any, names: Sequence[str]) -> dict[str, Use]:
    """Return the uses of a torch ExportedProgram's user inputs."""
    constants: dict[str, Constant] = {}
    ops = []
    for node in program.graph.nodes:
        if node.op == "placeholder" and node.name not in names:
            shape = getattr(node.meta.get("val"), "shape", ())
            constants[node.name] = Constant(tuple(size for size in shape if isinstance(size, int)))
        elif node.op == "call_function":
            reads = tuple(getattr(value, "name", "") for value in node.args)
            ops.append(Op(str(node.target), reads, (node.name,)))
    return uses_of(names, ops, constants)
