"""The command `probes`, and sessions with sampled power: several sources, faults, recordings, a remote meter."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.session.conftest import TINY, Edgebench
from tests.simulators import powercap as simulator
from tests.simulators.sysfs import chip

pytestmark = [pytest.mark.session, pytest.mark.quiet]


@contextlib.contextmanager
def meter(*arguments: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """A simulated meter on a real pty, as a program of its own; yields its device and its process."""
    command = [sys.executable, "-m", "tests.simulators.meters", *arguments]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip(), process
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def one_backend(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.toml"
    path.write_text(TINY.replace('["torch", "openvino"]', '["openvino"]'), encoding="utf-8")
    return path


def test_two_sources_give_a_scope_each_and_close(edgebench: Edgebench, one_backend: Path, seven_watts: Path) -> None:
    with meter("shizuku", "--power", "5") as (device, _):
        done = edgebench(
            "suite", one_backend, "--sysfs", seven_watts, "--processes", "4",
            "--probe", "rapl?scope=package", "--probe", f"shizuku:{device}",
        )  # fmt: skip
    assert done.code == 0, done.stderr
    report = done.report
    assert {probe["scope"] for probe in report["probes"]} == {"package", "board_dc"}
    (cell,) = report["benchmarks"]
    metrics = cell["metrics"]
    for scope, watts in (("package", 7.0), ("board_dc", 5.0)):
        gross = metrics[f"energy_gross_j.{scope}"]
        for joules, seconds in zip(gross["runs"], gross["pass_s"], strict=True):
            assert joules[0] == pytest.approx(watts * seconds[0], rel=0.03)
    assert metrics["energy_gross_j"]["scope"] == "board_dc", "the widest scope has the plain name"
    assert metrics["energy_gross_j"]["windows"]["samples"] >= 20
    (closure,) = report["closures"]
    assert closure["ratio"] == pytest.approx(1.4, rel=0.02)
    assert closure["ci95"][0] <= 1.4 <= closure["ci95"][1]
    sampler = next(probe for probe in report["probes"] if probe["scope"] == "board_dc")
    assert 0 < sampler["sampler_share"] < 0.5
    assert report["metering"]["runs"] == 4


def test_a_slow_source_gets_the_window_it_needs(edgebench: Edgebench, one_backend: Path, tmp_path: Path) -> None:
    """At ten hertz a window of 0.4 s, as the suite asks for, holds four samples: it is made long enough for twenty."""
    chip = tmp_path / "sys" / "class" / "hwmon" / "hwmon0"
    chip.mkdir(parents=True)
    for name, text in (("name", "board"), ("power1_input", "6000000")):
        (chip / name).write_text(f"{text}\n", encoding="ascii")
    done = edgebench("suite", one_backend, "--sysfs", tmp_path / "sys", "--probe", "hwmon:board?scope=board_dc&rate=10")
    assert done.code == 0, done.stderr
    (cell,) = done.report["benchmarks"]
    assert "energy_gross_j" in cell["metrics"], cell["missing"]
    gross = cell["metrics"]["energy_gross_j"]
    assert gross["windows"]["samples"] >= 20
    assert gross["runs"][0][0] == pytest.approx(6.0 * gross["pass_s"][0][0], rel=0.01)


def test_an_unplugged_meter_is_missing_and_the_suite_goes_on(
    edgebench: Edgebench, one_backend: Path, no_energy: Path
) -> None:
    with meter("shizuku", "--power", "5") as (device, process):
        unplug = threading.Timer(8, process.kill)
        unplug.start()
        done = edgebench("suite", one_backend, "--sysfs", no_energy, "--probe", f"shizuku:{device}")
        unplug.join()
    assert done.code == 0, done.stderr
    (cell,) = done.report["benchmarks"]
    assert cell["status"] == "ok"
    assert cell["metrics"]["latency_s"]["count"] == 10
    if "energy_gross_j" not in cell["metrics"]:
        assert cell["missing"]["energy_gross_j"]["reason"]


@pytest.mark.parametrize(
    ("fault", "told"),
    [("freeze", "the counter did not move in 0.100 s, it is frozen"), ("eio", "Input/output error")],
)
def test_a_source_that_is_lost_after_the_session_began_tells_its_own_reason(
    environment: dict[str, str], one_backend: Path, tmp_path: Path, fault: str, told: str
) -> None:
    report = tmp_path / "report.json"
    with simulator.powercap(tmp_path / "sys", simulator.Options()) as tree:
        asked = ("suite", one_backend, "--sysfs", tree.root, "--processes", "2", "-o", report)
        command = [sys.executable, "-m", "edgebench", *map(str, asked)]
        with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as session:
            assert session.stderr is not None
            for line in session.stderr:
                if "measure:" in line:
                    tree.control(fault)
        assert session.returncode == 0
    (cell,) = json.loads(report.read_text(encoding="utf-8"))["benchmarks"]
    assert cell["status"] == "ok"
    assert told in cell["missing"]["energy_gross_j"]["reason"]
    assert cell["missing"]["energy_gross_j"]["fix"]


def test_a_recording_of_one_machine_is_a_probe_on_another(
    edgebench: Edgebench, seven_watts: Path, no_energy: Path, tmp_path: Path
) -> None:
    trace = tmp_path / "trace.jsonl"
    recorded = edgebench(
        "probes", "--sysfs", seven_watts, "--probe", "rapl?scope=package", "--record", trace, "--seconds", "3"
    )
    assert recorded.code == 0, recorded.stderr
    found = json.loads(edgebench("probes", "--json", "--sysfs", no_energy, "--probe", f"replay:{trace}").stdout)
    (probe,) = found["probes"]
    assert probe["usable"]
    assert probe["scope"] == "package"
    assert probe["reading_w"] == pytest.approx(7.0, rel=0.02)
    again = edgebench("probes", "--sysfs", seven_watts, "--probe", "rapl?scope=package", "--record", trace)
    assert again.code == 2
    assert "exists already" in again.stderr


def test_the_doctor_lists_every_source_with_cause_and_fix(edgebench: Edgebench, no_energy: Path) -> None:
    found = json.loads(edgebench("probes", "--json", "--sysfs", no_energy).stdout)["probes"]
    assert {"perf", "rapl", "hwmon", "nvml", "meter"} <= {probe["name"] for probe in found}
    for probe in found:
        assert probe["usable"] or (probe["reason"] and probe["fix"])


def test_watching_prints_live_power_until_interrupted(environment: dict[str, str], seven_watts: Path) -> None:
    command = [sys.executable, "-m", "edgebench", "probes", "--watch", "--sysfs", str(seven_watts)]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(12)]
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=30)
    assert process.returncode == 0, stderr
    assert any(line.startswith("rapl package: 7.0") for line in lines), lines


def test_a_meter_served_by_one_process_is_read_by_another(
    edgebench: Edgebench, environment: dict[str, str], no_energy: Path
) -> None:
    with meter("shizuku", "--power", "5") as (device, _):
        command = [
            sys.executable, "-m", "edgebench", "probes", "serve", "--probe", f"shizuku:{device}", "--listen", "0",
        ]  # fmt: skip
        server = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
        assert server.stderr is not None
        try:
            address = server.stderr.readline().partition("tcp://")[2].split()[0]
            found = json.loads(
                edgebench("probes", "--json", "--sysfs", no_energy, "--probe", f"tcp://{address}").stdout
            )
        finally:
            server.send_signal(signal.SIGINT)
            server.wait(timeout=30)
    (probe,) = found["probes"]
    assert probe["usable"], probe
    assert probe["reading_w"] == pytest.approx(5.0, rel=0.02)
    assert server.returncode == 0


def test_two_probes_of_one_scope_stand_side_by_side_and_are_never_one(edgebench: Edgebench, tmp_path: Path) -> None:
    """Two graphics cards of 3 W and 9 W gave one figure of 6 W."""
    chip(tmp_path, 1, "amdgpu", power1_average=3_000_000)
    chip(tmp_path, 2, "xe", power1_input=9_000_000)
    suite = tmp_path / "two.toml"
    suite.write_text(
        'name = "two"\nidle_s = 2.0\n[measure]\nprocesses = 2\nvalues = 2\npasses = 4\nwarmup_passes = 1\n'
        "energy_windows = 2\nenergy_window_s = 0.5\nenergy_limit = 0.5\n"
        '[[benchmark]]\nkind = "operator"\noperator = ["matmul"]\nbackend = ["openvino"]\nprecision = ["fp32"]\n',
        encoding="utf-8",
    )
    done = edgebench("suite", suite, "--sysfs", tmp_path, "--probe", "hwmon")
    assert done.code == 0, done.stderr
    (cell,) = done.report["benchmarks"]
    for name, watts in (("hwmon:amdgpu/power1", 3.0), ("hwmon:xe/power1", 9.0)):
        gross = cell["metrics"][f"energy_gross_j.gpu:{name}"]
        assert gross["probe"] == name
        for joules, seconds in zip(gross["runs"], gross["pass_s"], strict=True):
            assert joules == pytest.approx([watts * each for each in seconds], rel=0.01)
        assert cell["metrics"][f"power_w.gpu:{name}"]["median"] == pytest.approx(watts)
    assert cell["metrics"]["energy_gross_j"]["probe"] == "hwmon:amdgpu/power1"
    assert "energy_gross_j.gpu" not in cell["metrics"]
    idle = {(entry["probe"], entry["when"]): entry["power_w"] for entry in done.report["idle"]}
    assert idle["hwmon:xe/power1", "before"] == pytest.approx(9.0)
    assert idle["hwmon:amdgpu/power1", "before"] == pytest.approx(3.0)
    (closure,) = done.report["closures"]
    assert closure["ratio"] == pytest.approx(1 / 3, rel=0.01)
    series = {entry.get("scope") for entry in done.report["resources"]["series"] if entry["name"] == "power_w"}
    assert series == {"gpu:hwmon:amdgpu/power1", "gpu:hwmon:xe/power1"}
    (tmp_path / "two.json").write_text(done.stdout, encoding="utf-8")
    assert "(gpu:hwmon:amdgpu/power1)" in edgebench("show", tmp_path / "two.json").stdout, "of which one it is"
