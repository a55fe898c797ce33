"""Open exported programs (.pt2) that may come from anywhere.

`torch.export.load` runs what it reads: it unpickles tensors and constants, falls back to an unrestricted unpickler,
evaluates shape expressions through sympy, looks operators up by attribute on the torch module (`torch.os.system`
included), imports modules that a tree description names, and loads AOTInductor's shared objects (torch 2.13,
`torch/_export/serde/serialize.py` and `torch/export/pt2_archive/_package.py`). So the archive is audited first, through
torch's own archive reader so that both see the same bytes, and only programs of plain operators, plain tensors and
plain shape arithmetic are loaded, with torch's unpickler held to weights only.
"""

from __future__ import annotations

import json
import os
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgebench.backends.boundary import MAX_FILE_BYTES, check_file, refusals
from edgebench.backends.inputs import ModelInput
from edgebench.errors import BackendError

if TYPE_CHECKING:
    from torch.export import ExportedProgram

MAX_ENTRIES = 100_000
MAX_JSON_BYTES = 256 << 20
_FORCE_WEIGHTS_ONLY = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"

_ENTRY = re.compile(
    r"^(archive_format|archive_version|byteorder|version|\.data/\w+|\.format_version|\.storage_alignment"
    r"|data/(weights|constants)/[\w.\-]+|data/sample_inputs/[\w.\-]+\.pt|models/[\w.\-]+\.json|extra/.*)$"
)
_OPERATOR = re.compile(
    r"^(torch\.ops\.(aten|prims|quantized|quantized_decomposed|torchvision)\.(?!__)(?!from_file\b)\w+(\.(?!__)\w+)?"
    r"|torch\.ops\.higher_order\.(wrap_with_set_grad_enabled|wrap_with_autocast|cond|scan)"
    r"|torch\.sym_(int|float|max|min|not|ite|sum)"
    r"|_operator\.(add|sub|mul|floordiv|truediv|mod|pow|neg|eq|ne|lt|le|gt|ge|and_|or_|not_|getitem)"
    r"|math\.(ceil|floor|trunc|sqrt|prod))$"
)
_FUNCTIONS = frozenset(
    {
        *(
            "Symbol",
            "Integer",
            "Rational",
            "Float",
            "positive",
            "nonnegative",
            "integer",
            "real",
            "finite",
            "precision",
        ),
        *("Add", "Mul", "Pow", "Max", "Min", "Abs", "Mod", "PythonMod", "FloorDiv", "CleanDiv", "CeilDiv", "Where"),
        *("ModularIndexing", "PowByNatural", "FloatPow", "FloatTrueDiv", "IntTrueDiv", "Identity", "ToFloat"),
        *("CeilToInt", "FloorToInt", "TruncToFloat", "TruncToInt", "RoundToInt", "RoundDecimal"),
        *("Equality", "Unequality", "StrictLessThan", "LessThan", "StrictGreaterThan", "GreaterThan"),
        *("Eq", "Ne", "Lt", "Le", "Gt", "Ge", "And", "Or", "Not", "true", "false", "True", "False", "oo", "int_oo"),
        *("Piecewise", "ExprCondPair"),
    }
)
_EXPRESSION = re.compile(r"^(?:'[a-z]+\d+'|[A-Za-z_]\w*|\d+(?:\.\d+)?|[\s,()=+*<>/-])*$")
_NAME = re.compile(r"(?<!')\b[A-Za-z_]\w*")
_SYMBOL = re.compile(r"^[a-z]{1,3}\d+$")
_TREE_TYPES = frozenset({None, "builtins.tuple", "builtins.list", "builtins.dict"})


def load_program(path: Path) -> ExportedProgram:
    """Audit and load an exported program; BackendError says what it holds that is not plain."""
    check_file(path)
    audit(path)
    import torch

    before = os.environ.get(_FORCE_WEIGHTS_ONLY)
    os.environ[_FORCE_WEIGHTS_ONLY] = "1"
    try:
        with refusals("torch", "to load", path, "export the program again with this torch"):
            return torch.export.load(path)
    finally:
        if before is None:
            del os.environ[_FORCE_WEIGHTS_ONLY]
        else:
            os.environ[_FORCE_WEIGHTS_ONLY] = before


