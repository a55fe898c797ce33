"""Old reports stay readable: steps in order, newer schemas refused, and the golden report of each schema read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from edgebench.errors import ReportError
from edgebench.report.io import parse_report
from edgebench.report.migrate import CURRENT, STEPS, migrate

GOLDEN = Path(__file__).parents[1] / "golden"


def test_every_schema_has_a_golden_report_that_is_still_read() -> None:
    names = {1: "sample.json"} | {number: f"schema-{number}.json" for number in range(2, CURRENT + 1)}
    assert sorted(STEPS) == list(range(1, CURRENT))
    for number, name in names.items():
        data = json.loads((GOLDEN / name).read_text(encoding="utf-8"))
        assert data["schema"] == f"edgebench.report/{number}"
        migrated = migrate(data, name)
        assert migrated["schema"] == f"edgebench.report/{CURRENT}"
        assert parse_report(json.dumps(migrated).encode(), name).benchmarks


def test_steps_run_in_order_and_leave_their_input_alone() -> None:
    def rename(data: dict[str, Any]) -> dict[str, Any]:
        return {("platform" if key == "board" else key): value for key, value in data.items()}

    def add(data: dict[str, Any]) -> dict[str, Any]:
        return {**data, "unit": data["platform"]}

    old = {"schema": "edgebench.report/1", "board": "n150"}
    new = migrate(old, "old.json", {1: rename, 2: add}, current=3)
    assert new == {"schema": "edgebench.report/3", "platform": "n150", "unit": "n150"}
    assert old == {"schema": "edgebench.report/1", "board": "n150"}


@pytest.mark.parametrize(("number", "told"), [(9, "update edgebench"), (1, "no longer reads")])
def test_what_no_step_leads_to_is_refused_in_one_sentence(number: int, told: str) -> None:
    with pytest.raises(ReportError, match=told):
        migrate({"schema": f"edgebench.report/{number}"}, "x.json", {2: dict}, current=3)


@pytest.mark.parametrize("data", [None, [], {}, {"schema": 1}, {"schema": "else/1"}])
def test_what_is_no_report_is_left_to_the_reader(data: Any) -> None:
    assert migrate(data, "x.json") is data
