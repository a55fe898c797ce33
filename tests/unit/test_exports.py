"""What other services eat: checked by their own readers or schemas, with hostile names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from prometheus_client.parser import text_string_to_metric_families as of_node_exporter
from tests.unit.reports import suite

from edgebench.commands.main import main
from edgebench.report.io import read_report

SAMPLE = Path(__file__).parents[1] / "golden" / "sample.json"
# https://bencher.dev/docs/reference/bencher-metric-format
_VALUES = {name: {"type": "number"} for name in ("value", "lower_value", "upper_value")}
_MEASURE = {"properties": _VALUES, "required": ["value"], "additionalProperties": False}
BENCHER = {"additionalProperties": {"additionalProperties": _MEASURE}}
HOSTILE = 'a"b\\c\n{}# EOF\n<script>'


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    data = suite(1)
    data["benchmarks"][0] |= {"name": HOSTILE, "params": {"model": HOSTILE, "batch": 1}}
    data["suite"]["name"] = HOSTILE
    data["benchmarks"][1]["metrics"]["latency_s.a b-c"] = data["benchmarks"][1]["metrics"]["latency_s"]
    path = tmp_path / "hostile.json"
    path.write_text(json.dumps(data), encoding="utf-8")
    return path


def exported(report: Path, form: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["export", str(report), "--format", form]) == 0
    return capsys.readouterr().out


def test_bencher(hostile: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path in (SAMPLE, hostile):
        data = json.loads(exported(path, "bencher", capsys))
        jsonschema.validate(data, BENCHER)
    data = json.loads(exported(SAMPLE, "bencher", capsys))
    row = read_report(SAMPLE).benchmarks[0]
    latency = row.metrics["latency_s"]
    assert latency.ci95 is not None
    assert data[row.name]["latency_s"] == {
        "value": latency.median,
        "lower_value": latency.ci95[0],
        "upper_value": latency.ci95[1],
    }
    assert data[row.name]["size_bytes"] == {"value": row.metrics["size_bytes"].value}
    assert not any("qat" in name for name in data)  # it failed


def test_github_action_benchmark_has_a_list_for_each_direction(
    hostile: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in (SAMPLE, hostile):
        lists: list[list[dict[str, Any]]] = [
            json.loads(exported(path, f"github-action-benchmark{more}", capsys)) for more in ("", "-bigger")
        ]
        for figures in lists:
            assert figures
            assert all({"name", "unit", "value"} <= set(one) and isinstance(one["value"], float) for one in figures)
            assert len({one["name"] for one in figures}) == len(figures)
        smaller, bigger = ({one["name"].rpartition(" ")[2] for one in figures} for figures in lists)
        assert "latency_s" in smaller
        assert "accuracy_top1" in bigger
        assert not smaller & bigger


def test_openmetrics_is_read_by_prometheus_own_parsers(hostile: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path in (SAMPLE, hostile):
        text = exported(path, "openmetrics", capsys)
        read: Any = text_string_to_metric_families
        families = {family.name: family for family in read(text)}
        assert families["edgebench_latency_seconds"].unit == "seconds"
        assert families["edgebench_energy_gross_joules"].type == "gauge"
        assert families["edgebench_report"].type == "info"
        ok = [row for row in read_report(path).benchmarks if "latency_s" in row.metrics]
        latencies = families["edgebench_latency_seconds"].samples
        plain = {one.labels["benchmark"]: one.value for one in latencies if "part" not in one.labels}
        assert list(plain.values()) == [row.metrics["latency_s"].median for row in ok]
        assert all(one.timestamp is None for family in families.values() for one in family.samples)
        # The node exporter reads the older format: the same figures there.
        older = {one.name: one for family in of_node_exporter(text) for one in family.samples}
        assert "edgebench_latency_p95_seconds" in older
        assert "edgebench_accuracy_top1" in older
