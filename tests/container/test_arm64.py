"""The image of a Jetson, emulated: it measures, says that it is emulated, and reads a board's meters."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from edgebench.report.io import parse_report
from tests.container.engine import JETSON, docker, run
from tests.simulators.board import board
from tests.simulators.jtop import board_files

pytestmark = pytest.mark.container

ARM64 = ("--platform=linux/arm64", "--init", "--network=none")
ROOT = Path(__file__).parents[2]


def test_smoke_completes_on_a_jetson_and_every_figure_says_that_it_is_emulated() -> None:
    """A few passes of each benchmark; a Pi's are those of its quick start (test_quick_start.py)."""
    quick = ("--processes=1", "--passes=5", "--threads=1", "--only=*/ptq-static/*")
    rights = ("--read-only", "--tmpfs=/tmp:exec", "--tmpfs=/cache", "--cap-drop=ALL")
    code, report, progress = run(JETSON, "suite", "smoke", *quick, options=(*ARM64, *rights), timeout_s=590)
    assert code == 0, progress
    parse_report(json.dumps(report).encode(), "stdout")
    assert report["status"] == "complete"
    assert report["machine"]["emulated"].startswith("qemu-aarch64")
    assert report["image"]["name"] == JETSON
    measured = [cell for cell in report["benchmarks"] if cell["status"] == "ok"]
    assert [cell["name"] for cell in measured] == ["mobilenet_v2-0.35/ptq-static/onnxruntime/int8"]
    (cell,) = measured
    assert "emulated" in [warning["code"] for warning in cell["warnings"]]
    assert cell["metrics"]["accuracy_top1"]["mean"] > 0.9
    assert cell["layers"]["int8"] > 50
    # What this image does not hold is skipped with the reason, not failed.
    assert all("not installed" in cell["reason"] for cell in report["benchmarks"] if cell not in measured)


def probes(image: str, *options: object) -> dict[str, dict[str, Any]]:
    done = docker("run", "--rm", *ARM64, *options, image, "probes", "--json")
    return {probe["name"]: probe for probe in json.loads(done.stdout)["probes"]}


def test_without_a_gpu_it_says_what_is_missing() -> None:
    found = probes(JETSON)
    assert not any(probe["usable"] for probe in found.values())
    assert all(found[name]["fix"] for name in ("jtop", "nvml", "hwmon"))


def test_a_jetsons_monitor_is_read_from_a_bound_sysfs(tmp_path: Path) -> None:
    with board(tmp_path / "sys", "orin-nx", 5.0) as tree:
        bound = ("--volume", f"{tree.root}:/host/sys:ro", "--env", "EDGEBENCH_SYSFS=/host/sys", "--cap-drop=ALL")
        found = probes(JETSON, *bound, "--user=1000:1000")
    assert found["ina3221"]["scope"] == "module"
    assert found["ina3221"]["reading_w"] == pytest.approx(5.0, rel=0.05)


@contextmanager
def jtop_service(folder: Path) -> Iterator[Path]:
    """The real service of jetson-stats on faked board files; its socket."""
    board_files(folder / "board")
    command = ["/usr/bin/unshare", "-m", "--propagation", "private", sys.executable, "-m", "tests.simulators.jtop"]
    service = subprocess.Popen([*command, str(folder), "/bin/sleep", "300"], cwd=ROOT)
    socket = folder / "run/jtop.sock"
    try:
        deadline = time.monotonic() + 30
        while not socket.exists():
            assert service.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.1)
        yield socket
    finally:
        service.terminate()
        subprocess.run(["/usr/bin/pkill", "-f", str(folder)], check=False)
        service.wait()


def test_a_jetsons_jtop_is_read_through_its_socket(tmp_path: Path) -> None:
    with jtop_service(tmp_path) as socket:
        rights = ("--cap-drop=ALL", "--user=1000:1000", "--group-add=4711")
        found = probes(JETSON, "--volume", f"{socket}:/run/jtop.sock", *rights)
    assert found["jtop"]["reading_w"] == pytest.approx(4.984 * 1.6, rel=0.02)
