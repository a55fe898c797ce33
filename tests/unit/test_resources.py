"""Resources over time: bins that hide no peak, parts of a resumed session on one axis, and readers of real files."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit import records
from tests.unit.reports import report

from edgebench.machine.readers import Absent, SeriesInfo, frequency, temperature, throttling
from edgebench.machine.sampling import SamplerClock
from edgebench.render.sparkline import sparkline
from edgebench.render.timeline import session_timeline
from edgebench.report.course import ResourceSeries
from edgebench.report.figures.timeline import MAX_POINTS, Line, binned, resource_metrics, resources, summary, timeline
from edgebench.report.journal import Journal
from edgebench.report.log import Log
from edgebench.report.model import Report
from edgebench.report.records import EndRecord, ResourcesRecord
from edgebench_probes.glance import open_glances

pytestmark = pytest.mark.quiet

INFO = (
    SeriesInfo("cpu_percent", "%", "test"),
    SeriesInfo("power_w", "W", "test", "package"),
    SeriesInfo("gpu_percent", "%", "test"),
)


@given(
    st.lists(st.tuples(st.floats(0.01, 5), st.floats(-1e6, 1e6)), min_size=1, max_size=3000),
    st.integers(1, 40),
)
@settings(max_examples=60, deadline=None)
def test_bins_are_bounded_and_lose_neither_peak_nor_sample(steps: list[tuple[float, float]], points: int) -> None:
    at, samples = 0.0, []
    for step, value in steps:
        at += step
        samples.append((at, value))
    found = binned(Line("cpu_percent", "%", "test", None, samples), points)
    assert len(found.value) <= points or found.bin_s is None
    assert found.samples == len(samples)
    assert list(found.t_s) == sorted(found.t_s)
    values = [value for _, value in samples]
    assert max(found.max or found.value) == max(values)
    assert min(found.min or found.value) == min(values)
    for low, mean, high in zip(found.min or found.value, found.value, found.max or found.value, strict=True):
        assert low <= mean + 1e-5 * abs(mean) + 1e-9
        assert mean <= high + 1e-5 * abs(mean) + 1e-9


def chunk(
    monotonic_s: float, unix_s: float, rows: list[tuple[float | None, ...]], *, ended: bool = False
) -> ResourcesRecord:
    clock = SamplerClock(monotonic_s, unix_s)
    return ResourcesRecord(rate_hz=2.0, ended=ended, series=INFO, clock=clock, samples=tuple(rows))


def test_a_session_resumed_after_a_reboot_keeps_one_axis(tmp_path: Path) -> None:
    """The second part's monotonic clock is below the first one's, as after a boot."""
    with Journal.open(tmp_path / "journal", "key") as journal:
        log = Log(journal)
        log.add(records.start())
        log.add(records.run("a", 0, clock=records.clock(5000.0)))
        log.add(chunk(5000.0, 1e9, [(5000 + i / 2, 50.0, 7.0, 10.0 + i) for i in range(10)]))
    # killed here; later, after a boot, the next part goes on
    with Journal.open(tmp_path / "journal", "key") as journal:
        log = Log(journal)
        log.add(records.run("a", 1, clock=records.clock(20.0)))
        log.add(chunk(20.0, 1e9 + 100, [(20 + i / 2, 90.0, None, 30.0) for i in range(10)]))
        log.add(EndRecord(seconds=1.0, resumed=True, complete=True))
    assert log.complete
    found = timeline(log)
    assert found is not None
    told = resources(found)
    by_name = {series.name: series for series in told.series}
    assert by_name["cpu_percent"].t_s[0] == 0
    assert by_name["cpu_percent"].t_s[10] == 100
    assert len(by_name["power_w"].value) == 10, "what could not be read is no point, and no zero"
    assert [(span.kind, span.begin_s, span.end_s) for span in told.spans] == [("run", 0, 4), ("run", 100, 104)]
    used = summary(found, "a")
    assert used["cpu_percent"].mean == 70
    assert used["gpu_percent"].peak == 30
    metrics, missing = resource_metrics(found, "a")
    assert metrics["gpu_percent"].runs == ((14.0,), (30.0,))
    assert not missing
    # A run between two samples has no mean, and says so.
    found.windows[0] = found.windows[0].__class__("a", 0, 0.1, 0.2)
    metrics, missing = resource_metrics(found, "a")
    assert "gpu_percent" not in metrics
    assert "shorter" in missing["gpu_percent"].reason


def test_a_sampler_that_died_is_told(tmp_path: Path) -> None:
    with Journal.open(tmp_path / "journal", "key") as journal:
        log = Log(journal)
        log.add(records.start())
        log.add(chunk(0.0, 1e9, [(0.5, 1.0, 2.0, None)], ended=True))
    found = timeline(log)
    assert found is not None
    assert "ended" in found.missing["sampler"].reason
    assert found.missing["gpu_percent"].reason == "no sample of it could be read"


def test_a_board_tells_by_its_files_and_a_bare_one_says_why_not(tmp_path: Path) -> None:
    for read in (temperature, frequency, throttling):
        with pytest.raises(Absent):
            read(tmp_path)
    for name, text in {
        "class/hwmon/hwmon3/name": "coretemp",
        "class/hwmon/hwmon3/temp1_input": "61000",
        "class/hwmon/hwmon3/temp2_input": "64500",
        "devices/system/cpu/cpu0/cpufreq/scaling_cur_freq": "1000000",
        "devices/system/cpu/cpu1/cpufreq/scaling_cur_freq": "3000000",
        "devices/platform/soc/soc:firmware/get_throttled": "50005",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"{text}\n", encoding="ascii")
    assert temperature(tmp_path).read(0.0) == (64.5,)
    assert frequency(tmp_path).read(0.0) == (2e9,)
    firmware = throttling(tmp_path)
    assert firmware.read(0.0) == (1.0,)
    (tmp_path / "devices/platform/soc/soc:firmware/get_throttled").write_text("50000\n")  # what was, not what is
    assert firmware.read(0.0) == (0.0,)


def test_a_meter_that_opens_once_is_left_to_the_measurement(tmp_path: Path) -> None:
    chip = tmp_path / "class/hwmon/hwmon0"
    chip.mkdir(parents=True)
    for name, text in (("name", "bench"), ("power1_input", "7000000")):
        (chip / name).write_text(f"{text}\n", encoding="ascii")
    glances, missing = open_glances(["hwmon:bench?scope=board_dc", "shizuku:/dev/ttyACM99"], tmp_path)
    assert [glance.power_w() for glance in glances] == [7.0]
    assert glances[0].info.scope == "board_dc"
    (exclusive,) = missing
    assert exclusive.name == "shizuku"
    assert "second reader" in (exclusive.reason or "")
    for glance in glances:
        glance.close()


def sample(tmp_path: Path, seconds: float, **environment: str) -> tuple[dict[str, Any], list[list[float]]]:
    """What the sampler's own program writes in so many seconds."""
    with (tmp_path / "out").open("w+b") as out:
        job = {"rate_hz": 10, "specs": [], "sysfs": str(tmp_path)}
        process = subprocess.Popen(
            [sys.executable, "-m", "edgebench.machine.sampling", str(out.fileno()), json.dumps(job)],
            pass_fds=[out.fileno()],
            env={**os.environ, **environment},
        )
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and (tmp_path / "out").stat().st_size == 0:
            time.sleep(0.05)
        time.sleep(seconds)
        niceness = os.getpriority(os.PRIO_PROCESS, process.pid)
        process.terminate()
        assert process.wait(10) == 0
    assert niceness == 19
    head, *rows = map(json.loads, (tmp_path / "out").read_text().splitlines())
    return head, rows


