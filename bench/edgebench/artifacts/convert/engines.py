"""TensorRT's builder: from an ONNX file to engines, one a shape, for this GPU.

FP16 and INT8 by builder flags up to TensorRT 10, where INT8 scales come from `IInt8EntropyCalibrator2` over real images
or from an explicitly quantised graph (QDQ). TensorRT 11 has neither flags nor calibrators: the graph itself is FP16 or
QDQ, and the network strongly typed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgebench.backends.boundary import refusals
from edgebench.backends.cuda import Cudart
from edgebench.backends.tensorrt import Log, engine_file
from edgebench.errors import BackendError

if TYPE_CHECKING:
    from edgebench.backends.base import Array

CALIBRATION_FILE = "calibration.cache"
_WORKSPACE_BYTES = 1 << 30


@dataclass(frozen=True, slots=True)
class EngineSpec:
    """What to build: `precision` is ``fp32``, ``fp16`` or ``int8``; `quantised_graph`: the ONNX file is QDQ already.

    `timing_cache` is kept between builds (None: every tactic is timed anew, which a measured build wants).
    """

    precision: str
    shapes: Sequence[tuple[int, ...]]
    quantised_graph: bool = False
    timing_cache: Path | None = None


def has_flags() -> bool:
    """Whether this TensorRT takes precisions as builder flags (up to 10) rather than from the graph (11)."""
    import tensorrt as trt

    return hasattr(trt.BuilderFlag, "FP16")


def has_calibrator() -> bool:
    """Whether this TensorRT calibrates INT8 itself (up to 10)."""
    import tensorrt as trt

    return hasattr(trt, "IInt8EntropyCalibrator2")


def build_engines(source: Path, folder: Path, spec: EngineSpec, calibration: Sequence[Array] = ()) -> None:
    """Write one engine a shape into `folder`; with INT8 calibration also its cache, which the later shapes reuse.

    The last shape is built first: calibration batches [1, C, H, W] are of its height and width.
    """
    import tensorrt as trt

    cuda = Cudart()
    logger = Log(trt)
    calibrator = None
    if spec.precision == "int8" and not spec.quantised_graph:
        calibrator = _calibrator(trt, cuda, calibration, folder / CALIBRATION_FILE, spec.shapes[-1])
    for shape in reversed(spec.shapes):
        with refusals("tensorrt", "to build an engine from", source):
            plan = _build(trt, logger, source, shape, spec, calibrator)
        if plan is None:
            raise BackendError(f"tensorrt cannot build {source} ({logger.last()}): choose another precision")
        (folder / engine_file(shape)).write_bytes(bytes(memoryview(plan)))


def _build(trt: Any, logger: Log, source: Path, shape: tuple[int, ...], spec: EngineSpec, calibrator: Any) -> Any:
    builder = trt.Builder(logger.native)
    flags = trt.NetworkDefinitionCreationFlag
    # 8 has implicit batches unless told otherwise; 11 has nothing but explicit ones, and types from the graph.
    creation = 1 << int(flags.EXPLICIT_BATCH) if hasattr(flags, "EXPLICIT_BATCH") else 1 << int(flags.STRONGLY_TYPED)
    network = builder.create_network(creation)
    parser = trt.OnnxParser(network, logger.native)
    if not parser.parse_from_file(str(source)):
        reason = parser.get_error(0).desc() if parser.num_errors else logger.last()
        raise BackendError(f"tensorrt cannot read {source} ({str(reason)[:200]}): export the model again")
    network.get_input(0).shape = tuple(shape)
    config = builder.create_builder_config()
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, _WORKSPACE_BYTES)
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
    # FP32 means FP32: TensorFloat-32 has ten bits of mantissa.
    config.clear_flag(trt.BuilderFlag.TF32)
    if hasattr(trt.BuilderFlag, "FP16") and spec.precision != "fp32":
        # In an INT8 engine FP16 is what layers without INT8 kernels may fall back to.
        config.set_flag(trt.BuilderFlag.FP16)
        if spec.precision == "int8":
            config.set_flag(trt.BuilderFlag.INT8)
            if calibrator is not None:
                config.int8_calibrator = calibrator
    kept = spec.timing_cache
    if kept is not None:
        cache = config.create_timing_cache(kept.read_bytes() if kept.is_file() else b"")
        config.set_timing_cache(cache, ignore_mismatch=False)
    plan = builder.build_serialized_network(network, config)
    if kept is not None and plan is not None:
        kept.parent.mkdir(parents=True, exist_ok=True)
        fresh = kept.with_suffix(".new")
        fresh.write_bytes(bytes(memoryview(config.get_timing_cache().serialize())))
        fresh.replace(kept)
    return plan


def _calibrator(trt: Any, cuda: Cudart, images: Sequence[Array], cache: Path, shape: tuple[int, ...]) -> Any:
    """Return an entropy calibrator that feeds batches of `shape` from single images and keeps its scales in a file."""
    import numpy as np

    if not has_calibrator():
        raise BackendError('this TensorRT calibrates nothing itself: build from a quantised graph (int8 = "qdq")')
    if not images:
        raise BackendError("INT8 needs calibration images: set calibration_images to 1 or more")
    count = shape[0]
    stacked = np.concatenate([np.asarray(image, dtype=np.float32) for image in images])
    # A last, short batch is filled up from the front: TensorRT takes whole batches only.
    rows = np.resize(np.arange(len(stacked)), -(-len(stacked) // count) * count)
    batches = [np.ascontiguousarray(stacked[rows[at : at + count]]) for at in range(0, len(rows), count)]
    address, stream = cuda.allocate(batches[0].nbytes), cuda.stream()
    waiting = iter(batches)

    class Calibrator(trt.IInt8EntropyCalibrator2):  # type: ignore[misc]  # of the module passed in
        def __init__(self) -> None:
            trt.IInt8EntropyCalibrator2.__init__(self)

        def get_batch_size(self) -> int:
            return count

        def get_batch(self, names: Sequence[str]) -> list[int] | None:
            del names  # the model has one input
            batch = next(waiting, None)
            if batch is None:
                return None
            cuda.upload(address, batch, stream)
            return [address]

        def read_calibration_cache(self) -> bytes | None:
            return cache.read_bytes() if cache.is_file() else None

        def write_calibration_cache(self, scales: Any) -> None:
            cache.write_bytes(bytes(memoryview(scales)))

    return Calibrator()
