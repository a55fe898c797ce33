"""The operators suite: single layers at the shapes that MobileNetV2 and ResNet-50 give them at batch 1.

A cell's operations and bytes are those of the algorithm, not of an implementation: a multiply-accumulate is two
operations, each input, weight and output element is moved once, in the precision it has in memory.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

PRECISIONS = ("fp32", "int8")
# The two that say what a machine can do at most.
PRODUCT, STREAM = "matmul-large", "triad"
# The memory stream of a runtime that has no triad of one kernel: STREAM's copy.
COPY = "copy-memory"
_BYTES = {"fp32": 4, "int8": 1}


@dataclass(frozen=True, slots=True)
class Operator:
    """One operator at one shape (NCHW; matrices row by row).

    `operations` counts one pass, None where nothing is computed. `weights` is laid out as torch lays it out:
    (out, in / groups, height, width) or (out, in).
    """

    name: str
    title: str
    kind: Literal["conv", "matmul", "pool", "quantise", "copy", "triad"]
    shape: tuple[int, ...]
    output: tuple[int, ...]
    weights: tuple[int, ...] | None = None
    kernel: int = 1
    stride: int = 1
    groups: int = 1
    operations: int | None = None
    precisions: tuple[str, ...] = PRECISIONS

    def bytes_moved(self, precision: str) -> int:
        """Return the bytes one pass moves at least, in a precision of `PRECISIONS` (KeyError for another).

        `quantise` in int8 reads fp32 and writes 8 bits, then reads 8 bits and writes fp32; in fp32 it rounds to the
        same grid and stays fp32 (fake quantisation).
        """
        size = _BYTES[precision]
        elements = math.prod(self.shape)
        if self.kind == "quantise":
            return 2 * elements * (4 + 1) if precision == "int8" else 2 * elements * size
        if self.kind == "triad":
            return 3 * elements * size
        return size * (elements + math.prod(self.weights or (0,)) + math.prod(self.output))


def _conv(name: str, title: str, channels: int, size: int, groups: int) -> Operator:
    shape = (1, channels, size, size)
    weights = (channels, channels // groups, 3, 3)
    return Operator(
        name,
        title,
        "conv",
        shape,
        shape,
        weights,
        kernel=3,
        groups=groups,
        operations=2 * math.prod(shape) * math.prod(weights[1:]),
    )


def _copy(name: str, title: str, elements: int) -> Operator:
    return Operator(name, title, "copy", (1, elements), (1, elements))


_ALL = (
    _conv("conv3x3", "convolution 3 x 3, 64 channels at 56 x 56 (ResNet-50, second stage)", 64, 56, 1),
    _conv("depthwise3x3", "depthwise convolution 3 x 3, 144 channels at 56 x 56 (MobileNetV2)", 144, 56, 144),
    Operator(
        "matmul",
        "matrix product 196 x 1024 by 1024 x 256 (ResNet-50, a pointwise convolution at 14 x 14)",
        "matmul",
        (196, 1024),
        (196, 256),
        (256, 1024),
        operations=2 * 196 * 1024 * 256,
    ),
    # Eight comparisons find the largest of nine; windows at the edge have fewer, which is not subtracted.
    Operator(
        "maxpool",
        "maximum pooling 3 x 3 with stride 2, 64 channels at 112 x 112 (ResNet-50)",
        "pool",
        (1, 64, 112, 112),
        (1, 64, 56, 56),
        kernel=3,
        stride=2,
        operations=8 * 64 * 56 * 56,
    ),
    # Scale and round one way, shift and scale the other: four operations an element.
    Operator(
        "quantise",
        "quantise and dequantise, 144 channels at 56 x 56 (MobileNetV2)",
        "quantise",
        (1, 144, 56, 56),
        (1, 144, 56, 56),
        operations=4 * 144 * 56 * 56,
    ),
    # 64 Ki elements: source and target together are 512 KiB in FP32, inside the L2 of every x86 board we know (an
    # N150 has 2 MiB a cluster). 16 Mi elements: 128 MiB in FP32 and 32 MiB in INT8, above an N150's L2 and its L3 of
    # 6 MiB; a server's L3 may hold it, so its figure there is that cache's bandwidth.
    _copy("copy-cache", "memory copy of 65,536 elements (inside L2)", 1 << 16),
    _copy(COPY, "memory copy of 16,777,216 elements (beyond L2)", 1 << 24),
    # The two that bound what a machine can do, for its roofline: a product large enough to fill every unit, and
    # STREAM's triad a = b + 3 c over 192 MiB (McCalpin 1995; two operations an element, three elements moved).
    Operator(
        PRODUCT,
        "matrix product 1024 x 1024 by 1024 x 1024",
        "matmul",
        (1024, 1024),
        (1024, 1024),
        (1024, 1024),
        operations=2 * 1024**3,
    ),
    Operator(
        STREAM,
        "STREAM triad of 16,777,216 elements (beyond L2)",
        "triad",
        (1, 1 << 24),
        (1, 1 << 24),
        operations=2 << 24,
        precisions=("fp32",),
    ),
)

OPERATORS: dict[str, Operator] = {operator.name: operator for operator in _ALL}
