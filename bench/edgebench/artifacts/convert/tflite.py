"""From torch to .tflite by LiteRT's own converter (litert-torch): [N, C, H, W] in, FP32, at one input size."""

from __future__ import annotations

import io
from contextlib import redirect_stderr, redirect_stdout
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from edgebench.backends.boundary import refusals
from edgebench.compress.quiet import quiet
from edgebench.errors import BackendError
from edgebench.machine.advice import extra


def import_converter() -> Any:
    """Import the converter, which takes seconds; call it before a phase that is measured."""
    if find_spec("litert_torch") is None:
        raise BackendError(f"litert-torch is needed to make .tflite files: {extra('tflite')}")
    with refusals("litert-torch", "to start"), quiet(), redirect_stdout(io.StringIO()):
        import litert_torch

        return litert_torch


def to_tflite(module: Any, shape: tuple[int, ...], out: Path) -> None:
    """Write a torch module as FP32 .tflite whose only input has `shape`.

    The input keeps torch's layout; the graph transposes it once to the channels-last order that LiteRT computes in
    (and back before a Flatten, whose order the following weights have).
    """
    litert_torch = import_converter()
    import torch

    with (
        refusals("litert-torch", "to convert the model to", out, "measure it with another backend"),
        quiet(),
        # It draws its progress on both.
        redirect_stdout(io.StringIO()),
        redirect_stderr(io.StringIO()),
        torch.no_grad(),
    ):
        litert_torch.convert(module.eval(), (torch.zeros(shape),)).export(str(out))
