"""The links that end in a GGUF file: the torch model written as one, or a user's file; then llama.cpp's quantiser."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edgebench.artifacts.chain import Chain, Content
from edgebench.artifacts.families import file_of
from edgebench.artifacts.links.reading import reading_in
from edgebench.backends.gguffile import read_gguf
from edgebench.compress.checkpoint import load_checkpoint
from edgebench.compress.quantise_gguf import quantise_gguf, write_llama
from edgebench.errors import CompressionError
from edgebench.measure.phases import phase
from edgebench.plan.targets import lowered_step
from edgebench.report.records import ArtifactNotes, ArtifactRecord

if TYPE_CHECKING:
    from edgebench.artifacts.chain import Ledger
    from edgebench.artifacts.messages import OwnModel
    from edgebench.compress.steps import Step

FAMILY = "gguf"


def lowered(chain: Chain, parent: ArtifactRecord, steps: Sequence[Step]) -> ArtifactRecord:
    """Write a torch checkpoint as GGUF in FP32, then in the format of the last step where it is one.

    On a board the parent is that GGUF file already.
    """
    current = parent if parent.format == FAMILY else exported(chain, parent)
    return in_format(chain, current, FAMILY) if steps and steps[-1].kind.lowered else current


def in_format(chain: Chain, parent: ArtifactRecord, family: str) -> ArtifactRecord:
    """A GGUF file in the format that the job's variant names."""
    step = lowered_step(chain.job.variant)
    if family != FAMILY or step is None:
        raise CompressionError(f"{chain.job.variant} is a format of GGUF files: choose a variant of {family}")
    return quantised(chain, parent, step)


def exported(chain: Chain, parent: ArtifactRecord) -> ArtifactRecord:
    """The torch model as GGUF in FP32; only Llama's arithmetic can be written so."""
    if chain.task.name != "generation":
        raise CompressionError(f"{chain.job.model} cannot be written as GGUF: choose a model of kind generate")

    def work(folder: Path, ledger: Ledger) -> Content:
        module, _ = load_checkpoint(parent.path)
        with phase("export", ledger, chain.probes):
            weights = {name: tensor.detach().numpy() for name, tensor in module.state_dict().items()}
            write_llama(weights, folder / file_of(FAMILY))
        return Content(sparsity=parent.sparsity)

    return chain.link("export", FAMILY, parent, {"task": chain.task.name}, work)


def quantised(chain: Chain, parent: ArtifactRecord, step: str) -> ArtifactRecord:
    """A GGUF file in another format, by llama.cpp's quantiser."""

    def work(folder: Path, ledger: Ledger) -> Content:
        with phase("quantise", ledger, chain.probes):
            quantise_gguf(parent.path, folder / file_of(FAMILY), step, len(chain.job.cpus))
        return Content()

    return chain.link(step, FAMILY, parent, {}, work)


def own(chain: Chain, model: OwnModel, step: str | None) -> tuple[ArtifactRecord, ArtifactRecord | None]:
    """Return the artifact of a user's GGUF file, and what the file as it is answers to the text."""
    path = Path(model.path)

    def work(folder: Path, ledger: Ledger) -> Content:
        del ledger
        read_gguf(path)
        shutil.copyfile(path, folder / file_of(FAMILY))
        return Content(notes=ArtifactNotes(weights=f"file {path.name}", trained=True))

    plain = chain.link("own", FAMILY, None, {"file": model.digest}, work)
    if step is None:
        return plain, None
    return quantised(chain, plain, step), reading_in(chain, plain)
