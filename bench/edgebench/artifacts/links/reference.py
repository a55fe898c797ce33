"""The FP32 reference: inputs and torch's outputs for them, made once beside an artifact and read by every runtime.

A NumPy archive without pickles: `input.NAME` as the runtime is fed, or `images` (uint8, not upscaled) with `size`, and
`output.0`, `output.1`, … in the model's order. A task may add what its scoring needs as `test.NAME`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edgebench.artifacts.chain import Content
from edgebench.compress.checkpoint import load_checkpoint
from edgebench.measure.phases import phase
from edgebench.measure.reference import FILE, feeds_of

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from edgebench.artifacts.chain import Chain, Ledger
    from edgebench.report.records import ArtifactRecord

    Array = npt.NDArray[np.generic]


def reference(chain: Chain, parent: ArtifactRecord) -> ArtifactRecord:
    """Return the reference of a float torch model: its answers to a few test inputs at the training size."""
    facts = {"model": chain.job.model, "data": chain.material.digest, "size": chain.recipe.train_size}

    def work(folder: Path, ledger: Ledger) -> Content:
        import numpy as np
        import torch

        module, _ = load_checkpoint(parent.path)
        with phase("reference", ledger, chain.probes), torch.inference_mode():
            stored = chain.material.reference_inputs(module)
            found = module(*(torch.from_numpy(array) for array in feeds_of(stored).values()))
            outputs = [found] if isinstance(found, torch.Tensor) else list(found)
            arrays = {f"output.{index}": tensor.numpy() for index, tensor in enumerate(outputs)}
            np.savez_compressed(folder / FILE, allow_pickle=False, **stored, **arrays)
        return Content()

    return chain.link("reference", "torch", parent, facts, work, file=FILE, form="reference")
