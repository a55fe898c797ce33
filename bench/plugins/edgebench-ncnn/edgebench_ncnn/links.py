"""The links that end in ncnn's files: a torch checkpoint, converted by pnnx with its weights in FP32 or in FP16."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edgebench.artifacts.chain import Chain, Content
from edgebench.compress.checkpoint import load_checkpoint
from edgebench.measure.phases import phase
from edgebench_ncnn import FAMILY
from edgebench_ncnn.convert import converter, to_ncnn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgebench.artifacts.chain import Ledger
    from edgebench.compress.steps import Step
    from edgebench.report.records import ArtifactRecord


def lowered(chain: Chain, parent: ArtifactRecord, steps: Sequence[Step]) -> ArtifactRecord:
    """Convert a torch checkpoint at the training size; one file serves all sizes of an image."""
    size, half = chain.recipe.train_size, bool(steps) and steps[-1].kind.kind == "fp16"

    def work(folder: Path, ledger: Ledger) -> Content:
        converter()
        module, _ = load_checkpoint(parent.path)
        with phase("export", ledger, chain.probes):
            to_ncnn(module, (1, 3, size, size), folder / FAMILY.file, half=half)
        return Content(sparsity=parent.sparsity)

    return chain.link("fp16" if half else "export", FAMILY.name, parent, {"size": size}, work)
