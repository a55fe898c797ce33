"""What a user's model file asks for: its inputs, read without compiling or executing it."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from edgebench.backends.boundary import check_file, refusals
from edgebench.backends.families import suffixes
from edgebench.backends.inputs import ModelInput
from edgebench.backends.litert import declared_inputs as litert_inputs
from edgebench.backends.litert import open_file
from edgebench.backends.onnxruntime import inputs_of_file
from edgebench.backends.openvino import declared_inputs, read_model
from edgebench.backends.pt2 import inputs_of, load_program
from edgebench.backends.reader import reader_of
from edgebench.backends.uses import uses_in_onnx, uses_in_openvino, uses_in_program, uses_in_tflite
from edgebench.errors import BackendError
from edgebench.machine.advice import extra


def format_of(path: Path) -> str:
    """Return the format of a model file by its suffix; raises BackendError for one that nothing opens."""
    if (known := suffixes().get(path.suffix.lower())) is None:
        raise BackendError(f"{path} is no model that edgebench opens: give one of {', '.join(suffixes())}")
    return known


def read_inputs(path: Path) -> list[ModelInput]:
    """Return name, shape, dtype and use of every input of a model file (.onnx, .xml …); None: a free dimension.

    The names are those that every backend uses for this file. Raises BackendError with one sentence for files that
    are missing, truncated, of another kind, or (.pt2) would execute code. A hostile file may still take a native
    parser down: call this in a process of its own.
    """
    kind = format_of(path)
    check_file(path)
    if (reader := reader_of(kind)) is not None:
        with refusals(kind, "to read", path, "export the model again"):
            return reader.inputs(path)
    if kind == "pt2":
        if find_spec("torch") is None:
            raise BackendError(f"torch is needed to read {path}: {extra('torch')}")

        program = load_program(path)
        declared = inputs_of(program)
        uses = uses_in_program(program, [item.name for item in declared])
        return [item._replace(use=uses[item.name]) for item in declared]
    if kind == "onnx" and find_spec("onnx") is not None:
        return _onnx_inputs(path)
    if kind == "onnx" and find_spec("openvino") is None and find_spec("onnxruntime") is not None:
        return inputs_of_file(path)  # a board has nothing else
    if kind == "tflite" and find_spec("ai_edge_litert") is not None:
        with refusals("litert", "to describe the inputs of", path):
            interpreter = open_file(path, 1)
            pairs = zip(litert_inputs(interpreter), uses_in_tflite(interpreter), strict=True)
            return [item._replace(use=use) for item, use in pairs]
    if find_spec("openvino") is None:
        raise BackendError(f"openvino is needed to read {path}: {extra('openvino')}")

    model = read_model(path)
    with refusals("openvino", "to describe the inputs of", path):
        pairs = zip(declared_inputs(model), uses_in_openvino(model), strict=True)
        return [item._replace(use=use) for item, use in pairs]


def _onnx_inputs(path: Path) -> list[ModelInput]:
    import onnx

    with refusals("onnx", "to read", path, "export the model again"):
        # External data is left where it is: only the graph's own text is read here.
        graph = onnx.load(path, load_external_data=False).graph
        constants = {item.name for item in graph.initializer} | {item.values.name for item in graph.sparse_initializer}
        found = []
        for item in graph.input:
            if item.name in constants:
                continue
            if not item.type.HasField("tensor_type"):
                raise BackendError(f"input {item.name[:80]!r} of {path} is no tensor: edgebench feeds tensors only")
            tensor = item.type.tensor_type
            if not tensor.HasField("shape"):
                raise BackendError(f"input {item.name[:80]!r} of {path} has no known rank: export it with a shape")
            shape = tuple(
                size.dim_value if size.HasField("dim_value") and size.dim_value >= 0 else None
                for size in tensor.shape.dim
            )
            dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type).name
            found.append(ModelInput(item.name, shape, dtype))
        uses = uses_in_onnx(graph, [item.name for item in found])
    if not found:
        raise BackendError(f"{path} declares no input: export the model again, with its inputs")
    return [item._replace(use=uses[item.name]) for item in found]
