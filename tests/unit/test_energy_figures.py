"""What a figure of energy is unsure by: runs that differ, not windows of one process taken for runs."""

from __future__ import annotations

import math

import pytest
from tests.unit import records

from edgebench.measure.ledger import ProbeFacts
from edgebench.measure.results import Windows
from edgebench.plan.plan import Benchmark, Params
from edgebench.plan.suitefile import Measure, Recipe
from edgebench.report.figures.energy import energy
from edgebench.report.metric import Metrics
from edgebench.report.quantity import Metric

CELL = Benchmark("a", "inference", Params("m", "baseline", "openvino", "fp32", 1, 1, 224), "g", Measure(), Recipe())
PROBE = ProbeFacts(
    name="rapl", source="s", scope="package", kind="counter", resolution=1e-6, refresh_s=1e-3, overhead_s=1e-5
)


def gross(*runs: tuple[float, ...]) -> Metric:
    found: Metrics = {}
    windows = [Windows(windows=tuple(records.window("package", joules) for joules in run)) for run in runs]
    energy(CELL, windows, (), records.start(probes=(PROBE,)), found, {})
    return found["energy_gross_j"]


def test_windows_of_one_process_do_not_make_up_for_runs() -> None:
    few, many = gross((2.0,), (2.2,)), gross((2.0,) * 50, (2.2,) * 50)
    for figure in (few, many):
        assert figure.parts is not None
        assert figure.parts["runs"] == pytest.approx(0.1), "half of what the two runs differ by, whatever the windows"
        assert figure.uncertainty is not None
        assert figure.uncertainty == pytest.approx(math.hypot(0.1, figure.parts["resolution"]))
        assert figure.median == pytest.approx(2.1)


def test_a_single_run_says_that_it_only_knows_its_windows() -> None:
    figure = gross((2.0, 2.2))
    assert figure.parts is not None
    assert "runs" not in figure.parts
    assert figure.parts["windows"] == pytest.approx(0.1)
    assert figure.ci95 is None
