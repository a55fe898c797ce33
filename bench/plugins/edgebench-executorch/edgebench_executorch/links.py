"""The links that end in `.pte` programs: a torch checkpoint, quantised or not, exported for each shape it is run at."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgebench.artifacts.chain import Chain, Content
from edgebench.compress.checkpoint import load_checkpoint
from edgebench.measure.phases import phase
from edgebench_executorch import FAMILY
from edgebench_executorch.convert import import_exporter, quantised, to_pte
from edgebench_executorch.files import file_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgebench.artifacts.chain import Ledger
    from edgebench.compress.steps import Step
    from edgebench.report.records import ArtifactRecord


def lowered(chain: Chain, parent: ArtifactRecord, steps: Sequence[Step]) -> ArtifactRecord:
    """Make a program for each shape; the artifact's size is that of the one that is measured."""
    static = bool(steps) and steps[-1].kind.kind == "ptq-static"
    shapes = list(dict.fromkeys(chain.job.shapes))
    facts: dict[str, Any] = {"shapes": shapes}
    if static:
        facts |= {
            "data": chain.material.digest,
            "size": chain.recipe.train_size,
            "calibration_images": chain.recipe.calibration_images,
        }

    def work(folder: Path, ledger: Ledger) -> Content:
        module, _ = load_checkpoint(parent.path)
        import_exporter()
        if static:
            images = chain.calibration()
            with phase("quantise", ledger, chain.probes):
                module = quantised(module, images)
        with phase("export", ledger, chain.probes, f"one program for each of {len(shapes)} shapes"):
            for shape in shapes:
                to_pte(module, shape, file_of(folder, shape))
        measured = file_of(folder, shapes[0]).stat().st_size
        return Content(measured, None if static else parent.sparsity)

    return chain.link("ptq-static" if static else "export", FAMILY.name, parent, facts, work)
