"""FP16 weights: a file of half the size, whatever arithmetic the runtime then chooses for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgebench.compress.boundary import needed, refusals
from edgebench.compress.quiet import quiet

# In the metadata of an ONNX file whose weights were halved: ONNX Runtime shows metadata, but no weight's type.
ONNX_MARK = ("edgebench.weights", "fp16")


def half_onnx(src: Path, dst: Path) -> None:
    """Write `dst`, the FP16 form of the ONNX file `src`, by ONNX Runtime's converter; inputs and outputs stay FP32.

    Operators without an FP16 form (the converter's own list) keep FP32 between casts, and weights beyond FP16's range
    are clipped to it. Raises CompressionError.
    """
    with needed("onnxruntime and onnx", "onnxruntime"):
        import onnx
        from onnxruntime.transformers.float16 import convert_float_to_float16
    with refusals(f"{src}: cannot be written in FP16"):
        with quiet():
            model: Any = convert_float_to_float16(onnx.load(src), keep_io_types=True)
        mark = model.metadata_props.add()
        mark.key, mark.value = ONNX_MARK
        onnx.save(model, dst)
