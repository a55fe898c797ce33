"""From torch to `.pte`: export and XNNPACK's partitioner; for INT8, torchao's PT2E with XNNPACK's quantiser first."""

from __future__ import annotations

import importlib
import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgebench.backends.boundary import refusals
from edgebench.compress.quiet import quiet
from edgebench.errors import BackendError, CompressionError
from edgebench.machine.advice import install

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    F32 = npt.NDArray[np.float32]


_EXPORTER = (
    "executorch.exir",
    "executorch.backends.xnnpack.partition.xnnpack_partitioner",
    "executorch.backends.xnnpack.quantizer.xnnpack_quantizer",
    "torchao.quantization.pt2e.quantize_pt2e",
)


def import_exporter() -> None:
    """Import what converts, which takes seconds; call it before a phase that is measured. Raises BackendError."""
    if find_spec("executorch") is None:
        raise BackendError(f"executorch is needed to make .pte files: {install('edgebench-executorch')}")
    with refusals("executorch", "to start"), _silent():
        for name in _EXPORTER:
            importlib.import_module(name)


def to_pte(module: Any, shape: tuple[int, ...], out: Path) -> None:
    """Write a torch module whose only input has `shape`, for that shape alone; raises BackendError."""
    import_exporter()
    import torch
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import to_edge_transform_and_lower

    advice = "measure it with another backend"
    with refusals("executorch", "to convert the model to", out, advice), _silent(), torch.no_grad():
        program = torch.export.export(module, (torch.zeros(shape),))
        lowered = to_edge_transform_and_lower(program, partitioner=[XnnpackPartitioner()])
        out.write_bytes(lowered.to_executorch().buffer)


def quantised(module: Any, calibration: Sequence[F32]) -> Any:
    """Return the module with INT8 weights (per channel) and activations, calibrated; for every size of an image.

    Raises CompressionError.
    """
    if not calibration:
        raise CompressionError("static quantisation needs calibration images: set calibration_images to 1 or more")
    import_exporter()
    import torch
    from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import (
        XNNPACKQuantizer,
        get_symmetric_quantization_config,
    )
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

    advice = "choose another variant"
    with refusals("executorch", "to quantise the model", None, advice), _silent(), torch.no_grad():
        # Batch, height and width stay free, so that the statistics of one size serve the programs of others.
        free = dict.fromkeys((0, 2, 3), torch.export.Dim.AUTO)
        example = torch.from_numpy(calibration[0]).repeat(2, 1, 1, 1)
        graph = torch.export.export(module.eval(), (example,), dynamic_shapes=(free,)).module()
        quantiser = XNNPACKQuantizer().set_global(get_symmetric_quantization_config(is_per_channel=True))
        prepared = prepare_pt2e(graph, quantiser)
        for images in calibration:
            prepared(torch.from_numpy(images))
        return convert_pt2e(prepared)


@contextmanager
def _silent() -> Iterator[None]:
    """Keep what exporters print and log off both streams."""
    with quiet(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        yield
