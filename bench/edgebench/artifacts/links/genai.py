"""The links that end in a folder of OpenVINO GenAI: the torch model written as one, then NNCF's compressed weights."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edgebench.artifacts.chain import Chain, Content
from edgebench.artifacts.convert.build import halve_file
from edgebench.artifacts.convert.genai import write_genai
from edgebench.artifacts.links.folders import own_folder
from edgebench.artifacts.links.reading import reading_in
from edgebench.artifacts.store import META_FILE
from edgebench.backends.genai import MODEL
from edgebench.compress.checkpoint import load_checkpoint
from edgebench.compress.weights import compress_openvino
from edgebench.errors import CompressionError
from edgebench.measure.phases import phase
from edgebench.report.records import ArtifactRecord

if TYPE_CHECKING:
    from edgebench.artifacts.chain import Ledger
    from edgebench.artifacts.messages import OwnModel
    from edgebench.compress.steps import Step

FAMILY = "genai"
_BITS = {"weights-int8": 8, "weights-int4": 4}


def lowered(chain: Chain, parent: ArtifactRecord, steps: Sequence[Step]) -> ArtifactRecord:
    """Write a torch checkpoint as a folder in FP32, then in the format of the last step where it is one."""
    current = exported(chain, parent)
    return compressed(chain, current, steps[-1].kind.kind) if steps and steps[-1].kind.lowered else current


def weights_int4(chain: Chain, parent: ArtifactRecord, family: str) -> ArtifactRecord:
    """INT4 weights of the matrix products by NNCF; only GenAI's folders have them."""
    if family != FAMILY:
        raise CompressionError(f"{chain.job.variant} is made for openvino-genai: choose a variant of {family}")
    return compressed(chain, parent, "weights-int4")


def exported(chain: Chain, parent: ArtifactRecord) -> ArtifactRecord:
    """The torch model as an IR that keeps its cache, with a tokenizer of bytes; only Llama's arithmetic is known."""
    if chain.task.name != "generation":
        raise CompressionError(f"{chain.job.model} cannot be written for GenAI: choose a model of kind generate")

    def work(folder: Path, ledger: Ledger) -> Content:
        module, _ = load_checkpoint(parent.path)
        with phase("export", ledger, chain.probes):
            write_genai({name: tensor.detach().numpy() for name, tensor in module.state_dict().items()}, folder)
        return Content(sparsity=parent.sparsity)

    return chain.link("export", FAMILY, parent, {"task": chain.task.name}, work)


def own(chain: Chain, model: OwnModel, step: str | None) -> tuple[ArtifactRecord, ArtifactRecord | None]:
    """Return the artifact of a user's folder, and what it answers to the text as it is."""
    plain = own_folder(chain, model)
    return (plain, None) if step is None else (compressed(chain, plain, step), reading_in(chain, plain))


def compressed(chain: Chain, parent: ArtifactRecord, step: str) -> ArtifactRecord:
    """The folder with its weights in another format; the tokenizer stays."""

    def work(folder: Path, ledger: Ledger) -> Content:
        for file in parent.path.iterdir():
            if file.name != META_FILE and file.stem != (parent.path / MODEL).stem:
                shutil.copyfile(file, folder / file.name)
        source, target = parent.path / MODEL, folder / MODEL
        with phase("halve" if step == "fp16" else "quantise", ledger, chain.probes):
            if step == "fp16":
                halve_file(source, target, "openvino")
            else:
                compress_openvino(source, target, _BITS[step])
        return Content()

    return chain.link(step, FAMILY, parent, {}, work)
