"""Resources over time and sustained load, from the command line to the drawing: real processes, live counters."""

from __future__ import annotations

import csv
import io
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import fmean, median
from typing import TYPE_CHECKING

import pytest

from tests.session.conftest import RECIPE as TRAINED
from tests.session.conftest import Edgebench
from tests.session.live import Session, board, series
from tests.simulators import powercap as simulator

if TYPE_CHECKING:
    import psutil

pytestmark = [pytest.mark.session, pytest.mark.quiet]

# Nothing here depends on what the weights are.
RECIPE = TRAINED.replace("pretrain_epochs = 1", "pretrain_epochs = 0")
CELL = """
model = ["mobilenet_v2"]
width = [0.25]
variant = ["baseline"]
backend = ["openvino"]
image_size = 64
threads = [1]
"""
QUICK = f"""
name = "quick"
idle_s = 3.0
resources_hz = 10.0
[measure]
processes = 2
warmup_passes = 5
passes = 400
values = 5
energy_window_s = 2.0
{RECIPE}
[[benchmark]]
{CELL}
"""
SUSTAINED = f"""
name = "load"
idle_s = 0.0
resources_hz = 4.0
[measure]
processes = 1
sustained_s = 20.0
{RECIPE}
[[benchmark]]
kind = "sustained"
{CELL}
"""


def test_the_power_series_shows_the_simulated_watts_and_their_step(
    edgebench: Edgebench, environment: dict[str, str], seven_watts: Path, tmp_path: Path
) -> None:
    session = Session(tmp_path, QUICK, environment, "--sysfs", seven_watts)
    first = session.worker()
    first.wait(120)
    (seven_watts / "control").write_text("power 12", encoding="ascii")
    report = session.report()
    resources = report["resources"]
    assert resources["rate_hz"] == 10
    spans = {kind: [span for span in resources["spans"] if span["kind"] == kind] for kind in ("idle", "run")}
    assert [span["name"] for span in spans["idle"]] == ["idle before", "idle after"]
    runs = [span for span in spans["run"] if "phase" not in span]
    assert {span["name"] for span in runs} == {report["benchmarks"][0]["name"]}
    power = series(resources, "power_w", "package")
    before = [watts for at, watts in power if spans["run"][0]["begin_s"] <= at <= spans["run"][0]["end_s"]]
    after = [watts for at, watts in power if at >= spans["idle"][1]["begin_s"]]
    assert median(before) == pytest.approx(7, rel=0.02)
    assert median(after) == pytest.approx(12, rel=0.02)
    assert len(after) > 5, "10 Hz over three seconds, less what a busy machine leaves of it"
    # Of the time when both were steady: the median of all is one of the step.
    dram = [watts for at, watts in series(resources, "power_w", "dram") if at >= spans["idle"][1]["begin_s"]]
    assert median(dram) == pytest.approx(0.2 * median(after), rel=0.02)
    used = report["benchmarks"][0]["resources"]
    assert used["power_w.package"]["peak"] < 13.5
    assert used["workload_memory_bytes"]["mean"] > 50e6
    assert 5 < used["workload_cpu_percent"]["mean"] <= 110 * (os.cpu_count() or 1)
    assert resources["missing"]["temperature_c"]["reason"]
    assert not [name for name in report["benchmarks"][0]["metrics"] if name.startswith("gpu")]
    # The sampler beside them has not broken the windows of the measurement itself.
    assert report["benchmarks"][0]["metrics"]["energy_gross_j"]["count"] == 2
    shown = edgebench("show", session.target, "--all").stdout
    assert "power, package" in shown
    assert "▁" in shown
    page = tmp_path / "page.html"
    assert edgebench("show", session.target, "--html", page).code == 0
    assert "<polyline" in page.read_text(encoding="utf-8")
    rows = list(csv.DictReader(io.StringIO(edgebench("export", session.target, "--format", "resources-csv").stdout)))
    assert [float(row["value"]) for row in rows if (row["series"], row["scope"]) == ("power_w", "package")] == [
        watts for _, watts in power
    ]
    assert edgebench("validate", session.target).code == 0


def test_without_the_sampler_there_is_no_such_field(edgebench: Edgebench, no_energy: Path, tmp_path: Path) -> None:
    suite = tmp_path / "quick.toml"
    suite.write_text(QUICK, encoding="utf-8")
    done = edgebench("suite", suite, "--sysfs", no_energy, "--resources-hz", "0", "--processes", "1")
    assert done.code == 0, done.stderr
    assert "resources" not in done.report
    assert "resources" not in done.report["benchmarks"][0]
    refused = edgebench("suite", suite, "--resources-hz", "50")
    assert refused.code == 2
    assert "from 0 to 20" in refused.stderr


@pytest.fixture
def board_of_seven_watts(tmp_path: Path) -> Iterator[Path]:
    """A live powercap tree with a real counter's range: a worker that is held back cannot read ahead of short wraps."""
    if (reason := simulator.unavailable()) is not None:
        pytest.skip(reason)
    with simulator.powercap(tmp_path / "sys", simulator.Options(power=7.0, range=262_144.0)) as tree:
        yield tree.root


