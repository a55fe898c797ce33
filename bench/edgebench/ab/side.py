"""One side of `edgebench ab`, run by that side's own Python: `python -m edgebench.ab.side REQUEST.json`.

It plans the suite, makes the artifacts with the packages of its environment and answers with the jobs of its workers,
so that two environments need to agree on nothing but this file's request and answer.
"""

from __future__ import annotations

import json
import platform
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import edgebench
from edgebench.artifacts.store import cache_folder
from edgebench.errors import EdgebenchError
from edgebench.machine.child import die_with_parent
from edgebench.measure.probes import ProbeSettings
from edgebench.plan.estimate import measure_seconds
from edgebench.plan.kinds import KINDS
from edgebench.plan.load import load_plan
from edgebench.plan.plan import Overrides
from edgebench.report.journal import Journal
from edgebench.report.log import Log
from edgebench.session.options import Options
from edgebench.session.preparation import prepare_all
from edgebench.session.rounds import make_job
from edgebench_suites.data.load import load_data
from edgebench_suites.errors import SuiteDataError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edgebench.plan.plan import Plan

PROTOCOL = 1


class _Lines:
    """Progress as lines on stdout, which the parent shows."""

    def step(self, stage: str, text: str) -> None:
        """Tell what happens now."""
        self.note(f"{stage}: {text}")

    def advance(self, name: str) -> None:
        """Nothing: the parent counts."""

    def power(self, watts: float, scope: str) -> None:
        """Nothing: preparing has no power worth showing."""

    def note(self, text: str) -> None:
        """Write one line."""
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()


def main(request_file: str) -> int:
    """Answer the request; a reason why not is an answer too."""
    die_with_parent()
    request = json.loads(Path(request_file).read_text(encoding="utf-8"))
    try:
        answer = prepared(request) if request["protocol"] == PROTOCOL else {"error": "the two edgebench do not match"}
    except (EdgebenchError, SuiteDataError) as error:
        answer = {"error": str(error)}
    Path(request["result"]).write_text(json.dumps(answer), encoding="utf-8")
    return 0


def prepared(request: Mapping[str, Any]) -> dict[str, Any]:
    """Return the cells of the suite with their jobs, or the reasons why they cannot be measured."""
    plan = _plan(request)
    options = Options(
        folder=cache_folder(),
        cache=cache_folder(),
        cpus=tuple(request["cpus"]),
        probes=ProbeSettings(tuple(request["probes"]), request["sysfs"]),
        data=Path(request["data"]) if request["data"] else None,
    )
    with tempfile.TemporaryDirectory(prefix="edgebench-ab-") as folder:
        journal = Journal.open(Path(folder, "journal"), plan.digest)
        log = Log(journal, [])
        artifacts = prepare_all(plan, options, log, _Lines()) if request["prepare"] else {}
        reasons = {
            record["cell"]: record["reason"] for record in log.records if record["type"] in {"skipped", "failed"}
        }
        journal.close()
    return {
        "edgebench": edgebench.__version__,
        "python": platform.python_version(),
        "suite": plan.name,
        "suite_digest": plan.suite_digest,
        "seed": plan.seed,
        "cells": [_cell(plan, options, cell.name, artifacts.get(cell.name), reasons) for cell in plan.benchmarks],
    }


def _plan(request: Mapping[str, Any]) -> Plan:

    dataset = "digits"
    if request["data"]:
        dataset = load_data(Path(request["data"]), seed=0).name
    overrides = Overrides(request["only"], None, None, request["threads"], None)
    return load_plan(request["suite"], dataset=dataset, cores=len(request["cpus"]), overrides=overrides)


def _cell(plan: Plan, options: Options, name: str, artifact: dict[str, Any] | None, reasons: Mapping[str, str]) -> Any:

    cell = next(cell for cell in plan.benchmarks if cell.name == name)
    job = None
    if not KINDS[cell.kind].paired:
        reasons = {**reasons, name: "sustained load heats the machine up, so that two sides cannot take turns"}
    if name not in reasons and (artifact is not None or cell.params.operator is not None):
        job = make_job(plan, cell, artifact, options, loops=0, describe=True)
    return {
        "name": name,
        "kind": cell.kind,
        "params": asdict(cell.params),
        "job": job,
        "reason": reasons.get(name),
        "size_bytes": None if artifact is None else artifact["size_bytes"],
        "limit_s": cell.measure.time_limit_s,
        "estimate_s": measure_seconds(cell),
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
