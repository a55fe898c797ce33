"""From a torch module to a runtime's file, in two phases that links of a chain and ``compress`` benchmarks share."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgebench.artifacts.convert import export
from edgebench.artifacts.convert.engines import EngineSpec, build_engines, has_calibrator, has_flags
from edgebench.artifacts.convert.export import save_ir
from edgebench.artifacts.store import folder_bytes
from edgebench.backends.openvino import read_model
from edgebench.backends.tensorrt import engine_file
from edgebench.compress.half import half_onnx
from edgebench.compress.quantise import static_onnx, static_openvino
from edgebench.compress.quantise_tflite import half_tflite, static_tflite
from edgebench.errors import CompressionError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from edgebench.compress.samples import Sample
    from edgebench_suites.tasks.base import InputInfo

    F32 = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Build:
    """What a build makes: `step` is ``fp16``, ``ptq-static`` or None (FP32); the rest is for engines.

    `shapes` are those of their input, the measured one first; `engine_int8` is the recipe's; `timing_cache` None times
    every tactic anew.
    """

    step: str | None
    shapes: tuple[tuple[int, ...], ...] = ()
    engine_int8: str = "auto"
    timing_cache: Path | None = None

    @property
    def calibrates(self) -> bool:
        """Whether it needs images."""
        return self.step == "ptq-static"


def export_file(module: Any, inputs: Sequence[InputInfo], family: str, target: Path, outputs: Sequence[str]) -> None:
    """Write a torch module as ONNX or OpenVINO IR, free in the dimensions that its inputs say."""
    write = export.to_openvino if family == "openvino" else export.to_onnx
    write(module, inputs, target, outputs)


def build_file(source: Path, target: Path, family: str, build: Build, calibration: Sequence[F32]) -> None:
    """Write `target`, the file of `family` that `build` describes, from an exported file."""
    if family == "tensorrt":
        _build_engines(source, target, build, calibration)
    elif build.step == "fp16":
        halve_file(source, target, family)
    elif build.step == "ptq-static":
        quantise_file(source, target, family, calibration)
    else:
        raise CompressionError(f"there is nothing to build for {family} in FP32: the export is the file it opens")


def quantise_file(source: Path, target: Path, family: str, calibration: Sequence[Sample]) -> None:
    """Write `target`, the static INT8 form of an IR, ONNX or TFLite file."""
    if family == "openvino":
        save_ir(static_openvino(read_model(source), calibration), target)
        return
    if family == "tflite":
        static_tflite(source, target, calibration)
        return

    static_onnx(source, target, calibration)


def halve_file(source: Path, target: Path, family: str) -> None:
    """Write `target`, an IR, ONNX or TFLite file with its weights in FP16."""
    if family == "openvino":
        save_ir(read_model(source), target, half=True)
        return
    if family == "tflite":
        half_tflite(source, target)
        return

    half_onnx(source, target)


def measured_bytes(folder: Path, family: str, shapes: Sequence[tuple[int, ...]]) -> int:
    """Return the bytes a runtime opens of what was built: all files, or the engine of the measured shape."""
    if family == "tensorrt":
        return (folder / engine_file(shapes[0])).stat().st_size
    return folder_bytes(folder)


def _build_engines(source: Path, target: Path, build: Build, calibration: Sequence[F32]) -> None:
    """Write engines into the folder `target`; what the builder cannot do by flags is done to the graph first."""
    precision = {"fp16": "fp16", "ptq-static": "int8", None: "fp32"}[build.step]
    quantised = precision == "int8" and (build.engine_int8 == "qdq" or not has_calibrator())
    if precision == "int8" and build.engine_int8 == "entropy" and not has_calibrator():
        raise CompressionError("this TensorRT has no entropy calibrator: set engine_int8 to auto or qdq")
    with tempfile.TemporaryDirectory() as scratch:
        graph = source
        if quantised:
            graph = Path(scratch, "quantised.onnx")
            static_onnx(source, graph, calibration, for_engine=True)
        elif precision == "fp16" and not has_flags():
            graph = Path(scratch, "half.onnx")
            halve_file(source, graph, "onnx")
        spec = EngineSpec(precision, build.shapes, quantised, build.timing_cache)
        build_engines(graph, target, spec, calibration)