@pytest.mark.skipif(importlib.util.find_spec("pynvml") is None, reason="nvidia-ml-py is not installed")
@pytest.mark.skipif(shutil.which("gcc") is None, reason="there is no C compiler to build the library with")
def test_the_sampler_reads_a_graphics_unit_through_nvml(tmp_path: Path) -> None:
    gcc, source = shutil.which("gcc") or "", Path(__file__).parents[1] / "simulators/nvml.c"
    subprocess.run([gcc, "-shared", "-fPIC", "-o", str(tmp_path / "libnvidia-ml.so.1"), str(source)], check=True)
    (tmp_path / "card").write_text("20 ok")
    head, rows = sample(tmp_path, 1.5, FAKE_NVML=str(tmp_path / "card"), LD_LIBRARY_PATH=str(tmp_path))
    names = [series["name"] for series in head["series"]]
    last = dict(zip(names, rows[-1][1:], strict=True))
    assert (last["gpu_percent"], last["gpu_memory_bytes"], last["gpu_temperature_c"]) == (37, 2**30, 54)
    assert "gpu_percent" not in head["missing"]
    assert len(rows) >= 3
    assert last["workload_cpu_percent"] is not None
    assert 0 <= last["cpu_percent"] <= 110 * (os.cpu_count() or 1)


def series(name: str, count: int, **more: Any) -> dict[str, Any]:
    times, values = [0.5 * i for i in range(count)], [float(i % 7) for i in range(count)]
    return {"name": name, "unit": "%", "samples": count, "t_s": times, "value": values, **more}


@given(st.lists(st.tuples(st.floats(0.001, 100), st.floats(-1e12, 1e12)), max_size=200), st.integers(1, 80))
@settings(max_examples=60, deadline=None)
def test_a_sparkline_fits_its_width(steps: list[tuple[float, float]], width: int) -> None:
    at, times = 0.0, []
    for step, _ in steps:
        at += step
        times.append(at)
    values = [value for _, value in steps]
    one = ResourceSeries.model_validate(
        {"name": "x", "unit": "1", "samples": len(times), "t_s": times, "value": values}
    )
    assert len(sparkline(one, width)) <= width


def test_a_drawing_breaks_where_nothing_was_sampled_and_refuses_unequal_lists() -> None:
    gap = series("cpu_percent", 40)
    gap["t_s"] = [at + (50 if place >= 20 else 0) for place, at in enumerate(gap["t_s"])]
    found = session_timeline(
        Report.model_validate(report([], resources={"rate_hz": 2.0, "series": [gap], "spans": []}))
    )
    assert found is not None
    assert len(found.panels[0].lines[0].strokes) == 2
    with pytest.raises(ValueError, match="differ in length"):
        ResourceSeries.model_validate(series("cpu_percent", 3) | {"value": [1.0]})
    assert MAX_POINTS == 500
