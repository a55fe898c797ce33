"""One artifact: `python -m edgebench.artifacts.prepare JOB.json`.

It trains, compresses and exports what the store does not hold yet.
A variant is a chain: weights → baseline → its steps in torch → export to what the runtime opens → that runtime's own
static quantisation. Each link is an artifact of its own, keyed by its recipe and its parent.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from edgebench.artifacts.chain import Chain
from edgebench.artifacts.families import EXPORTS
from edgebench.artifacts.links import runtimes as links
from edgebench.artifacts.links.baseline import baseline
from edgebench.artifacts.links.own import make_own
from edgebench.artifacts.links.reference import reference
from edgebench.artifacts.links.runtimes import weights_int8
from edgebench.artifacts.links.training import compressed, quantisation_aware
from edgebench.artifacts.store import Artifact
from edgebench.backends.families import FAMILIES
from edgebench.compress.steps import Step, parse_variant
from edgebench.errors import EdgebenchError
from edgebench.machine.child import die_with_parent
from edgebench.measure.probes import ProbeSettings, opened
from edgebench.plan.targets import lowered_step
from edgebench_suites.errors import SuiteDataError


def main(job_file: str) -> int:
    """Do the job; the artifact, or the reason why there is none, goes to the job's `result` file."""
    started_s = time.monotonic()
    die_with_parent()
    job = json.loads(Path(job_file).read_text(encoding="utf-8"))
    os.sched_setaffinity(0, job["cpus"])
    result: dict[str, Any]
    try:
        with opened(ProbeSettings(tuple(job["probes"]["specs"]), job["probes"]["sysfs"])) as probes:
            result = {"artifact": record(Chain(job, probes))}
    except (EdgebenchError, SuiteDataError) as error:
        result = {"error": str(error)}
    result["clock"] = {"started": started_s, "finished": time.monotonic()}
    Path(job["result"]).write_text(json.dumps(result), encoding="utf-8")
    return 0


def record(chain: Chain) -> dict[str, Any]:
    """Return the record of the job's artifact, made whole or, with a `parent` from a bundle, from there on."""
    if (parent := chain.job["parent"]) is not None:
        # The workstation's torch answered for the weights; that stays so whatever is built from them here.
        kept = {key: parent[key] for key in ("reference", "prepared_on") if key in parent}
        step = lowered_step(chain.job["variant"])
        return {**_record(links.engine(chain, Artifact.of_record(parent), step)), **kept}
    artifact, answers = make(chain)
    return _record(artifact) | ({} if answers is None else {"reference": _record(answers)})


def make(chain: Chain) -> tuple[Artifact, Artifact | None]:
    """Return the artifact of the job's variant for the job's family, and what torch FP32 answers with its weights.

    The FP32 reference is that of the variant's own model before anything made it integer: pruning and distillation
    change weights on purpose and are compared with themselves. There is none for a user's file.
    """
    steps = parse_variant(chain.job["variant"])
    family = chain.job["family"]
    if chain.job["own"] is not None:
        variant = chain.job["variant"]
        return make_own(chain, quantise=variant == "ptq-static", halve=variant == "fp16"), None
    current = full_precision = baseline(chain)
    for step in steps:
        if step.kind.kind == "qat":
            return quantisation_aware(chain, current), reference(chain, full_precision)
        if not step.kind.lowered and family not in step.kind.lowered_in:
            current = compressed(chain, current, step)
            if step.kind.kind != "ptq-dynamic":
                full_precision = current
    return _lowered(chain, current, steps), reference(chain, full_precision)


def _lowered(chain: Chain, current: Artifact, steps: Sequence[Step]) -> Artifact:
    """Export to what the runtime opens, then apply its own quantiser or converter where the last step is one."""
    family = chain.job["family"]
    if module := FAMILIES[family].links:
        lowered: Artifact = import_module(module).lowered(chain, current, steps)
        return lowered
    last = steps[-1].kind if steps else None
    if family != "torch":
        current = links.exported(chain, current, EXPORTS[family])
    if FAMILIES[family].local:
        return links.engine(chain, current, lowered_step(chain.job["variant"]))
    if last is not None and last.lowered:
        lower = {"fp16": links.halved, "weights-int8": weights_int8}.get(last.kind, links.static)
        current = lower(chain, current, family)
    return current


def _record(artifact: Artifact) -> dict[str, Any]:
    return {**artifact.as_json(), "path": str(artifact.path)}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
