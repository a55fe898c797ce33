"""One artifact: `python -m edgebench.artifacts.prepare JOB ANSWER`.

It trains, compresses and exports what the store does not hold yet.
A variant is a chain: weights → baseline → its steps in torch → export to what the runtime opens → that runtime's own
static quantisation. Each link is an artifact of its own, keyed by its recipe and its parent.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from importlib import import_module

from msgspec.structs import replace

from edgebench.artifacts.chain import Chain
from edgebench.artifacts.families import export_of
from edgebench.artifacts.links import runtimes
from edgebench.artifacts.links.baseline import baseline
from edgebench.artifacts.links.own import make_own
from edgebench.artifacts.links.reading import reading
from edgebench.artifacts.links.reference import reference
from edgebench.artifacts.links.training import compressed
from edgebench.artifacts.messages import BASE_MADE, Prepared, PrepareJob
from edgebench.backends.families import family_named
from edgebench.backends.registry import resolve
from edgebench.compress.steps import BASELINE, Step, parse_variant
from edgebench.measure.messages import Clock
from edgebench.measure.probes import opened
from edgebench.measure.process import answer_job
from edgebench.plan.targets import lowered_step
from edgebench.report.records import ArtifactRecord


def prepare(job: PrepareJob, started_s: float) -> Prepared:
    """Do the job; `started_s` is when the process began."""
    with opened(job.probes) as found:
        artifact = prepared(Chain(job, found.probes))
    return Prepared(artifact=artifact, clock=Clock(started_s=started_s, finished_s=time.monotonic()))


def prepared(chain: Chain) -> ArtifactRecord:
    """Return the job's artifact, made whole or, with a `parent` from a bundle, from there on."""
    if (parent := chain.job.parent) is not None:
        made = _from_parent(chain, parent)
        # The workstation's torch answered for the weights; that stays so whatever is made of them here.
        return replace(made, reference=parent.reference, prepared_on=parent.prepared_on)
    artifact, answers = make(chain)
    return replace(artifact, reference=None if answers is None else str(answers.path))


def make(chain: Chain) -> tuple[ArtifactRecord, ArtifactRecord | None]:
    """Return the artifact of the job's variant for the job's family, and what torch FP32 answers with its weights.

    The FP32 reference is that of the variant's own model before anything made it integer: pruning and distillation
    change weights on purpose and are compared with themselves.
    A user's file is compared with itself before it was compressed, in the same runtime.
    """
    steps = parse_variant(chain.job.variant)
    family = chain.job.family
    if (own := chain.job.own) is not None:
        return make_own(chain, own, None if chain.job.variant == BASELINE else chain.job.variant)
    current = full_precision = baseline(chain)
    sys.stdout.write(f"{BASE_MADE}\n")
    sys.stdout.flush()
    for step in steps:
        if step.kind.final:
            return resolve(step.kind.work)(chain, current), _answers(chain, full_precision)
        if not step.kind.lowered and family not in step.kind.lowered_in:
            current = compressed(chain, current, step)
            if step.kind.precision is None:
                full_precision = current
    return _lowered(chain, current, steps), _answers(chain, full_precision)


def _answers(chain: Chain, full_precision: ArtifactRecord) -> ArtifactRecord | None:
    """What the torch model answers: to a text where it generates, else whole outputs."""
    return (reading if chain.task.name == "generation" else reference)(chain, full_precision)


def _from_parent(chain: Chain, parent: ArtifactRecord) -> ArtifactRecord:
    """Do on the board what is done there: an engine is built, or the family's own links go on from the file."""
    if module := family_named(chain.job.family).links:
        made: ArtifactRecord = import_module(module).lowered(chain, parent, parse_variant(chain.job.variant))
        return made
    return runtimes.engine(chain, parent, lowered_step(chain.job.variant))


def _lowered(chain: Chain, current: ArtifactRecord, steps: Sequence[Step]) -> ArtifactRecord:
    """Export to what the runtime opens, then apply its own quantiser or converter where the last step is one."""
    family = chain.job.family
    if module := family_named(family).links:
        lowered: ArtifactRecord = import_module(module).lowered(chain, current, steps)
        return lowered
    last = steps[-1].kind if steps else None
    if family != "torch":
        current = runtimes.exported(chain, current, export_of(family))
    if family_named(family).local:
        return runtimes.engine(chain, current, lowered_step(chain.job.variant))
    if last is not None and last.lowered:
        current = resolve(last.work)(chain, current, family)
    return current


if __name__ == "__main__":
    sys.exit(answer_job(sys.argv[1:], PrepareJob, prepare))
