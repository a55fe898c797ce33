"""From torch to ncnn's files by pnnx, ncnn's own converter: TorchScript in, a graph and its weights out."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from edgebench.backends.boundary import refusals
from edgebench.compress.quiet import quiet
from edgebench.errors import BackendError
from edgebench.machine.advice import install
from edgebench_ncnn.files import read_graph, weights_of

# pnnx takes seconds; one that takes so long hangs.
_LIMIT_S = 900.0


def converter() -> str:
    """Return the path of pnnx's program; raises BackendError where the package is missing."""
    if find_spec("pnnx") is None:
        raise BackendError(f"pnnx is needed to make ncnn's files: {install('edgebench-ncnn[convert]')}")
    import pnnx

    return str(pnnx.EXEC_PATH)


def to_ncnn(module: Any, shape: tuple[int, ...], out: Path, *, half: bool = False) -> None:
    """Write a torch module whose only input has `shape` as `out` (.param) and its .bin.

    Weights in FP32 or (`half`) in FP16. Raises BackendError for what ncnn has no layer for.
    """
    program = converter()
    import torch

    with tempfile.TemporaryDirectory() as scratch:
        traced = Path(scratch, "model.pt")
        advice = "measure it with another backend"
        with refusals("torch", "to trace the model", advice=advice), quiet(), torch.no_grad():
            torch.jit.save(torch.jit.trace(module.eval(), torch.zeros(shape)), traced)
        sizes = ",".join(map(str, shape))
        argv = [program, str(traced), f"inputshape=[{sizes}]f32", f"fp16={int(half)}"]
        try:
            done = subprocess.run(
                argv, cwd=scratch, capture_output=True, text=True, errors="replace", check=False, timeout=_LIMIT_S
            )
        except subprocess.TimeoutExpired:
            raise BackendError(f"pnnx did not end within {_LIMIT_S:.0f} s: measure it with another backend") from None
        made = traced.with_suffix(".ncnn.param")
        if done.returncode or not made.is_file():
            said = next(
                (line for line in reversed(done.stderr.splitlines()) if line.strip()), f"code {done.returncode}"
            )
            raise BackendError(f"pnnx refuses to convert the model ({said[:200]}): measure it with another backend")
        _check(made)
        shutil.move(made, out)
        shutil.move(weights_of(made), weights_of(out))


def _check(made: Path) -> None:
    """Refuse a graph with operators that pnnx could only pass on by name: ncnn has no such layers."""
    strange = sorted({layer.type for layer in read_graph(made) if "." in layer.type or "::" in layer.type})
    if strange:
        raise BackendError(f"ncnn has no layer for {', '.join(strange[:5])}: measure the model with another backend")
