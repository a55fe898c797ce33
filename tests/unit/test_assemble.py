"""From the journal to the report: nothing that is in one is missing from the other."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

from tests.session.kills import SUITE
from tests.unit.records import run, start

from edgebench.plan.load import load_plan
from edgebench.plan.suites import open_suite
from edgebench.report.assemble import assemble
from edgebench.report.journal import Journal
from edgebench.report.log import Log
from edgebench.report.records import SkippedRecord


def test_runs_stay_when_a_resumed_session_would_skip_their_benchmark(tmp_path: Path) -> None:
    (tmp_path / "kills.toml").write_text(SUITE, encoding="utf-8")
    plan = load_plan(open_suite(str(tmp_path / "kills.toml")), dataset="digits", cores=1)
    name, other = (cell.name for cell in plan.benchmarks)
    with Journal.open(tmp_path / "journal", plan.digest) as journal:
        log = Log(journal)
        log.add(start(id=str(UUID(int=1)), created="2026-01-01T00:00:00Z"))
        for turn in range(2):
            log.add(run(name, turn))
        for cell in (name, other):
            log.add(SkippedRecord(cell=cell, reason="the runtime is gone"))
        report = assemble(plan, log)
        assert not log.finished(plan), "a run is missing that may be had elsewhere"
    measured, skipped = (report.benchmark(cell) for cell in (name, other))
    assert measured is not None
    assert len(measured.metrics["latency_s"].runs or ()) == 2
    (notice,) = [found for found in measured.warnings if found.code == "runs-missing"]
    assert notice.text.startswith("2 of 3 runs (it is skipped now: the runtime is gone)")
    assert skipped is not None
    assert skipped.status == "skipped"
