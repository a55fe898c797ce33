"""The links that end in ncnn's files: a torch checkpoint, converted by pnnx with its weights in FP32 or in FP16."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edgebench.artifacts.chain import Chain, Content
from edgebench.compress.checkpoint import load_checkpoint
from edgebench.measure.phases import phase
from edgebench_ncnn import FAMILY
from edgebench_ncnn.convert import converter, to_ncnn
from edgebench_ncnn.files import graph_for, weights_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgebench.artifacts.chain import Ledger
    from edgebench.compress.steps import Step
    from edgebench.report.records import ArtifactRecord


def lowered(chain: Chain, parent: ArtifactRecord, steps: Sequence[Step]) -> ArtifactRecord:
    """Convert a torch checkpoint; the artifact's size is that of the pair of files that is measured.

    A classifier pools: converted at the training size it serves all. In what else takes an image pnnx fixes the size,
    so that there is a pair for each.
    """
    half = bool(steps) and steps[-1].kind.kind == "fp16"
    pools = chain.task.name == "classification"
    sizes = [chain.recipe.train_size] if pools else list(dict.fromkeys(shape[2] for shape in chain.job.shapes))

    def work(folder: Path, ledger: Ledger) -> Content:
        converter()
        module, _ = load_checkpoint(parent.path)
        with phase("export", ledger, chain.probes):
            for size in sizes:
                to_ncnn(module, (1, 3, size, size), graph_for(folder, size), half=half)
        measured = graph_for(folder, sizes[0])
        return Content(measured.stat().st_size + weights_of(measured).stat().st_size, parent.sparsity)

    return chain.link("fp16" if half else "export", FAMILY.name, parent, {"sizes": sizes}, work)