def crowded(worker: psutil.Process) -> Callable[[], None]:
    """Let two other programs have a turn on each of a worker's processors; returns what ends it."""
    spin = "import os, sys\nos.sched_setaffinity(0, {int(sys.argv[1])})\nwhile os.getppid() != 1: pass"
    cpus = 2 * worker.cpu_affinity()
    # Each in a session of its own, as the kernel shares a processor between sessions first (sched(7), autogroup).
    others = [subprocess.Popen([sys.executable, "-c", spin, str(cpu)], start_new_session=True) for cpu in cpus]

    def end() -> None:
        for other in others:
            other.kill()
            other.wait()

    return end


def test_sustained_load_tells_hot_from_cold_and_does_not_blame_heat_for_what_others_took(
    edgebench: Edgebench, environment: dict[str, str], board_of_seven_watts: Path, tmp_path: Path
) -> None:
    session = Session(tmp_path, SUSTAINED, environment, "--sysfs", board_of_seven_watts)
    worker = session.worker()
    started = worker.create_time()
    time.sleep(13)
    end = crowded(worker)
    held_back = time.time() - started
    (board_of_seven_watts / "control").write_text("power 10", encoding="ascii")
    try:
        report = session.report()
    finally:
        end()
    (cell,) = report["benchmarks"]
    (run,) = cell["sustained"]
    assert cell["kind"] == "sustained"
    assert run["seconds"] == pytest.approx(20, abs=1.5)
    assert run["cold"] == [0, pytest.approx(5, abs=1)]
    metrics = cell["metrics"]
    assert metrics["power_w.cold"]["mean"] == pytest.approx(7, rel=0.02)
    assert metrics["power_w.hot"]["mean"] == pytest.approx(10, rel=0.02)
    for phase, watts in (("cold", 7), ("hot", 10)):
        joules = metrics[f"energy_gross_j.package.{phase}"]
        assert joules["uncertainty"] > 0
        assert joules["mean"] == pytest.approx(watts / metrics[f"throughput_per_s.{phase}"]["mean"], rel=0.05)
    assert metrics["throughput_per_s.hot"]["mean"] < 0.8 * metrics["throughput_per_s.cold"]["mean"]
    change = run["hot_over_cold"]["energy_gross_j.package"]
    assert change["ratio"] > 1.2
    watts_by_second = [watts for _, watts in series(run, "power_w", "package")]
    assert fmean(watts_by_second[:3]) == pytest.approx(7, rel=0.02)
    assert fmean(watts_by_second[-3:]) == pytest.approx(10, rel=0.02)
    # The load got less processor time: whatever slowed it down, it was not heat, and no onset is claimed. Seconds of a
    # busy machine are too different from each other to tell even the fall.
    assert (run["verdict"], run["verdict_text"].partition("less processor time")[1]) in (
        ("disturbed", "less processor time"),
        ("none", ""),
    )
    assert "onset_s" not in metrics
    assert "lower" in run["verdict_text"] or "fell" in run["verdict_text"]
    rates = series(run, "throughput_per_s")
    (span,) = [span for span in report["resources"]["spans"] if span["kind"] == "run"]
    at = held_back - (run["begin_s"] - span["begin_s"])
    assert median(r for t, r in rates if t > at + 1) < 0.8 * median(r for t, r in rates if t < at - 1)
    shown = edgebench("show", session.target, "--all").stdout
    assert ("cannot tell" if run["verdict"] == "disturbed" else "none seen") in shown
    page = tmp_path / "page.html"
    assert edgebench("show", session.target, "--html", page).code == 0
    assert "Sustained load" in page.read_text(encoding="utf-8")


def test_a_throttle_counter_dates_the_onset_and_a_graphics_unit_has_its_metric(
    environment: dict[str, str], tmp_path: Path
) -> None:
    files = board(tmp_path / "sys")
    session = Session(tmp_path, SUSTAINED, environment, "--sysfs", tmp_path / "sys")
    worker = session.worker()
    started = worker.create_time()
    time.sleep(12)
    files["core_throttle_count"].write_text("9\n", encoding="ascii")
    throttled = time.time() - started
    files["temp"].write_text("95000\n", encoding="ascii")
    files["scaling_cur_freq"].write_text("2400000\n", encoding="ascii")
    report = session.report()
    (cell,) = report["benchmarks"]
    (run,) = cell["sustained"]
    assert run["verdict"] == "throttled"
    (span,) = [span for span in report["resources"]["spans"] if span["kind"] == "run"]
    assert run["onset_s"] == pytest.approx(throttled - (run["begin_s"] - span["begin_s"]), abs=1.5)
    assert cell["metrics"]["onset_s"]["mean"] == run["onset_s"]
    heat = series(run, "temperature_c")
    assert (heat[0][1], heat[-1][1]) == (45, 95)
    assert series(run, "cpu_frequency_hz")[-1][1] == 2.4e9
    assert cell["metrics"]["gpu_percent"]["mean"] == 25
    assert cell["resources"]["gpu_frequency_hz"]["peak"] == 918e6
    assert "shares" in report["resources"]["missing"]["gpu_memory_bytes"]["reason"]
    assert "energy_gross_j" in cell["missing"]
