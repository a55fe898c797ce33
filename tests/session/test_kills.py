"""Sessions and their processes are killed at any point: no finished run is lost, none is measured twice."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.session.conftest import Edgebench
from tests.session.kills import SUITE, WORKER, command, kill, processes, records, start, until

pytestmark = pytest.mark.session


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    path = tmp_path / "kills.toml"
    path.write_text(SUITE, encoding="utf-8")
    return path


@pytest.fixture
def marked(environment: dict[str, str], tmp_path: Path) -> dict[str, str]:
    """An environment by which this test's processes are known, with a folder for temporary files of its own."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    return {**environment, "MARK": str(tmp_path), "TMPDIR": str(scratch)}


def read(target: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(target.read_text(encoding="utf-8"))
    return found


def test_a_worker_killed_in_its_third_run_leaves_the_two_before_it(
    edgebench: Edgebench, marked: dict[str, str], suite: Path, tmp_path: Path
) -> None:
    target = tmp_path / "report.json"
    process = start(suite, target, marked, "--only", "conv3x3*")
    until(lambda: len(records(tmp_path)) == 2)
    killed: set[int] = set()
    while process.poll() is None and len(killed) < 2:
        for pid in processes(f"MARK={tmp_path}", WORKER):
            if pid not in killed:
                killed.add(pid)
                kill(pid)
    _, stderr = process.communicate(timeout=120)
    assert process.returncode == 1, stderr
    report = read(target)
    assert report["status"] == "partial"
    (cell,) = report["benchmarks"]
    assert cell["status"] == "ok"
    assert len(cell["metrics"]["latency_s"]["runs"]) == 2
    (notice,) = [found for found in cell["warnings"] if found["code"] == "runs-missing"]
    assert notice["text"].startswith("2 of 3 runs (run 3 failed: the process was ended by SIGKILL")
    again = edgebench(*command(suite, target, "--only", "conv3x3*", "--resume")[3:])
    assert again.code == 0, again.stderr
    after = read(target)
    assert after["status"] == "complete"
    assert after["benchmarks"][0]["metrics"]["latency_s"]["runs"][:2] == cell["metrics"]["latency_s"]["runs"]
    assert len(after["benchmarks"][0]["order"]) == 3


def test_a_worker_killed_once_is_measured_again(marked: dict[str, str], suite: Path, tmp_path: Path) -> None:
    target = tmp_path / "report.json"
    process = start(suite, target, marked, "--only", "conv3x3*")
    until(lambda: processes(f"MARK={tmp_path}", WORKER))
    kill(processes(f"MARK={tmp_path}", WORKER)[0])
    _, stderr = process.communicate(timeout=120)
    assert process.returncode == 0, stderr
    assert "is measured again, as it failed" in stderr
    report = read(target)
    assert report["status"] == "complete"
    assert len(report["benchmarks"][0]["order"]) == 3
