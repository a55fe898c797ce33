"""The links that end in a container of LiteRT-LM: the torch model written as one, or a user's file as it is."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edgebench.artifacts.chain import Chain, Content
from edgebench.artifacts.convert.litertlm import CACHE, READ, write_container, write_graph
from edgebench.artifacts.convert.tflite import import_converter
from edgebench.artifacts.families import file_of
from edgebench.backends.litertlmfile import graph_of
from edgebench.compress.checkpoint import load_checkpoint
from edgebench.compress.quantise_tflite import dynamic_tflite
from edgebench.errors import CompressionError
from edgebench.measure.phases import phase
from edgebench.report.records import ArtifactNotes, ArtifactRecord

if TYPE_CHECKING:
    from edgebench.artifacts.chain import Ledger
    from edgebench.artifacts.messages import OwnModel
    from edgebench.compress.steps import Step

FAMILY = "litert-lm"
_GRAPH = "model.tflite"


def lowered(chain: Chain, parent: ArtifactRecord, steps: Sequence[Step]) -> ArtifactRecord:
    """Write a torch checkpoint as a container in FP32, then with LiteRT's dynamic INT8 where that is the last step."""
    if chain.task.name != "generation":
        raise CompressionError(f"{chain.job.model} cannot be written for LiteRT-LM: choose a model of kind generate")

    def work(folder: Path, ledger: Ledger) -> Content:
        module, _ = load_checkpoint(parent.path)
        import_converter()
        with phase("export", ledger, chain.probes), tempfile.TemporaryDirectory() as scratch:
            write_graph(module.eval(), Path(scratch, _GRAPH))
            write_container(Path(scratch, _GRAPH), folder / file_of(FAMILY))
        return Content(sparsity=parent.sparsity)

    facts = {"task": chain.task.name, "read": READ, "cache": CACHE}
    current = chain.link("export", FAMILY, parent, facts, work)
    last = steps[-1].kind if steps else None
    return current if last is None or FAMILY not in last.lowered_in else quantised(chain, current)


def quantised(chain: Chain, parent: ArtifactRecord) -> ArtifactRecord:
    """The container with dynamic INT8 (weights in 8 bits, activations as they come)."""

    def work(folder: Path, ledger: Ledger) -> Content:
        with phase("quantise", ledger, chain.probes), tempfile.TemporaryDirectory() as scratch:
            plain, coarse = Path(scratch, "fp32.tflite"), Path(scratch, _GRAPH)
            plain.write_bytes(graph_of(parent.path))
            dynamic_tflite(plain, coarse)
            write_container(coarse, folder / file_of(FAMILY))
        return Content()

    return chain.link("ptq-dynamic", FAMILY, parent, {}, work)


def own(chain: Chain, model: OwnModel, step: str | None) -> tuple[ArtifactRecord, ArtifactRecord | None]:
    """Return the artifact of a user's container, as it is."""
    path = Path(model.path)
    if step is not None:
        raise CompressionError(f"{path.name}: a .litertlm file is measured as it is: its exporter quantises")

    def work(folder: Path, ledger: Ledger) -> Content:
        del ledger
        shutil.copyfile(path, folder / file_of(FAMILY))
        return Content(notes=ArtifactNotes(weights=f"file {path.name}", trained=True))

    return chain.link("own", FAMILY, None, {"file": model.digest}, work), None
