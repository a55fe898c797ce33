"""Fifty boards in one `run`: no report is lost, and what that costs the machine that launches them.

Each board is a connection of its own through sshd on loopback and a container of its own on the engine here. What
measures in it is a stand-in that writes lines of progress and a report of its own: fifty would not fit one machine.
Needs root, sshd, and a Docker engine with an image that has Python.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bench.conftest import Record
from tests.container.conftest import Sshd, board, docker
from tests.unit.reports import suite

__all__ = ["board"]

BOARDS, LINES = 50, 20
IMAGE = "edgebench-stand-in"
BASE = os.environ.get("EDGEBENCH_TEST_IMAGE", "edgebench-n150")

STAND_IN = """#!/usr/bin/python3
import json, pathlib, sys, time, uuid
if "suite" not in sys.argv:
    print(json.dumps({"probes": [], "nodes": {}, "board": ""}))
    sys.exit()
for number in range(LINES):
    sys.stderr.write(f"[{number:7.1f} s] measure: mobilenet_v2/baseline/openvino/fp32/t1 run {number} of LINES\\n")
    sys.stderr.flush()
    time.sleep(1)
report = json.loads(pathlib.Path("/report.json").read_text())
report["id"] = str(uuid.uuid4())
print(json.dumps(report))
"""


@pytest.fixture(name="stand_in")
def fixture_stand_in(tmp_path: Path) -> Iterator[None]:
    """The stand-in and its report in an image."""
    (tmp_path / "report.json").write_text(json.dumps(suite(1, cells=200)), encoding="utf-8")
    (tmp_path / "edgebench").write_text(STAND_IN.replace("LINES", str(LINES)), encoding="utf-8")
    (tmp_path / "edgebench").chmod(0o755)
    docker("create", "--name", IMAGE, BASE)
    try:
        docker("cp", str(tmp_path / "report.json"), f"{IMAGE}:/report.json")
        docker("cp", str(tmp_path / "edgebench"), f"{IMAGE}:/usr/local/bin/edgebench")
        docker("commit", "--change", 'ENTRYPOINT ["/usr/local/bin/edgebench"]', IMAGE, IMAGE)
        yield
    finally:
        subprocess.run(["docker", "rm", "--force", "--volumes", IMAGE], capture_output=True, check=False)
        subprocess.run(["docker", "image", "rm", "--force", IMAGE], capture_output=True, check=False)


@pytest.mark.usefixtures("stand_in")
def test_fifty_boards_in_one_run(board: Sshd, tmp_path: Path, environment: dict[str, str], figure: Record) -> None:
    reports = tmp_path / "reports"
    reports.mkdir()
    hosts = [word for _ in range(BOARDS) for word in ("--host", board.url)]
    words = [sys.executable, "-m", "edgebench", "run", "n150", "smoke", "--image", IMAGE, "-o", str(reports), *hosts]
    process = subprocess.Popen(
        words, env={**environment, "HOME": str(board.home)}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    told = process.stderr.read().splitlines()
    _, _, usage = os.wait4(process.pid, 0)
    mebibytes = usage.ru_maxrss / 1024
    found = [json.loads(path.read_text(encoding="utf-8")) for path in reports.glob("edgebench-*.json")]
    whole = len({one["id"] for one in found if len(one["benchmarks"]) == 200})
    progress = sum("measure:" in line for line in told)
    figure("reports of fifty boards", f"{whole} of {BOARDS}", f"{BOARDS}", whole == BOARDS)
    figure("lines of progress of fifty boards", f"{progress}", f"{BOARDS * LINES}", progress == BOARDS * LINES)
    figure("memory of the launcher of fifty boards", f"{mebibytes:.0f} MiB", "300 MiB", mebibytes < 300)