def inputs_of(program: ExportedProgram) -> list[ModelInput]:
    """Return a program's user inputs in order; free dimensions are None."""
    values = {node.name: node.meta.get("val") for node in program.graph.nodes if node.op == "placeholder"}
    found = []
    for name in program.graph_signature.user_inputs:
        value = values.get(str(name))
        if value is None or not hasattr(value, "shape"):
            raise BackendError(
                f"input {str(name)[:80]!r} of the exported program is no tensor: export it with tensors only"
            )
        shape = tuple(size if isinstance(size, int) else None for size in value.shape)
        found.append(ModelInput(str(name), shape, str(value.dtype).removeprefix("torch.")))
    return found


def audit(path: Path) -> None:
    """Raise BackendError unless loading the archive executes nothing but tensor reading and plain operators."""
    _check_sizes(path)
    from torch.export.pt2_archive._package import PT2ArchiveReader

    with refusals("torch", "to read", path, "export the program again"), PT2ArchiveReader(os.fspath(path)) as reader:
        for name in reader.get_file_names():
            if not _ENTRY.match(name):
                raise _unsafe(path, f"the entry {name[:80]!r}")
            if name.startswith("models/"):
                for what in _unsafe_in_program(json.loads(reader.read_bytes(name))):
                    raise _unsafe(path, what)
            elif name.startswith("data/") and name.endswith("_config.json"):
                for what in _unsafe_in_payload(json.loads(reader.read_bytes(name))):
                    raise _unsafe(path, what)


def _check_sizes(path: Path) -> None:
    with refusals("torch", "to read", path, "export the program again"), zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
    if len(entries) > MAX_ENTRIES or sum(entry.file_size for entry in entries) > MAX_FILE_BYTES:
        raise BackendError(f"{path} unpacks to more than a model may hold: use a smaller one")
    if any(entry.filename.endswith(".json") and entry.file_size > MAX_JSON_BYTES for entry in entries):
        raise BackendError(f"{path} describes its program in more than {MAX_JSON_BYTES >> 20} MiB: use a smaller one")


def _unsafe(path: Path, what: str) -> BackendError:
    return BackendError(
        f"{path} holds {what}, which torch would execute while loading: "
        "export it as plain operators and tensors, or as ONNX"
    )


def _unsafe_in_payload(config: Any) -> Iterator[str]:
    for name, payload in config["config"].items():
        if payload["use_pickle"] is not False:
            yield f"the pickled tensor {name[:80]!r}"
        if not re.fullmatch(r"(weight|tensor)_\d+", str(payload["path_name"])):
            yield f"the constant object {str(payload['path_name'])[:80]!r}"


def _unsafe_in_program(program: Any) -> Iterator[str]:
    """Yield what is not plain, wherever in the JSON it stands: the walk does not rely on the schema's structure."""
    pending = [program]
    while pending:
        value = pending.pop()
        if isinstance(value, list):
            pending.extend(value)
        elif isinstance(value, dict):
            pending.extend(value.values())
            yield from filter(None, (_unsafe_in_field(value, key, inner) for key, inner in value.items()))


def _unsafe_in_field(holder: dict[str, Any], key: str, value: Any) -> str | None:
    if key in {"target", "as_operator"} and isinstance(value, str):
        # A signature's buffer and constant targets are names of tensors; only a node has inputs and outputs.
        is_name = key == "target" and "inputs" not in holder and "outputs" not in holder
        return None if is_name or _OPERATOR.match(value) else f"the operator {value[:80]!r}"
    if key == "as_custom_obj" and value is not None:
        return "a custom object"
    if key == "expr_str" and not _is_plain_expression(value):
        return f"the shape expression {str(value)[:80]!r}"
    if key in {"in_spec", "out_spec"} and not _is_plain_tree(value):
        return "a tree of other types than tuple, list and dict"
    return None


def _is_plain_expression(text: Any) -> bool:
    if not isinstance(text, str) or len(text) > 10_000 or not _EXPRESSION.match(text):
        return False
    names = _NAME.findall(text)
    return "**" not in text and all(name in _FUNCTIONS or _SYMBOL.match(name) for name in names)


def _is_plain_tree(text: Any) -> bool:
    pending = json.loads(text)[1:] if isinstance(text, str) else [text]
    while pending:
        node = pending.pop()
        if not isinstance(node, dict) or node.get("type") not in _TREE_TYPES or "__enum__" in str(node.get("context")):
            return False
        pending.extend(node.get("children_spec", []))
    return True
