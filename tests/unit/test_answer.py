"""The answer of a report: who wins, by how much, how sure, what is missing."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.golden.make_sample import SAMPLE

from edgebench.render.answer import gap_sentence, told
from edgebench.render.units import MINUS, TIMES, TO
from edgebench.report.answer import Answer, Group, answer_of
from edgebench.report.change import change_of
from edgebench.report.io import parse_report, read_report
from edgebench.report.model import Report

BASE, STATIC = "mobilenet_v2/baseline/torch/fp32", "mobilenet_v2/ptq-static/openvino/int8"
DYNAMIC = "mobilenet_v2/ptq-dynamic/torch/int8"


def changed(change: Any) -> Report:
    """Return the sample after `change(its benchmarks by name, all of it)`."""
    data = read_report(SAMPLE).model_dump(mode="json")
    change({row["name"]: row for row in data["benchmarks"]}, data)
    return parse_report(json.dumps(data).encode(), "changed.json")


def models(answer: Answer) -> Group:
    return next(group for group in answer.groups if group.kind == "inference")


def first_sentence(report: Report) -> str:
    shown = told(report, answer_of(report))[0].sentences[0]
    return shown.translate({ord(TIMES): "x", ord(MINUS): "-", ord(TO): "-"})


def test_the_winner_its_gains_and_how_sure_they_are() -> None:
    report = read_report(SAMPLE)
    answer = answer_of(report)
    group = models(answer)
    assert (answer.runs, group.reference, group.rows[:2]) == ((5, 5), BASE, (BASE, STATIC))
    assert [(one.wins, one.name, one.rivals == ()) for one in group.winners] == [
        ("fastest", STATIC, True),
        ("most frugal", STATIC, True),
        ("smallest", STATIC, True),
        ("most accurate", "mobilenet_v2/prune40/torch/fp32", False),
    ]
    assert first_sentence(report) == (
        "ptq-static on OpenVINO is fastest, most frugal and smallest: 7.69x [7.68, 7.70] the baseline's speed, "
        "7.67x [7.59, 7.74] less energy, 73 % smaller, accuracy -0.56 points [-2.38, +1.12] (cannot be told from 0)."
    )
    fastest = group.winner("fastest")
    assert fastest is not None
    assert fastest.change is not None
    latency = [
        next(row for row in report.benchmarks if row.name == name).metrics["latency_s"] for name in (STATIC, BASE)
    ]
    assert fastest.change.ratio == pytest.approx(latency[0].median / latency[1].median)
    assert [gap_sentence(report, gap).partition(":")[0] for gap in answer.gaps] == [
        "mobilenet_v2/qat/openvino/int8 failed",
        "no energy of conv3x3/openvino/fp32 and conv3x3/openvino/int8",
    ]


def test_what_answers_wrongly_does_not_win() -> None:
    def wrong(rows: Any, _: Any) -> None:
        rows[STATIC]["warnings"] = [{"code": "constant", "text": "its outputs are the same whatever it is fed"}]

    group = models(answer_of(changed(wrong)))
    assert group.wrong == (STATIC,)
    assert STATIC not in {winner.name for winner in group.winners}


def test_a_baseline_that_is_fastest_says_how_far_behind_the_next_is() -> None:
    def slower(rows: Any, _: Any) -> None:
        for name, row in rows.items():
            if name != BASE and (latency := row.get("metrics", {}).get("latency_s")):
                latency["runs"] = [[2 * value for value in run] for run in latency["runs"]]
                latency["median"] *= 2
        rows[STATIC]["status"], rows[STATIC]["reason"] = "failed", "it crashed"

    assert first_sentence(changed(slower)) == (
        "The baseline (torch) is fastest: the next, ptq-dynamic on torch, has 0.5021x [0.5014, 0.5025] its speed."
    )


def test_a_baseline_that_beats_that_of_another_runtime_is_held_against_it_by_name() -> None:
    def as_it_is(rows: Any, _: Any) -> None:
        rows[STATIC]["name"] = "mobilenet_v2/baseline/openvino/fp32"
        rows[STATIC]["params"] |= {"variant": "baseline", "precision": "fp32"}

    assert first_sentence(changed(as_it_is)).startswith(
        "baseline on OpenVINO is fastest, most frugal and smallest: 7.69x [7.68, 7.70] the speed of baseline on torch, "
    )


def test_few_runs_win_by_a_range_and_overlapping_ones_are_rivals() -> None:
    def two_runs(rows: Any, _: Any) -> None:
        for row in rows.values():
            for metric in row.get("metrics", {}).values():
                if metric.get("runs"):
                    metric["runs"] = metric["runs"][:2]
        rows[DYNAMIC]["metrics"]["latency_s"]["runs"] = [[0.0060] * 4, [0.0064] * 4]

    report = changed(two_runs)
    fastest = models(answer_of(report)).winner("fastest")
    assert fastest is not None
    assert fastest.change is not None
    assert fastest.change.sure == "unsure"
    assert set(fastest.rivals) | {fastest.name} == {STATIC, DYNAMIC}
    assert ", though it cannot be told from " in first_sentence(report)
    assert ", 2 runs) the baseline's speed" in first_sentence(report)


@pytest.mark.parametrize(
    ("isa", "int8", "ceiling", "reason"),
    [
        (["avx2"], 58, "none", "this processor has no VNNI: 8-bit products are emulated"),
        (
            ["asimd", "asimdhp"],
            58,
            "none",
            "this processor has no dot-product instructions: 8-bit products are emulated",
        ),
        (
            ["avx2", "avx512_vnni"],
            58,
            "avx2",
            "under the ISA ceiling avx2 there is no VNNI: 8-bit products are emulated",
        ),
        (["avx2", "avx512_vnni"], 0, "none", "no layer ran in INT8"),
        (["avx2", "avx512_vnni"], 58, "none", None),
    ],
)
def test_why_int8_does_not_pay(isa: list[str], int8: int, ceiling: str, reason: str | None) -> None:
    def slow(rows: Any, data: Any) -> None:
        data["machine"]["isa"] = isa
        rows[DYNAMIC]["params"]["isa"] = ceiling
        rows[DYNAMIC]["layers"]["int8"] = int8

    assert models(answer_of(changed(slow))).no_gain.get(DYNAMIC) == reason


def test_without_a_baseline_the_best_is_still_named_and_a_lone_benchmark_is_no_contest() -> None:
    def rest(rows: Any, data: Any) -> None:
        data["benchmarks"] = [rows[DYNAMIC], rows[STATIC]]
        data["contrasts"] = []

    report = changed(rest)
    assert models(answer_of(report)).reference is None
    assert first_sentence(report) == "ptq-static on OpenVINO is fastest."

    def one(rows: Any, data: Any) -> None:
        rest(rows, data)
        del data["benchmarks"][0]

    assert first_sentence(changed(one)) == "Nothing to compare: one benchmark has figures."


@given(st.lists(st.tuples(st.floats(1e-3, 1e3), st.floats(1e-3, 1e3)), min_size=1, max_size=12))
def test_a_change_the_other_way_round_is_as_sure(pairs: list[tuple[float, float]]) -> None:
    def these(rows: Any, data: Any) -> None:
        for side, name in enumerate((BASE, STATIC)):
            rows[name]["metrics"]["latency_s"]["runs"] = [[pair[side]] for pair in pairs]
        data["benchmarks"] = [rows[BASE], rows[STATIC]]

    report = changed(these)
    base, head = report.benchmarks
    there, back = (change_of(report, "latency_s", *sides) for sides in ((base, head), (head, base)))
    assert there is not None
    assert back is not None
    turned = {"better": "worse", "worse": "better"}
    assert back.sure == turned.get(there.sure, there.sure)


def test_failures_of_one_cause_are_one_gap_whatever_files_they_name() -> None:
    def fail(rows: dict[str, Any], _: Any) -> None:
        for number, name in enumerate((DYNAMIC, STATIC)):
            rows[name]["status"] = "failed"
            rows[name]["reason"] = f"it refuses /tmp/run-{number}/a.engine (no such GPU): build it here"

    gaps = [gap for gap in answer_of(changed(fail)).gaps if "no such GPU" in gap.reason]
    assert [(gap.reason, set(gap.names)) for gap in gaps] == [
        ("it refuses /tmp/run-0/a.engine (no such GPU): build it here", {STATIC, DYNAMIC})
    ]
