"""Rounds go on until the intervals are as narrow as asked, fairly interleaved, and the same after any kill."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit import records

from edgebench.commands.main import main
from edgebench.errors import UsageError
from edgebench.plan.load import load_plan
from edgebench.plan.plan import Benchmark, Overrides, Params, Plan
from edgebench.plan.suitefile import Measure, Recipe
from edgebench.render.head import head
from edgebench.report.assemble import assemble
from edgebench.report.intervals import interval
from edgebench.report.io import read_report, write_report
from edgebench.report.journal import Journal
from edgebench.report.log import Log
from edgebench.report.metric import metric_from_runs
from edgebench.report.precision import half_width, told
from edgebench.report.records import EndRecord, FailedRecord
from edgebench.session.rounds import widths_in
from edgebench.session.schedule import Turn, ahead, turns

PRECISE = Measure(precision=0.02, min_runs=5, max_runs=27)
START = records.start(id="00000000-0000-4000-8000-000000000000", created="2026-01-01T00:00:00Z")
SDS = {"quiet": 0.003, "noisy": 0.03, "calm": 0.001, "fixed": 0.05}


def cell(name: str, group: str, measure: Measure = PRECISE) -> Benchmark:
    params = Params("m", "baseline", "openvino", "fp32", 1, 1, 224, operator="matmul")
    return Benchmark(name, "operator", params, group, measure, Recipe())


CELLS = (
    cell("quiet", "a"),
    cell("noisy", "a"),
    cell("calm", "b"),
    cell("fixed", "b", Measure(processes=3)),
)


def plan(cells: tuple[Benchmark, ...] = CELLS, *, max_minutes: float = 60.0) -> Plan:
    return Plan("p", "", None, 1, 0.0, "digits", "d", cells, max_minutes=max_minutes)


def walk(of: Plan, path: Path, stop: Callable[[int], bool] = lambda _: False) -> list[Turn]:
    """Measure what is due, made-up runs of five seconds; `stop` kills the session after so many of them."""
    done = []
    with Journal.open(path, of.digest) as journal:
        log = Log(journal)
        if log.start is None:
            log.add(START)
        for due in turns(of, log, widths_in(log)):
            if log.given_up(due.cell.name) or any(run.turn == due.turn for run in log.runs(due.cell.name)):
                continue
            noise = random.Random(f"{due.cell.name}/{due.turn}")  # noqa: S311  # noise, not secrecy
            log.add(records.run(due.cell.name, due.turn, values=(math.exp(noise.gauss(0, SDS[due.cell.name])),)))
            done.append(due)
            if stop(len(done)):
                return done
    return done


def runs_of(path: Path, of: Plan) -> dict[str, list[float]]:
    with Journal.open(path, of.digest) as journal:
        log = Log(journal)
        return {one.name: [run.result.values[0] for run in log.runs(one.name)] for one in of.benchmarks}


def half(values: list[float]) -> float:
    ends = interval(values)
    assert ends is not None
    return max(ends[1] / median(values), median(values) / ends[0]) - 1


def test_rounds_go_on_until_the_whole_group_has_it(tmp_path: Path) -> None:
    order = walk(plan(), tmp_path / "j")
    runs = runs_of(tmp_path / "j", plan())
    assert len(runs["fixed"]) == 3, "a benchmark that is asked for a number has it"
    assert len(runs["calm"]) == 7, "what is precise at once has a third more"
    assert len(runs["noisy"]) == len(runs["quiet"]) > 5, "a round of a group has every benchmark, for its contrasts"
    assert half(runs["noisy"]) <= 0.02 or len(runs["noisy"]) == 27
    assert [due.place for due in order] == list(range(len(order)))
    rounds = [{due.cell.name for due in order if due.turn == turn and due.cell.group == "a"} for turn in range(6)]
    assert all(one == {"quiet", "noisy"} for one in rounds)


@settings(max_examples=12, deadline=None)
@given(st.lists(st.integers(1, 20), max_size=6))
def test_killed_and_resumed_it_measures_the_same_once(kills: list[int]) -> None:
    with TemporaryDirectory() as folder:
        whole = walk(plan(), Path(folder, "whole"))
        parts = [walk(plan(), Path(folder, "parts"), partial(int.__le__, most)) for most in kills]
        parts.append(walk(plan(), Path(folder, "parts")))
    assert [due for part in parts for due in part] == whole


def test_time_that_is_used_up_leaves_everyone_the_fewest_runs(tmp_path: Path) -> None:
    """Ten runs of five seconds and three more are the fewest; a minute is over before."""
    of = plan(max_minutes=1.0)
    order = walk(of, tmp_path / "j")
    assert Counter(due.cell.name for due in order) == {"quiet": 5, "noisy": 5, "calm": 5, "fixed": 3}
    of = plan(max_minutes=100 / 60)
    order = walk(of, tmp_path / "k")
    assert Counter(due.cell.name for due in order) == {"quiet": 6, "noisy": 6, "calm": 5, "fixed": 3}


def test_a_benchmark_that_failed_holds_nobody_up(tmp_path: Path) -> None:
    of = plan()
    with Journal.open(tmp_path / "j", of.digest) as journal:
        log = Log(journal)
        log.add(START)
        log.add(FailedRecord(cell="noisy", reason="no"))
    order = walk(of, tmp_path / "j")
    counts = Counter(due.cell.name for due in order)
    assert counts == {"quiet": 7, "calm": 7, "fixed": 3}


def test_the_report_says_what_was_asked_and_reached_and_why_it_ended(tmp_path: Path) -> None:
    of = plan(max_minutes=100 / 60)
    walk(of, tmp_path / "j")
    with Journal.open(tmp_path / "j", of.digest) as journal:
        log = Log(journal)
        log.add(EndRecord(seconds=1.0, resumed=False, complete=log.finished(of)))
        report = assemble(of, log)
    assert report.status == "complete"
    found = {one.name: one for one in report.benchmarks}
    noisy, calm = found["noisy"].precision, found["calm"].precision
    assert found["fixed"].precision is None
    assert noisy is not None
    assert calm is not None
    assert (calm.asked, calm.stopped) == (0.02, "reached")
    assert calm.reached["latency_s"] == pytest.approx(half(runs_of(tmp_path / "j", of)["calm"]))
    assert noisy.stopped == "max_minutes"
    assert noisy.reached["latency_s"] > 0.02
    texts = [notice.text for notice in found["noisy"].warnings if notice.code == "imprecise"]
    assert texts == [told(noisy, 6)]
    why = "the time for measuring was used up (--max-minutes)"
    assert texts[0].endswith(f"in 6 runs, not the ±2 % that was asked for: {why}")
    assert "imprecise" not in {notice.code for notice in found["calm"].warnings}
    write_report(report, tmp_path / "r.json")
    read = read_report(tmp_path / "r.json")
    assert [one.precision for one in read.benchmarks] == [one.precision for one in report.benchmarks]
    assert dict(head(report))["precision"].startswith("2 of 3 benchmarks have the precision")
    (summed,) = [notice.text for notice in report.warnings if notice.code == "imprecise"]
    assert summed == f"2 of 3 benchmarks have the precision that was asked for (±2 %); where not, {why}"


def test_what_is_ahead_counts_down_and_knows_the_bounds(tmp_path: Path) -> None:
    of = plan()
    with Journal.open(tmp_path / "j", of.digest) as journal:
        log = Log(journal)
        log.add(START)
        assert ahead(of, log, widths_in(log), prepared=True) == {
            "idle before": 0, "idle after": 0, "roofs 1": 1, "quiet": 7, "noisy": 7, "calm": 7, "fixed": 3,
        }  # fmt: skip
    walk(of, tmp_path / "j", lambda done: done >= 18)
    with Journal.open(tmp_path / "j", of.digest) as journal:
        log = Log(journal)
        left = ahead(of, log, widths_in(log), prepared=True)
        assert (left["calm"], left["fixed"]) == (2, 0)
        assert left["noisy"] == left["quiet"]
        assert 3 <= left["noisy"] <= 22
        less = ahead(plan(max_minutes=2.0), log, widths_in(log), prepared=True)
    assert sum(less.values()) * 5 <= 30 + 5, "of two minutes, ninety seconds are over"


SUITE = """
name = "mine"
max_minutes = 7
[measure]
precision = 0.03
min_runs = 6
[[benchmark]]
kind = "operator"
operator = ["conv3x3"]
backend = ["openvino"]
[[benchmark]]
kind = "operator"
operator = ["matmul"]
backend = ["openvino"]
measure = { precision = 0.0, processes = 4 }
[[benchmark]]
kind = "sustained"
model = ["mobilenet_v2"]
backend = ["openvino"]
measure = { processes = 2 }
"""


@pytest.fixture
def suite(tmp_path: Path) -> str:
    path = tmp_path / "mine.toml"
    path.write_text(SUITE, encoding="utf-8")
    return str(path)


def bounds(suite: str, overrides: Overrides | None = None) -> list[tuple[float, int, int]]:
    of = load_plan(suite, dataset="digits", cores=2, overrides=overrides)
    found = [one.measure for one in of.benchmarks]
    return [(measure.precision, measure.least_runs, measure.most_runs) for measure in found]


def test_a_suite_and_the_command_line_ask_for_precision(suite: str) -> None:
    assert bounds(suite) == [(0.03, 6, 40), (0.0, 4, 4), (0.0, 2, 2)]
    assert bounds(suite, Overrides(precision=0.01))[0] == (0.01, 6, 40)
    assert bounds(suite, Overrides(processes=9)) == [(0.0, 9, 9)] * 3
    assert load_plan(suite, dataset="digits", cores=2).max_minutes == 7
    both = [load_plan(suite, dataset="digits", cores=2, overrides=Overrides(max_minutes=one)) for one in (1, 2)]
    assert both[0].digest == both[1].digest, "with more time, a stopped session goes on"
    assert both[0].suite_digest == load_plan(suite, dataset="digits", cores=2).suite_digest


def test_how_often_something_is_measured_leaves_reports_comparable(suite: str) -> None:
    before = load_plan(suite, dataset="digits", cores=2).suite_digest
    Path(suite).write_text(SUITE.replace("precision = 0.03\nmin_runs = 6", "precision = 0.01"), encoding="utf-8")
    assert load_plan(suite, dataset="digits", cores=2).suite_digest == before


def test_a_suite_speaks_for_what_it_includes(suite: str, tmp_path: Path) -> None:
    outer = tmp_path / "outer.toml"
    text = f'name = "outer"\ninclude = ["{suite}"]\n[measure]\nprecision = 0.05\nmax_runs = 12\n'
    outer.write_text(text, encoding="utf-8")
    assert bounds(str(outer)) == [(0.05, 6, 12), (0.0, 4, 4), (0.0, 2, 2)]


def test_bounds_that_cross_are_refused_with_their_line(suite: str) -> None:
    Path(suite).write_text(SUITE.replace("min_runs = 6", "min_runs = 60\nmax_runs = 50"), encoding="utf-8")
    with pytest.raises(UsageError, match=r"mine\.toml:7: max_runs = 50 is less than min_runs = 60: raise it"):
        load_plan(suite, dataset="digits", cores=2)


@pytest.mark.parametrize("words", [("--precision", "0"), ("--precision", "120%"), ("--max-minutes", "-3")])
def test_what_is_no_precision_is_refused(suite: str, words: tuple[str, str]) -> None:
    assert main(["suite", suite, *words]) == 2


def test_the_dry_run_shows_the_bounds(suite: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["suite", suite, "--dry-run", "--precision", "1%", "--max-minutes", "3"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "6-40" in shown
    assert "until every interval is within ±1 %, for 3 min of measuring at most" in shown
    assert main(["suite", suite, "--dry-run", "--precision", "1%", "--processes", "3"]) == 2


def test_what_is_systematic_in_joules_does_not_keep_the_rounds_going() -> None:
    runs = [[1.0 + 0.001 * step] for step in (0, 3, 1, 4, 2, 5)]
    exact, meter = (metric_from_runs("energy_gross_j", runs, systematic=systematic) for systematic in (None, 0.05))
    assert meter.ci95 is not None
    assert meter.ci95[1] - meter.ci95[0] > 0.15
    assert half_width(meter) == half_width(exact)
