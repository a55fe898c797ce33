"""The quick start of a Raspberry Pi 5, followed literally: the page's own lines, in the image for arm64.

Emulated are the processor (QEMU) and the power chip: a program `vcgencmd`, which prints what a Pi 5's prints, stands in
for `/dev/vcio`, which no other kernel has. PC and Pi are one machine here. `smoke` takes few passes of the INT8 model
alone, as kernels are a hundred times slower than on a board. The container gets no right that the page does not give.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from edgebench.report.io import parse_report
from tests.blocks import ROOT, blocks
from tests.simulators.vcio import REST_W, vcgencmd

pytestmark = [pytest.mark.container, pytest.mark.timeout(900)]

BOARD = "Raspberry Pi 5 Model B Rev 1.0"
CORE_W = 4.0
DOCKER = """#!{python}
import os, sys

words = sys.argv[1:]
if "--device" in words:
    at = words.index("--device")
    assert words[at + 1] == "/dev/vcio", words
    words[at : at + 2] = ["-v", "{folder}/vcgencmd:/usr/bin/vcgencmd:ro"]
    words[1:1] = ["-e", "EDGEBENCH_PROBE=pmic?via=vcgencmd&rate=5"]
if words[0] == "run":
    words[1:1] = ["--platform=linux/arm64", "--init", "--network=none"]
if "smoke" in words:
    words += ["--processes=1", "--passes=5", "--threads=1", "--only=*/ptq-static/*"]
os.execv("{docker}", ["docker", *words])
"""
SSH = """#!/bin/sh
[ "$1" = user@pi ] && shift && exec "$@"
"""


def test_a_pi_5_comes_from_the_image_to_joules(tmp_path: Path) -> None:
    docker = shutil.which("docker")
    assert docker, "the program docker is not installed"
    tools = tmp_path / "tools"
    tools.mkdir()
    vcgencmd(tools, core_w=CORE_W)
    for name, text in (
        ("docker", DOCKER.format(python=sys.executable, folder=tools, docker=docker)),
        ("ssh", SSH),
    ):
        (tools / name).write_text(text, encoding="utf-8")
        (tools / name).chmod(0o755)
    (tmp_path / "model").write_text(f"{BOARD}\0", encoding="utf-8")

    def follow(lines: str) -> str:
        text = lines.replace("/proc/device-tree/model", "model")
        done = subprocess.run(
            ["bash", "-eu", "-o", "pipefail", "-c", text],
            cwd=tmp_path,
            env={**os.environ, "PATH": f"{tools}:{os.environ['PATH']}", "COLUMNS": "160"},
            capture_output=True,
            text=True,
            check=False,
            timeout=800,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout

    page = [one for one in blocks(ROOT / "docs/quick-start.md") if one.heading == "Raspberry Pi 5, with its own sensor"]
    (bring,) = [one.text for one in page if one.text.startswith("docker save")]
    (measure,) = [one.text for one in page if "/dev/vcio edgebench-pi" in one.text]
    follow(bring)
    probes, run, show = measure.replace("\\\n", "").splitlines()
    assert "pmic" in follow(probes)
    follow(run)
    told = follow(show)

    report = json.loads((tmp_path / "pi.json").read_text(encoding="utf-8"))
    parse_report(json.dumps(report).encode(), "pi.json")
    assert (report["status"], report["platform"]) == ("complete", "pi")
    assert report["machine"]["board"] == BOARD
    assert report["machine"]["emulated"].startswith("qemu-aarch64")
    assert report["image"]["name"] == "edgebench-pi"
    measured = [cell for cell in report["benchmarks"] if cell["status"] == "ok"]
    assert [cell["name"] for cell in measured] == ["mobilenet_v2-0.35/ptq-static/onnxruntime/int8"]
    (cell,) = measured
    assert "emulated" in [warning["code"] for warning in cell["warnings"]]
    # Prepared elsewhere, executed here: the same digits, the same accuracy to an image or two.
    assert cell["metrics"]["accuracy_top1"]["mean"] > 0.9
    assert cell["layers"]["int8"] > 50
    energy = cell["metrics"]["energy_gross_j"]
    assert (energy["probe"], energy["scope"], energy["unit"]) == ("pmic", "module", "J")
    assert energy["median"] / energy["pass_s"][0][0] == pytest.approx(REST_W + CORE_W, rel=0.02)
    # What this image does not hold is skipped with the reason, not failed.
    assert all("not installed" in cell["reason"] for cell in report["benchmarks"] if cell not in measured)
    assert "gross energy" in told
