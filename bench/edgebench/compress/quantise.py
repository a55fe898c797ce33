"""INT8 by each runtime's own quantiser: torch (dynamic and static), OpenVINO (NNCF), ONNX Runtime, and QAT (NNCF)."""

from __future__ import annotations

import copy
import io
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgebench.compress.boundary import needed, refusals
from edgebench.compress.quiet import quiet
from edgebench.compress.samples import in_order
from edgebench.compress.slim import slim_onnx
from edgebench.errors import CompressionError
from edgebench_suites.recipes import train

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from torch import nn

    from edgebench.compress.samples import Sample
    from edgebench_suites.data.dataset import Dataset
    from edgebench_suites.training import Training

    F32 = npt.NDArray[np.float32]

# As ONNX Runtime documents for TensorRT.
_FOR_ENGINE = {"ActivationSymmetric": True, "WeightSymmetric": True, "AddQDQPairToWeight": True, "QuantizeBias": False}
# The first opset whose quantising operators take a scale a channel, and the most that a protobuf file can hold.
_PER_CHANNEL = 13
_MOST_INSIDE = 2**31 - 2**24
# From this version of the format on weights need not be inputs, which the converter takes for granted.
_NAMED_WEIGHTS = 4


def dynamic(model: nn.Module) -> nn.Module:
    """Return a copy whose linear layers hold INT8 weights and quantise activations as they come (the study's PTQ)."""
    import torch

    with quiet():
        from torch.ao.quantization import quantize_dynamic

        _use_engine("x86", "qnnpack")
        result: nn.Module = quantize_dynamic(copy.deepcopy(model).eval(), {torch.nn.Linear}, dtype=torch.qint8)
    return result.eval()


def static_torch(model: nn.Module, calibration: Sequence[F32]) -> nn.Module:
    """Return an INT8 copy by torch's FX graph mode with the x86 engine's defaults, calibrated on [n, 3, H, W] batches.

    An empty `calibration` gives the same network with scales of 1, to load a state dict into. torch marks this mode
    as deprecated in favour of torchao's pt2e; it is what runs INT8 in eager torch today.
    """
    import torch

    with quiet():
        from torch.ao.quantization import get_default_qconfig_mapping
        from torch.ao.quantization.quantize_fx import convert_fx, prepare_fx

        _use_engine("x86")
        example = (torch.zeros(1, 3, 64, 64),)
        prepared = prepare_fx(copy.deepcopy(model).eval(), get_default_qconfig_mapping("x86"), example)
        with torch.inference_mode():
            for batch in calibration:
                prepared(torch.from_numpy(batch))
        converted: nn.Module = convert_fx(prepared)
    return converted.eval()


def _use_engine(*wanted: str) -> None:
    """Set the first engine that this torch has. What is stored is packed for none: any engine can load it.

    x86 chooses oneDNN or fbgemm by the CPU. On Arm torch has qnnpack: its linear layers agree with x86's, its padded
    convolutions did not when tried (on x86), so static INT8 is not left to it.
    """
    import torch

    engine = next((name for name in wanted if name in torch.backends.quantized.supported_engines), None)
    if engine is None:
        raise CompressionError(
            f"this torch has no {wanted[0]!r} engine for INT8: measure it with onnxruntime, openvino or litert"
        )
    torch.backends.quantized.engine = engine


def static_openvino(ov_model: Any, calibration: Sequence[Sample]) -> Any:
    """Return an INT8 ``openvino.Model`` by NNCF's post-training quantisation, calibrated on samples.

    Weights are symmetric per channel, activations by NNCF's default preset with fast bias correction. What NNCF leaves
    in floating point, as it does squeeze-and-excitation blocks, gets INT8 weights as well and keeps FP32 arithmetic.
    Needs no compiler. Dynamic dimensions of `ov_model` stay dynamic. Raises CompressionError.
    """
    if not calibration:
        raise CompressionError("static quantisation needs calibration images: set calibration_images to 1 or more")
    names = [min(port.names, default="") for port in ov_model.inputs]
    with nncf_quietly() as nncf:
        dataset = nncf.Dataset([in_order(sample, names) for sample in calibration])
        quantised = nncf.quantize(ov_model, dataset, subset_size=len(calibration))
        return nncf.compress_weights(quantised, mode=nncf.CompressWeightsMode.INT8_SYM)


@contextmanager
def nncf_quietly() -> Iterator[Any]:
    """Import NNCF quietly and map what it raises; its log and progress bars are silenced."""
    import logging

    with needed("NNCF", "openvino"), quiet():
        import nncf
    logger = logging.getLogger("nncf")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        # Its progress bars go to whatever sys.stdout is, where a report may be going.
        with refusals("NNCF cannot quantise this model"), quiet(), redirect_stdout(io.StringIO()):
            yield nncf
    finally:
        logger.setLevel(level)


