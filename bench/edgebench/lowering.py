"""From a torch module to a runtime's file, in two phases that links of a chain and ``compress`` benchmarks share."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgebench.errors import CompressionError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    F32 = npt.NDArray[np.float32]

# The family that a family's build starts from, made by the export.
EXPORTS = {"openvino": "openvino", "onnx": "onnx", "tensorrt": "onnx"}
# Families whose unchanged model is built as well: an engine is compiled even in FP32.
ALWAYS_BUILT = frozenset({"tensorrt"})

_MODULES = {
    "openvino": ("openvino",),
    "onnx": ("onnx",),
    "tensorrt": ("onnx",),
    ("openvino", "ptq-static"): ("nncf",),
    ("onnx", "ptq-static"): ("onnxruntime.quantization",),
    ("onnx", "fp16"): ("onnxruntime.transformers.float16",),
}


@dataclass(frozen=True, slots=True)
class Build:
    """What a build makes: `step` is ``fp16``, ``ptq-static`` or None (FP32); `shapes` those of an engine's inputs."""

    step: str | None
    shapes: tuple[tuple[int, ...], ...] = ()
    seed: int = 42

    @property
    def calibrates(self) -> bool:
        """Whether it needs images."""
        return self.step == "ptq-static"


def preload(family: str, step: str | None) -> None:
    """Import what a phase will use, so that the phase measures its work and not the reading of libraries."""
    for name in (*_MODULES.get(family, ()), *_MODULES.get((family, step), ())):
        try:
            importlib.import_module(name)
        except ImportError:
            continue  # the phase says what is missing, in its own words


def export_file(module: Any, shape: tuple[int, ...], family: str, target: Path) -> None:
    """Write a torch module as ONNX or OpenVINO IR, free in batch, height and width."""
    from edgebench.backends import lower

    write = lower.to_openvino if family == "openvino" else lower.to_onnx
    write(module, shape, target)


def build_file(source: Path, target: Path, family: str, build: Build, calibration: Sequence[F32]) -> None:
    """Write `target`, the file of `family` that `build` describes, from an exported file."""
    if build.step == "fp16":
        halve_file(source, target, family)
    elif build.step == "ptq-static":
        quantise_file(source, target, family, calibration)
    else:
        raise CompressionError(f"there is nothing to build for {family} in FP32: the export is the file it opens")


def quantise_file(source: Path, target: Path, family: str, calibration: Sequence[F32]) -> None:
    """Write `target`, the static INT8 form of an IR or ONNX file."""
    if family == "openvino":
        import openvino

        from edgebench.backends.openvino import read_model
        from edgebench.compress.quantise import static_openvino

        model = static_openvino(read_model(source), calibration)
        openvino.save_model(model, target, compress_to_fp16=False)
        return
    from edgebench.compress.quantise import static_onnx

    static_onnx(source, target, calibration)


def halve_file(source: Path, target: Path, family: str) -> None:
    """Write `target`, an IR or ONNX file with its weights in FP16."""
    if family == "openvino":
        import openvino

        from edgebench.backends.openvino import read_model

        openvino.save_model(read_model(source), target, compress_to_fp16=True)
        return
    from edgebench.compress.half import half_onnx

    half_onnx(source, target)
