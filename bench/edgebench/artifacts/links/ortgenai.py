"""The links that end in a folder of ONNX Runtime GenAI: the torch model written as one, then weights in 8 bits."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from typing import TYPE_CHECKING

from edgebench.artifacts.chain import Chain, Content
from edgebench.artifacts.convert.ortgenai import write_ort_genai
from edgebench.backends.ortgenai import CONFIG, MODEL
from edgebench.compress.checkpoint import load_checkpoint
from edgebench.compress.weights import compress_onnx
from edgebench.errors import CompressionError
from edgebench.measure.phases import phase
from edgebench.report.records import ArtifactRecord

if TYPE_CHECKING:
    from pathlib import Path

    from edgebench.artifacts.chain import Ledger
    from edgebench.compress.steps import Step

FAMILY = "ort-genai"


def lowered(chain: Chain, parent: ArtifactRecord, steps: Sequence[Step]) -> ArtifactRecord:
    """Write a torch checkpoint as a folder in FP32, then with INT8 weights where that is the last step."""
    if chain.task.name != "generation":
        raise CompressionError(f"{chain.job.model} cannot be written for GenAI: choose a model of kind generate")

    def work(folder: Path, ledger: Ledger) -> Content:
        module, _ = load_checkpoint(parent.path)
        with phase("export", ledger, chain.probes):
            write_ort_genai(module, folder)
        return Content(sparsity=parent.sparsity)

    current = chain.link("export", FAMILY, parent, {"task": chain.task.name}, work)
    if not steps or not steps[-1].kind.lowered:
        return current

    def compress(folder: Path, ledger: Ledger) -> Content:
        shutil.copyfile(current.path / CONFIG, folder / CONFIG)
        with phase("quantise", ledger, chain.probes):
            compress_onnx(current.path / MODEL, folder / MODEL)
        return Content()

    return chain.link(steps[-1].kind.kind, FAMILY, current, {}, compress)
