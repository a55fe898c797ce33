"""The roofline: what the machine can do at most is measured once, and every pass has its share of it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from tests.unit.records import MACHINE, inference, start

from edgebench.backends.base import TensorSpec
from edgebench.measure.messages import Clock
from edgebench.measure.results import Layers, OperatorWork
from edgebench.measure.roof_messages import Peak, RoofJob, RoofResult
from edgebench.measure.roofs import roofs as roofs_of
from edgebench.plan.plan import Benchmark, Plan
from edgebench.report.figures.given import Given
from edgebench.report.figures.roofline import roofline
from edgebench.report.log import Log
from edgebench.report.metric import Metrics, Reasons, single_value
from edgebench.report.records import ArtifactRecord, RoofRecord
from edgebench.session import roofs
from edgebench.session.options import Options
from edgebench.session.roofs import measure_roofs

ARTIFACT = ArtifactRecord(key="k", folder="f", file="m", format="onnx", digest="d", size_bytes=1000)
ROOF = RoofRecord(
    threads=2,
    created="2026-01-01T00:00:00Z",
    result=RoofResult(
        clock=Clock(started_s=0.0, finished_s=1.0),
        backend="openvino",
        threads=2,
        operations_per_s={"fp32": Peak(1e6, 0.8e6, 1.25e6), "int8": Peak(4e6, 4e6, 4e6)},
        bytes_per_s=Peak(1e5, 0.9e5, 1e5),
        missing={"fp16": "torch does not multiply in fp16 on this processor"},
    ),
)


def share(found: Metrics, missing: Reasons, precision: str = "fp32", roof: RoofRecord = ROOF, **result: Any) -> Any:
    cell = Mock(spec=Benchmark, params=Mock(precision=precision, threads=2))
    runs = [inference((0.5, 0.5, 0.5), **{"inputs": (TensorSpec("x", (10, 10), "float32"),), **result})] * 5
    return roofline(cell, runs, Given(ARTIFACT, (), start(), None, (roof,)), found, missing)


def test_a_pass_is_set_against_the_roof_above_its_intensity() -> None:
    found: Metrics = {"macs": single_value("macs", 35_000)}
    work = share(found, {})
    # 70,000 operations over 1,000 bytes of weights and 400 of inputs: 50 a byte, above the ridge of 10.
    assert (work.operations, work.bytes, work.bound) == (70_000, 1_400, "operations")
    assert found["operational_intensity"].median == 50
    assert found["operations_per_s"].median == 140_000
    assert found["roofline_fraction"].median == pytest.approx(0.14)
    # Runs that do not differ have no interval, so the share has none.
    assert found["roofline_fraction"].ci95 is None
    low: Metrics = {"macs": single_value("macs", 700)}
    work = share(low, {})
    assert (work.bound, work.roof_operations_per_s) == ("memory", pytest.approx(1e5))
    assert work.roof_range == pytest.approx((0.9e5, 1e5))


def test_the_interval_of_a_share_holds_the_range_of_the_roof() -> None:
    found: Metrics = {"macs": single_value("macs", 35_000)}
    cell = Mock(spec=Benchmark, params=Mock(precision="fp32", threads=2))
    runs = [
        inference((seconds,) * 3, inputs=(TensorSpec("x", (10, 10), "float32"),))
        for seconds in (0.50, 0.52, 0.49, 0.51, 0.48, 0.505)
    ]
    roofline(cell, runs, Given(ARTIFACT, (), start(), None, (ROOF,)), found, {})
    rate, fraction = found["operations_per_s"], found["roofline_fraction"]
    assert fraction.systematic == pytest.approx(fraction.median * 0.45 / 2.534)
    assert rate.ci95 is not None
    assert fraction.ci95 is not None
    (low, high), ends = rate.ci95, fraction.ci95
    # Wider than the latency alone says, by about two sigma of the roof on either side.
    assert ends[0] < 0.8 * low / 1e6
    assert ends[1] > 1.2 * high / 1e6


def test_the_roof_is_that_of_the_precision_that_ran() -> None:
    mostly = Layers(executed=9, counts={"int8": 1, "fp32": 8})
    work = share({"macs": single_value("macs", 35_000)}, {}, "int8", layers=mostly)
    assert work.precision == "fp32"
    work = share({"macs": single_value("macs", 35_000)}, {}, "int8")
    assert work.precision == "int8"


@pytest.mark.parametrize(
    ("given", "macs", "reason"),
    [
        ({}, False, "operations are not counted"),
        ({"settings": {"device": "CUDA"}}, True, "graphics unit"),
        ({"precision": "fp16"}, True, "torch does not multiply in fp16"),
        ({"precision": "bf16"}, True, "not measured in bf16"),
        ({"roof": RoofRecord(threads=2, error="none is installed")}, True, "none is installed"),
        ({"roof": RoofRecord(threads=8, error="other")}, True, "the session ended before"),
    ],
)
def test_a_share_that_cannot_be_had_says_why(given: dict[str, Any], macs: bool, reason: str) -> None:  # noqa: FBT001
    missing: Reasons = {}
    found: Metrics = {"macs": single_value("macs", 35_000)} if macs else {}
    assert share(found, missing, **given) is None
    assert reason in missing["roofline_fraction"].reason
    assert "roofline_fraction" not in found


def test_an_operator_brings_its_own_bytes() -> None:
    found: Metrics = {"operations_per_s": single_value("operations_per_s", 140_000)}
    work = share(found, {}, operator=OperatorWork(operations=70_000, bytes_moved=7_000))
    assert (work.bytes, found["operational_intensity"].median) == (7_000, 10)


def test_a_board_that_has_onnx_runtime_alone_has_a_roof() -> None:
    found = roofs_of(RoofJob(backend="onnxruntime", threads=1, cpus=(0,), rounds=2, round_s=0.01), 0.0)
    assert {"fp32", "int8"} == set(found.operations_per_s), found.missing
    assert 1e8 < found.operations_per_s["fp32"].value < 1e14
    assert 1e8 < found.bytes_per_s.value < 1e13


def test_the_roofs_are_measured_once_and_then_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cells = [Mock(kind="inference", params=Mock(threads=1)), Mock(kind="sustained", params=Mock(threads=4))]
    plan = Mock(spec=Plan, benchmarks=cells, seed=1)
    options = Options(folder=tmp_path, cache=tmp_path, cpus=tuple(sorted(os.sched_getaffinity(0)))[:1])

    def measured() -> RoofRecord:
        log = Mock(spec=Log, start=start(machine=MACHINE))
        log.roofs.return_value = []
        measure_roofs(plan, options, log, Mock())
        (call,) = log.add.call_args_list
        record: RoofRecord = call.args[0]
        return record

    first = measured()
    assert first.error is None
    assert first.result is not None
    peaks = first.result.operations_per_s
    assert peaks["fp32"].low <= peaks["fp32"].value <= peaks["fp32"].high
    # A processor of any kind: between a hundred million and a hundred thousand billion a second.
    assert 1e8 < peaks["fp32"].value < 1e14
    assert 1e8 < first.result.bytes_per_s.value < 1e13
    monkeypatch.setattr(roofs, "run_job", Mock(side_effect=AssertionError("measured again")))
    assert measured() == first
    (file,) = (tmp_path / "roofs").iterdir()
    file.write_text("not a roof", encoding="utf-8")
    with pytest.raises(AssertionError, match="measured again"):
        measured()
