"""The x86 image, from `docker run` with no option to the least rights, stopped half-way."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from edgebench.report.io import parse_report, read_report
from tests.container.engine import N150, TINY, docker, logs, run, started, wait_for
from tests.simulators import powercap as simulator

pytestmark = pytest.mark.container

NO_RIGHTS = (
    *("--read-only", "--tmpfs=/tmp:exec", "--tmpfs=/cache:mode=1777"),
    *("--network=none", "--cap-drop=ALL", "--security-opt=no-new-privileges"),
)


@pytest.fixture
def tiny(tmp_path: Path) -> tuple[str, str]:
    """Options that bind a small suite file; the containers' users may read it."""
    path = tmp_path / "tiny.toml"
    path.write_text(TINY.format(processes=2), encoding="utf-8")
    path.chmod(0o644)
    return ("--volume", f"{path}:/tiny.toml:ro")


def metric(report: Any, name: str) -> list[float]:
    return [cell["metrics"][name]["mean"] for cell in report["benchmarks"]]


def test_no_option_at_all() -> None:
    code, report, progress = run(N150, "suite", "smoke", timeout_s=500)
    assert code == 0, progress
    parse_report(json.dumps(report).encode(), "stdout")
    assert report["status"] == "complete"
    assert {cell["status"] for cell in report["benchmarks"]} == {"ok"}
    assert report["image"]["name"] == N150
    assert report["image"]["digest"].startswith("sha256:")
    assert report["image"]["of"] == "content"
    assert report["machine"]["container"] is True
    # Nothing is zero: what the container cannot read is missing, each with what would bring it.
    assert all(cell["missing"]["energy_gross_j"]["reason"] for cell in report["benchmarks"])
    assert all(probe["fix"] for probe in report["probes_missing"] if probe["name"] == "rapl")


@pytest.mark.quiet
def test_a_counter_that_is_bound_read_only_gives_joules_without_any_right(
    tiny: tuple[str, str], tmp_path: Path
) -> None:
    """The tree at 7 W wraps every 2.9 s; one processor and 4 GiB are what the container has."""
    if (reason := simulator.unavailable()) is not None:
        pytest.fail(reason)
    with simulator.powercap(tmp_path / "sys", simulator.Options(power=7.0, range=20.0)) as tree:
        bound = ("--volume", f"{tree.root}:/host/sys:ro", "--env", "EDGEBENCH_SYSFS=/host/sys")
        limits = ("--cpus=1", "--memory=4g")
        code, report, progress = run(N150, "suite", "/tiny.toml", options=(*NO_RIGHTS, *bound, *limits, *tiny))
    assert code == 0, progress
    assert metric(report, "power_w.package") == pytest.approx([7.0, 7.0], rel=0.02)
    joules = metric(report, "energy_gross_j.package")
    passes = [cell["metrics"]["energy_gross_j.package"]["pass_s"] for cell in report["benchmarks"]]
    for energy_j, runs in zip(joules, passes, strict=True):
        seconds = [second for run_ in runs for second in run_]
        assert energy_j == pytest.approx(7.0 * sum(seconds) / len(seconds), rel=0.02)
    hard = report["fingerprint"]["hard"]
    assert (hard["cpu_quota"], hard["memory_limit_bytes"]) == (1.0, 4 * 2**30)
    assert {cell["params"]["threads"] for cell in report["benchmarks"]} == {1}


@pytest.mark.quiet
def test_any_user_may_measure_and_is_told_what_a_counter_needs(tiny: tuple[str, str], tmp_path: Path) -> None:
    user = ("--user=1000:1000", *NO_RIGHTS)
    with simulator.powercap(tmp_path / "sys", simulator.Options(mode="0400")) as tree:
        bound = ("--volume", f"{tree.root}:/host/sys:ro", "--env", "EDGEBENCH_SYSFS=/host/sys")
        code, report, progress = run(N150, "suite", "/tiny.toml", "--processes=1", options=(*user, *bound, *tiny))
    assert code == 0, progress
    rapl = next(probe for probe in report["probes_missing"] if probe["name"] == "rapl")
    assert "root" in rapl["reason"] + rapl["fix"]
    assert "energy_gross_j" in report["benchmarks"][0]["missing"]


@pytest.mark.quiet
def test_a_mounted_folder_for_reports_takes_the_report(tiny: tuple[str, str], tmp_path: Path) -> None:
    """With a terminal (as `docker run -t` gives it) the report goes to /reports, and progress is all that is shown."""
    reports = tmp_path / "reports"
    reports.mkdir()
    done = docker(
        "run", "--rm", "--tty", "--volume", f"{reports}:/reports", *tiny, N150, "suite", "/tiny.toml", "--processes=1"
    )
    (found,) = reports.glob("*.json")
    assert read_report(found).status == "complete"
    assert found.name in done.stdout


@pytest.mark.quiet
def test_docker_stop_brings_a_partial_report_within_ten_seconds(tmp_path: Path) -> None:
    suite = tmp_path / "long.toml"
    suite.write_text(TINY.format(processes=500), encoding="utf-8")
    with started(N150, "suite", "/long.toml", options=("--volume", f"{suite}:/long.toml:ro")) as container:
        wait_for(container, "run 3 of 500")
        begun = time.monotonic()
        docker("stop", "--time=10", container)
        seconds = time.monotonic() - begun
        code = docker("inspect", "--format={{.State.ExitCode}}", container).stdout.strip()
        report = parse_report(logs(container)[0].encode(), "stdout")
    assert code == "130", f"killed after {seconds:.1f} s"
    assert report.status == "partial"
