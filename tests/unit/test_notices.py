"""What a report says beside a benchmark of how its runs differ."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import pytest
from tests.unit import records

from edgebench.plan.kinds import KINDS, Kind
from edgebench.plan.plan import Benchmark, Params
from edgebench.plan.suitefile import Measure, Recipe
from edgebench.report.figures.quality import accuracy, quality_metrics
from edgebench.report.metric import Reasons
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


def test_a_kind_that_measures_no_quality_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(cast("dict[str, Kind]", KINDS), "bursts", replace(KINDS["inference"], scored=False))
    for kind, said in (("bursts", "of kind bursts measures no quality"), ("inference", "no labelled data")):
        missing: Reasons = {}
        accuracy(replace(CELL, kind=kind), None, {}, missing)
        assert said in missing["accuracy_top1"].reason
    quality_metrics(replace(CELL, kind="bursts"), None, {}, missing)
    assert "measures no quality" in missing["agreement_cosine"].reason