def static_onnx(src: Path, dst: Path, calibration: Sequence[Sample], *, for_engine: bool = False) -> None:
    """Write `dst`, the INT8 form of the ONNX file `src`: QDQ, per channel, U8 activations and S8 weights.

    The settings ONNX Runtime advises for x86 with VNNI; calibrated with minimum and maximum over samples. Without VNNI
    weights take 7 bits (`reduce_range`), as 8 would saturate there. Batch norms that no convolution took in
    (DenseNet's) stay in FP32, for want of an INT8 kernel. `for_engine` writes the graph that TensorRT takes: symmetric
    S8 activations, weights and biases in FP32 with their quantiser beside them.
    Raises CompressionError.
    """
    with needed("onnxruntime and onnx", "onnxruntime"):
        import onnx
        from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
        from onnxruntime.quantization.registry import QDQRegistry, QLinearOpsRegistry
        from onnxruntime.quantization.shape_inference import quant_pre_process
    if not calibration:
        raise CompressionError("static quantisation needs calibration images: set calibration_images to 1 or more")

    class Reader(CalibrationDataReader):  # type: ignore[misc]  # onnxruntime ships no types
        def __init__(self, names: Sequence[str]) -> None:
            self._feeds = (dict(zip(names, in_order(sample, names), strict=True)) for sample in calibration)

        def get_next(self) -> dict[str, Any] | None:
            return next(self._feeds, None)

    with (
        refusals(f"{src}: ONNX Runtime cannot quantise it"),
        tempfile.TemporaryDirectory() as scratch,
        quiet(),
    ):
        prepared = Path(scratch) / "prepared.onnx"
        # The symbolic pass only serves transformers; ONNX's own inference and folding are enough for these nets.
        quant_pre_process(_in_one_file(src, Path(scratch)), prepared, skip_symbolic_shape=True)
        quantize_static(
            prepared,
            dst,
            Reader(_inputs(prepared)),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            reduce_range=not (for_engine or _has_vnni()),
            activation_type=QuantType.QInt8 if for_engine else QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            extra_options=_FOR_ENGINE if for_engine else {},
            op_types_to_quantize=sorted({*QDQRegistry, *QLinearOpsRegistry} - {"BatchNormalization"}),
        )
        model = onnx.load(dst)
        if not for_engine:
            slim_onnx(model)
            onnx.save(model, dst)


def _in_one_file(src: Path, scratch: Path) -> Path:
    """Return the file as the quantiser takes it: its weights inside, and an opset that has scales per channel."""
    import onnx

    model = onnx.load(src, load_external_data=False)
    kept = (entry for tensor in model.graph.initializer for entry in tensor.external_data if entry.key == "length")
    if (outside := sum(int(entry.value) for entry in kept)) >= _MOST_INSIDE:
        raise CompressionError(
            f"{src.name}: its weights take {outside / 1e9:.1f} GB, and ONNX Runtime's quantiser takes what fits in one "
            "file, 2 GB: measure it as it is"
        )
    opset = next((item.version for item in model.opset_import if item.domain in {"", "ai.onnx"}), _PER_CHANNEL)
    if opset >= _PER_CHANNEL and not outside:
        return src
    model = onnx.load(src)
    if opset < _PER_CHANNEL:
        model.ir_version = max(model.ir_version, _NAMED_WEIGHTS)
        with refusals(f"{src.name}: is of opset {opset}, and INT8 per channel needs {_PER_CHANNEL}; raising it failed"):
            model = onnx.version_converter.convert_version(model, _PER_CHANNEL)
    whole = scratch / "whole.onnx"
    onnx.save(model, whole)
    return whole


def _inputs(path: Path) -> list[str]:
    import onnx

    graph = onnx.load(path, load_external_data=False).graph
    constants = {tensor.name for tensor in graph.initializer}
    return [entry.name for entry in graph.input if entry.name not in constants]


def _has_vnni() -> bool:
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace")
    except OSError:
        return False
    return "avx512_vnni" in flags or "avx_vnni" in flags


def qat(model: nn.Module, dataset: Dataset, calibration: Sequence[F32], training: Training) -> Any:
    """Quantisation-aware training: fake quantisers by NNCF, trained, as INT8 ``openvino.Model`` ([?, 3, ?, ?] input).

    `model` is not changed. Read `qat_note` for what is slower without a C++ compiler. Raises CompressionError.
    """
    import torch

    with nncf_quietly() as nncf:
        import openvino

        batches = [torch.from_numpy(array) for array in calibration]
        simulated = nncf.quantize(copy.deepcopy(model).eval(), nncf.Dataset(batches), subset_size=max(1, len(batches)))
        train(simulated, dataset, training)
        example = torch.zeros(1, 3, training.size, training.size)
        return openvino.convert_model(simulated, example_input=example, input=[-1, 3, -1, -1])


def qat_note() -> str | None:
    """Say what QAT lacks here, or None: NNCF compiles its quantisers once, and falls back on slower ones."""
    missing = [
        name for name, here in (("a C++ compiler (g++)", _compiler()), ("ninja", shutil.which("ninja"))) if not here
    ]
    if not missing:
        return None
    return f"quantisation-aware training runs on NNCF's slower reference functions: {' and '.join(missing)} not found"


def _compiler() -> str | None:
    return shutil.which(os.environ.get("CXX", "c++")) or shutil.which("g++")
