"""What a plan's language models read: the user's text, or the one that ships."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgebench.measure.messages import ReadJob, TextJob

if TYPE_CHECKING:
    from edgebench.plan.plan import Benchmark, Plan
    from edgebench.report.records import ArtifactRecord


def text_job(plan: Plan) -> TextJob:
    """Return the text; the zoo's models read bytes, a file of one's own brings a tokenizer."""
    return TextJob(path=None if plan.text is None else str(plan.text.path), as_bytes=plan.own_model is None)


def read_job(plan: Plan, cell: Benchmark, artifact: ArtifactRecord | None) -> ReadJob:
    """Return what tells a language model's quality; without an `artifact` what its reference is made of."""
    reference = None if artifact is None else artifact.reference
    return ReadJob(text=text_job(plan), tokens=cell.measure.quality_tokens, reference=reference)
