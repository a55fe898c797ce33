"""ncnn's pair of files, read without ncnn: the graph as text (`.param`), the weights as they lie one after the other.

Format: https://github.com/Tencent/ncnn/wiki/param-and-model-file-structure. A graph begins with a magic number and the
counts of layers and blobs; each layer is a line: type, name, counts, blobs, then ``key=value``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from edgebench.backends.inputs import ModelInput
from edgebench.errors import BackendError

_MAGIC = "7767517"
_MOST_BYTES = 64 << 20
# What stands before a layer's weights says how they are held.
_HALF_TAG = b"\x47\x6b\x30\x01"
# Layers whose parameter 8 says that they compute in integers.
MULTIPLYING = frozenset(
    ["Convolution", "ConvolutionDepthWise", "InnerProduct", "Gemm", "MultiHeadAttention", "LSTM", "GRU", "RNN", "Embed"]
)
_INT8_TERM = {"Gemm": "18", "MultiHeadAttention": "18", "Embed": "18"}


@dataclass(frozen=True, slots=True)
class LayerLine:
    """One line of the graph."""

    type: str
    name: str
    takes: tuple[str, ...] = ()
    gives: tuple[str, ...] = ()
    values: dict[str, str] = field(default_factory=dict)

    @property
    def quantised(self) -> bool:
        """Whether it multiplies integers."""
        if self.type not in MULTIPLYING:
            return False
        return self.values.get(_INT8_TERM.get(self.type, "8"), "0") != "0"


def weights_of(path: Path) -> Path:
    """Return the file of weights that belongs to a graph: the same name with `.bin`."""
    return path.with_suffix(".bin")


def graph_for(folder: Path, size: int) -> Path:
    """Return where an artifact keeps the graph that was converted at images of so many pixels."""
    return folder / f"model-{size}.ncnn.param"


def graph_of(folder: Path, size: int) -> Path:
    """Return the graph of an artifact that takes images of so many pixels: one that stands alone takes all."""
    only = list(folder.glob("*.param"))
    return only[0] if len(only) == 1 else graph_for(folder, size)


def read_graph(path: Path) -> list[LayerLine]:
    """Return the layers of a `.param` file; raises OSError, BackendError where it is none."""
    if path.stat().st_size > _MOST_BYTES:
        raise BackendError(f"{path} is too large for the text of a graph: give the .param file, not the weights")
    try:
        magic, counts, *lines = path.read_text(encoding="utf-8").splitlines()
        layers, _ = map(int, counts.split())
        found = [_layer(line) for line in lines if line.strip()] if magic.strip() == _MAGIC else []
    except (ValueError, IndexError):
        found = []
    if not found:
        raise BackendError(f"{path} is no graph of ncnn: export it again, as pnnx writes it")
    if len(found) != layers:
        raise BackendError(f"{path} has {len(found)} of {layers} layers, it is cut off: export it again")
    return found


def _layer(line: str) -> LayerLine:
    kind, name, takes, gives, *rest = line.split()
    many, more = int(takes), int(gives)
    if min(many, more) < 0 or len(rest) < many + more:
        raise ValueError(line)
    pairs = dict(item.split("=", 1) for item in rest[many + more :])
    return LayerLine(kind, name, tuple(rest[:many]), tuple(rest[many : many + more]), pairs)


def inputs(path: Path) -> list[ModelInput]:
    """Return the inputs of a graph as ``[1, channels, height, width]``, None where it does not tell a size.

    ncnn knows no batch, and most converters write no sizes at all.
    """
    found = []
    for layer in read_graph(path):
        if layer.type == "Input":
            sizes = [_size(layer.values.get(key)) for key in ("2", "1", "0")]
            known = [size for size in sizes if size is not None]
            # A vector or a matrix has fewer sizes than an image.
            shape = (1, *(known if 0 < len(known) < 3 else sizes))
            found += [ModelInput(name, shape, "float32") for name in layer.gives]
    if not found:
        raise BackendError(f"{path} declares no input: export the model again, with its inputs")
    return found


def _size(text: str | None) -> int | None:
    return int(text) if text is not None and text.isdigit() and int(text) else None


def precision(path: Path) -> str:
    """Return ``int8`` of a quantised graph, else what its first weights are held in: ``fp16`` or ``fp32``."""
    if any(layer.quantised for layer in read_graph(path)):
        return "int8"
    with weights_of(path).open("rb") as stream:
        return "fp16" if stream.read(4) == _HALF_TAG else "fp32"


def others(path: Path) -> tuple[str, ...]:
    """Return the name of the file of weights."""
    return (weights_of(path).name,)
