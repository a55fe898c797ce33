"""INT8 and FP16 of .tflite files by LiteRT's own quantiser (ai-edge-quantizer)."""

from __future__ import annotations

import io
import os
import tempfile
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgebench.compress.boundary import needed, refusals
from edgebench.compress.quiet import quiet
from edgebench.compress.samples import in_order
from edgebench.errors import CompressionError

if TYPE_CHECKING:
    from edgebench.compress.samples import Sample


def dynamic_tflite(src: Path, dst: Path) -> None:
    """Write the dynamic-range form of an FP32 .tflite: INT8 weights per channel, activations quantised as they come.

    Raises CompressionError.
    """

    def configure(tool: Any, qtyping: Any) -> None:
        tool.add_dynamic_config(regex=".*", operation_name=qtyping.TFLOperationName.ALL_SUPPORTED, num_bits=8)

    _quantise(src, dst, configure)


def static_tflite(src: Path, dst: Path, calibration: Sequence[Sample]) -> None:
    """Write the full-integer form of an FP32 .tflite: INT8 weights (per channel) and activations (per tensor).

    Activations get the smallest and largest values seen over `calibration`. Input
    and output stay float32, as with the other runtimes: one operator at each end converts. Raises CompressionError.
    """
    if not calibration:
        raise CompressionError("static quantisation needs calibration images: set calibration_images to 1 or more")

    def configure(tool: Any, qtyping: Any) -> None:
        names = qtyping.TFLOperationName
        tool.add_static_config(regex=".*", operation_name=names.ALL_SUPPORTED, activation_num_bits=8, weight_num_bits=8)
        for end in (names.INPUT, names.OUTPUT):
            tool.update_quantization_recipe(regex=".*", operation_name=end, algorithm_key="no_quantize")

    _quantise(src, dst, configure, calibration)


def half_tflite(src: Path, dst: Path) -> None:
    """Write an FP32 .tflite with its weights as float16, which the runtime expands again. Raises CompressionError."""

    def configure(tool: Any, qtyping: Any) -> None:
        tool.update_quantization_recipe(
            regex=".*",
            operation_name=qtyping.TFLOperationName.ALL_SUPPORTED,
            op_config=qtyping.OpQuantizationConfig(
                weight_tensor_config=qtyping.TensorQuantizationConfig(num_bits=16, dtype=qtyping.TensorDataType.FLOAT),
                compute_precision=qtyping.ComputePrecision.FLOAT,
                explicit_dequantize=True,
            ),
            algorithm_key="float_casting",
        )

    _quantise(src, dst, configure)


def _quantise(src: Path, dst: Path, configure: Callable[[Any, Any], None], calibration: Sequence[Sample] = ()) -> None:
    with needed("ai-edge-quantizer", "tflite"):
        from ai_edge_quantizer import qtyping, quantizer
    with (
        refusals(f"{src.name}: LiteRT's quantiser cannot quantise it"),
        tempfile.TemporaryDirectory() as scratch,
        quiet(),
        # Progress bars and reports go to wherever sys.stdout and sys.stderr point, where a report may be going.
        redirect_stdout(io.StringIO()),
        redirect_stderr(io.StringIO()),
    ):
        source = _signed(src, Path(scratch)) if calibration else src
        tool = quantizer.Quantizer(str(source))
        configure(tool, qtyping)
        statistics = _calibrate(tool, source, calibration) if calibration else None
        made = tool.quantize(statistics, enable_progress_bar=False, enable_progress_report=False)
        dst.write_bytes(made.quantized_model)


def _signed(src: Path, scratch: Path) -> Path:
    """Return the file with a signature, which the quantiser calibrates by: older converters wrote none."""
    from ai_edge_litert import schema_py_generated as schema
    from ai_edge_quantizer.utils import tfl_flatbuffer_utils

    model: Any = tfl_flatbuffer_utils.read_model(str(src))
    if model.signatureDefs:
        return src
    graph = model.subgraphs[0]
    signature = schema.SignatureDefT()
    signature.signatureKey, signature.subgraphIndex = "serving_default", 0
    for ends, tensors in (("inputs", graph.inputs), ("outputs", graph.outputs)):
        maps = []
        for place, tensor in enumerate(tensors):
            entry = schema.TensorMapT()
            entry.name, entry.tensorIndex = f"{ends}_{place}", int(tensor)
            maps.append(entry)
        setattr(signature, ends, maps)
    model.signatureDefs = [signature]
    target = scratch / src.name
    tfl_flatbuffer_utils.write_model(model, str(target))
    return target


def _calibrate(tool: Any, src: Path, calibration: Sequence[Sample]) -> Any:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(src))
    signatures = list(interpreter.get_signature_list())
    if len(signatures) != 1:
        raise CompressionError(
            f"{src.name}: has {len(signatures)} signatures, calibration knows files of one: choose another variant"
        )
    # A signature has names of its own for the graph's inputs.
    ends = interpreter.get_signature_runner(signatures[0]).get_input_details()
    names = {entry["index"]: name for name, entry in ends.items()}
    inputs = [entry for entry in interpreter.get_input_details() if entry["index"] in names]
    tensors = [str(entry["name"]) for entry in inputs]
    keys = [names[entry["index"]] for entry in inputs]
    feeds = [dict(zip(keys, in_order(sample, tensors), strict=True)) for sample in calibration]
    return tool.calibrate({signatures[0]: feeds}, num_threads=len(os.sched_getaffinity(0)))
