"""The links that end in a .tflite file: conversion of the torch model, then LiteRT's own quantiser."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgebench.artifacts.chain import Chain, Content
from edgebench.artifacts.convert import tflite as convert
from edgebench.artifacts.families import file_of
from edgebench.compress.checkpoint import load_checkpoint
from edgebench.compress.quantise_tflite import dynamic_tflite, half_tflite, static_tflite
from edgebench.measure.phases import phase

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgebench.artifacts.chain import Ledger
    from edgebench.compress.steps import Step
    from edgebench.report.records import ArtifactRecord

FAMILY = "tflite"


def lowered(chain: Chain, parent: ArtifactRecord, steps: Sequence[Step]) -> ArtifactRecord:
    """Convert a torch checkpoint, then apply LiteRT's own quantiser where the last step is one."""
    current = exported(chain, parent)
    last = steps[-1].kind if steps else None
    if last is not None and (last.lowered or FAMILY in last.lowered_in):
        current = quantised(chain, current, last.kind)
    return current


def exported(chain: Chain, parent: ArtifactRecord) -> ArtifactRecord:
    """The torch model as FP32 .tflite at the training size; the runtime resizes what has no Flatten head."""
    size = chain.recipe.train_size

    def work(folder: Path, ledger: Ledger) -> Content:
        module, _ = load_checkpoint(parent.path)
        convert.import_converter()
        with phase("export", ledger, chain.probes):
            convert.to_tflite(module, (1, 3, size, size), folder / file_of(FAMILY))
        return Content(sparsity=parent.sparsity)

    return chain.link("export", FAMILY, parent, {"size": size}, work)


def quantised(chain: Chain, parent: ArtifactRecord, kind: str) -> ArtifactRecord:
    """By LiteRT's quantiser: ``ptq-dynamic`` (dynamic range), ``ptq-static`` (full integer) or ``fp16`` (weights)."""
    facts: dict[str, Any] = {}
    if kind == "ptq-static":
        facts = {
            "data": chain.data.digest,
            "size": chain.recipe.train_size,
            "calibration_images": chain.recipe.calibration_images,
        }

    def work(folder: Path, ledger: Ledger) -> Content:
        target = folder / file_of(FAMILY)
        with phase("quantise", ledger, chain.probes):
            if kind == "ptq-static":
                static_tflite(parent.path, target, chain.calibration())
            elif kind == "ptq-dynamic":
                dynamic_tflite(parent.path, target)
            else:
                half_tflite(parent.path, target)
        return Content()

    return chain.link(kind, FAMILY, parent, facts, work)
