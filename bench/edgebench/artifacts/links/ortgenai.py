"""The links that end in a folder of ONNX Runtime GenAI: the torch model written as one, then weights in 8 bits."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from typing import TYPE_CHECKING

from edgebench.artifacts.chain import Chain, Content
from edgebench.artifacts.convert.ortgenai import write_ort_genai
from edgebench.artifacts.links.folders import own_folder
from edgebench.artifacts.links.reading import reading_in
from edgebench.artifacts.store import META_FILE
from edgebench.backends.ortgenaifile import named_files
from edgebench.compress.checkpoint import load_checkpoint
from edgebench.compress.weights import compress_onnx
from edgebench.errors import CompressionError
from edgebench.measure.phases import phase
from edgebench.report.records import ArtifactRecord

if TYPE_CHECKING:
    from pathlib import Path

    from edgebench.artifacts.chain import Ledger
    from edgebench.artifacts.messages import OwnModel
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

    # What it holds besides the graph: folders of before had no tokenizer.
    facts = {"task": chain.task.name, "tokenizer": "bytes"}
    current = chain.link("export", FAMILY, parent, facts, work)
    return compressed(chain, current, steps[-1].kind.kind) if steps and steps[-1].kind.lowered else current


def own(chain: Chain, model: OwnModel, step: str | None) -> tuple[ArtifactRecord, ArtifactRecord | None]:
    """Return the artifact of a user's folder, and what it answers to the text as it is."""
    plain = own_folder(chain, model)
    return (plain, None) if step is None else (compressed(chain, plain, step), reading_in(chain, plain))


def compressed(chain: Chain, parent: ArtifactRecord, step: str) -> ArtifactRecord:
    """The folder with weights in 8 bits; all but the graph and its weights stays."""

    def work(folder: Path, ledger: Ledger) -> Content:
        _, model, *weights = named_files(parent.path)
        for file in parent.path.iterdir():
            if file.is_file() and file.name not in {META_FILE, model, *weights}:
                shutil.copyfile(file, folder / file.name)
        (folder / model).parent.mkdir(parents=True, exist_ok=True)
        with phase("quantise", ledger, chain.probes):
            compress_onnx(parent.path / model, folder / model)
        return Content()

    return chain.link(step, FAMILY, parent, {}, work)
