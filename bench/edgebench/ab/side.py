"""One side of `edgebench ab`, run by that side's own Python.

It plans the suite, makes the artifacts with the packages of its environment and answers with the jobs of its workers.
"""

from __future__ import annotations

import platform
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

import edgebench
from edgebench.ab.messages import PlanQuestion, SideCell, SidePlan
from edgebench.artifacts.store import cache_folder
from edgebench.compress.steps import BASELINE
from edgebench.errors import EdgebenchError
from edgebench.machine.claims import scratch
from edgebench.measure.messages import Clock, Failure
from edgebench.plan.estimate import measure_seconds
from edgebench.plan.kinds import KINDS
from edgebench.plan.load import load_plan
from edgebench.plan.own import OwnOptions, own_model
from edgebench.plan.plan import Overrides
from edgebench.report.journal import Journal
from edgebench.report.log import Log
from edgebench.session.look import look
from edgebench.session.options import Options
from edgebench.session.preparation import prepare_all
from edgebench.session.rounds import make_job
from edgebench_suites.data.load import load_data
from edgebench_suites.errors import SuiteDataError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from edgebench.plan.plan import Benchmark, Plan
    from edgebench.report.metric import Watts
    from edgebench.report.records import ArtifactRecord


class _Lines:
    """Progress as lines on stdout, which the parent shows."""

    def step(self, stage: str, text: str, unit: str = "") -> None:
        """Tell what happens now."""
        del unit
        self.note(f"{stage}: {text}")

    def expect(self, left: Mapping[str, int]) -> None:
        """Nothing: the parent counts."""

    def advance(self, name: str) -> None:
        """Nothing: the parent counts."""

    def meter(self, read: Callable[[], Watts | None]) -> None:
        """Nothing: preparing has no power worth showing."""

    def power(self, watts: Watts) -> None:
        """Nothing, like the meter."""

    def note(self, text: str) -> None:
        """Write one line."""
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()


def answer_plan(question: PlanQuestion, started_s: float) -> SidePlan | Failure:
    """Return the cells of the suite with their jobs, or the reasons why they cannot be measured."""
    try:
        plan = _plan(question)
        cells = _cells(plan, question)
    except (EdgebenchError, SuiteDataError) as error:
        return Failure(error=str(error), clock=Clock(started_s=started_s, finished_s=time.monotonic()))
    return SidePlan(
        edgebench=edgebench.__version__,
        python=platform.python_version(),
        suite_digest=plan.suite_digest,
        seed=plan.seed,
        cells=cells,
        clock=Clock(started_s=started_s, finished_s=time.monotonic()),
    )


def _cells(plan: Plan, question: PlanQuestion) -> tuple[SideCell, ...]:
    options = Options(
        folder=cache_folder(),
        cache=cache_folder(),
        cpus=question.cpus,
        probes=question.probes,
        data=Path(question.data) if question.data else None,
    )
    with scratch() as folder:
        with Journal.open(folder / "journal", plan.digest) as journal:
            log = Log(journal)
            artifacts = prepare_all(plan, options, log, _Lines()) if question.prepare else {}
        return tuple(_cell(plan, options, cell, artifacts.get(cell.name), log) for cell in plan.benchmarks)


def _plan(question: PlanQuestion) -> Plan:
    dataset = "digits" if question.data is None else load_data(Path(question.data), seed=0).name
    overrides = Overrides(question.only, None, None, question.threads, None)
    own = None
    if question.model is not None:
        own = own_model(Path(question.model), OwnOptions(question.shapes, question.inputs), look)
    plan = load_plan(question.suite, dataset=dataset, cores=len(question.cpus), overrides=overrides, own=own)
    if own is None:
        return plan
    # The file as it is: what can be made of one of two files need not be made of the other.
    return replace(plan, benchmarks=tuple(cell for cell in plan.benchmarks if cell.params.variant == BASELINE))


def _cell(plan: Plan, options: Options, cell: Benchmark, artifact: ArtifactRecord | None, log: Log) -> SideCell:
    ended = log.given_up(cell.name)
    reason = None if ended is None else ended.reason
    if not KINDS[cell.kind].paired:
        reason = "sustained load heats the machine up, so that two sides cannot take turns"
    job = None
    if reason is None and (artifact is not None or cell.params.operator is not None):
        made = make_job(plan, cell, artifact, options, loops=0, describe=True)
        job = msgspec.json.encode(made).decode()
    name, params = cell.name, asdict(cell.params)
    if plan.own_model is not None:
        # Two files differ in name, and may in precision: that is what is compared.
        name = "/".join(["model", cell.params.backend, *name.split("/")[4:]])
        params = {key: value for key, value in params.items() if key not in ("model", "precision")}
    return SideCell(
        name=name,
        params=params,
        threads=cell.params.threads,
        isa=cell.params.isa,
        limit_s=cell.measure.time_limit_s,
        estimate_s=measure_seconds(cell),
        size_bytes=None if artifact is None else artifact.size_bytes,
        job=job,
        reason=reason,
    )
