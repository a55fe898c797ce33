"""One artifact: `python -m edgebench.prepare JOB.json` trains, compresses and exports what the store does not hold yet.

A variant is a chain: weights → baseline → its steps in torch → export to what the runtime opens → that runtime's own
static quantisation. Each link is an artifact of its own, keyed by its recipe and its parent.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from edgebench import links
from edgebench.artifact import Artifact
from edgebench.chain import Chain
from edgebench.child import die_with_parent
from edgebench.compress.steps import parse_variant
from edgebench.energy import ProbeSettings, opened
from edgebench.errors import EdgebenchError
from edgebench.lowering import ALWAYS_BUILT, EXPORTS
from edgebench.making import lowered_step
from edgebench.own import make_own
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
            artifact = make(Chain(job, probes))
        result = {"artifact": {**artifact.as_json(), "path": str(artifact.path)}}
    except (EdgebenchError, SuiteDataError) as error:
        result = {"error": str(error)}
    result["clock"] = {"started": started_s, "finished": time.monotonic()}
    Path(job["result"]).write_text(json.dumps(result), encoding="utf-8")
    return 0


def make(chain: Chain) -> Artifact:
    """Return the artifact of the job's variant for the job's family."""
    steps = parse_variant(chain.job["variant"])
    family = chain.job["family"]
    if chain.job["own"] is not None:
        variant = chain.job["variant"]
        return make_own(chain, quantise=variant == "ptq-static", halve=variant == "fp16")
    current = links.baseline(chain)
    for step in steps:
        if step.kind.kind == "qat":
            return links.qat(chain, current)
        if not step.kind.lowered:
            current = links.compressed(chain, current, step)
    if family != "torch":
        current = links.exported(chain, current, EXPORTS[family])
    if family in ALWAYS_BUILT:
        return links.engine(chain, current, lowered_step(chain.job["variant"]))
    if steps and steps[-1].kind.lowered:
        lower = links.halved if steps[-1].kind.kind == "fp16" else links.static
        current = lower(chain, current, family)
    return current


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
