"""What a report says beside a benchmark of how its runs differ."""

from __future__ import annotations

import pytest
from tests.unit import records

from edgebench.plan.plan import Benchmark, Params
from edgebench.plan.suitefile import Measure, Recipe
from edgebench.report.notices import cell_notices

CELL = Benchmark("a", "inference", Params("m", "baseline", "openvino", "fp32", 1, 1, 224), "g", Measure(), Recipe())


@pytest.mark.parametrize(
    ("latencies_ms", "code"),
    [
        ([1.0, 1.001, 0.999, 1.002, 0.998, 1.0, 1.001, 0.999, 1.3, 1.0], "runs-outlying"),
        ([1.0, 1.001, 0.999, 1.002, 0.998, 1.28, 1.281, 1.279, 1.28, 1.282], "runs-bimodal"),
        ([1.0, 1.001, 0.999, 1.002, 0.998, 1.0, 1.001, 0.999, 1.0005, 1.0], None),
        ([1.0, 1.3], None),
    ],
)
def test_runs_that_stand_apart_are_told_beside_the_figure(latencies_ms: list[float], code: str | None) -> None:
    runs = [records.run(turn=turn, values=(each / 1e3,)) for turn, each in enumerate(latencies_ms)]
    told = {notice.code for notice in cell_notices(CELL, runs, None) if notice.code.startswith("runs-")}
    assert told == ({code} if code else set())
