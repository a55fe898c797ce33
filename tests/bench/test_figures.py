"""What edgebench must reach: ratios measured in one run (`tox -e bench`)."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import sys
import time
from pathlib import Path
from statistics import fmean, median
from typing import Any

import pytest

from edgebench.machine.facts import usable_cpus
from edgebench.measure.inference import TimedPasses
from edgebench.measure.messages import ArtifactFile, EnergyJob, MeasureJob, ProbeSettings, TimedJob
from edgebench.measure.probes import opened, read_cost_s
from edgebench.measure.results import InferenceResult
from edgebench.session.jobs import child_environment, run_job
from tests.bench.conftest import Record
from tests.session.conftest import Edgebench

SUITE = """
name = "figures"
idle_s = 2.0
[measure]
processes = 6
warmup_passes = 100
passes = 300
values = 20
energy_windows = 0
[recipe.default]
train_size = 64
pretrain_epochs = 10
[[benchmark]]
model = ["mobilenet_v2"]
variant = ["baseline", "ptq-static"]
backend = ["openvino"]
threads = [1]
isa = [{isa}]
[[benchmark]]
model = ["mobilenet_v2"]
backend = ["torch"]
threads = [1]
isa = [{isa}]
"""


def session(edgebench: Edgebench, folder: Path, isa: str) -> dict[str, Any]:
    suite = folder / "figures.toml"
    suite.write_text(SUITE.replace("{isa}", f'"{isa}"'), encoding="utf-8")
    done = edgebench("suite", suite, "--sysfs", folder)
    assert done.code == 0, done.stderr
    return done.report


@pytest.fixture(scope="module")
def plain(edgebench: Edgebench, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return session(edgebench, tmp_path_factory.mktemp("plain"), "none")


def contrast(report: dict[str, Any], metric: str, base: str, head: str) -> dict[str, Any]:
    found = [
        entry
        for entry in report["contrasts"]
        if entry["metric"] == metric and base in entry["base"] and head in entry["head"]
    ]
    assert len(found) == 1
    return dict(found[0])


def test_int8_against_the_studys_baseline(plain: dict[str, Any], figure: Record) -> None:
    ratio = contrast(plain, "latency_s", "baseline/torch", "ptq-static/openvino")
    speed = 1 / ratio["ratio"]
    low, high = (1 / side for side in reversed(ratio["ci95"]))
    figure(
        "OpenVINO INT8 against torch eager, 224 px, 1 thread",
        f"{speed:.2f} x [{low:.2f}, {high:.2f}]",
        ">= 6 x",
        speed >= 6,
    )
    size = contrast(plain, "size_bytes", "baseline/torch", "ptq-static/openvino")["ratio"]
    figure("its size", f"{(size - 1) * 100:.1f} %", "<= -70 %", size <= 0.30)
    change = contrast(plain, "accuracy_top1", "baseline/openvino", "ptq-static/openvino")["difference"]
    figure("its accuracy against FP32", f"{100 * change:+.2f} points", ">= -1 point", change >= -0.01)
    fp32 = next(cell for cell in plain["benchmarks"] if "baseline/openvino" in cell["name"])
    figure("FP32 layers executed in FP32", f"{fp32['layers']['fp32']} of {fp32['layers']['total']}", "all",
           fp32["layers"]["fp32"] == fp32["layers"]["total"])  # fmt: skip


def test_int8_under_an_n150s_ceiling(edgebench: Edgebench, tmp_path: Path, figure: Record) -> None:
    report = session(edgebench, tmp_path, "avx2_vnni")
    ratio = contrast(report, "latency_s", "baseline/torch", "ptq-static/openvino")["ratio"]
    figure("the same under an AVX2_VNNI ceiling", f"{1 / ratio:.2f} x", ">= 3.5 x", 1 / ratio >= 3.5)


def fp32_ir(report: dict[str, Any], cache: Path) -> Path:
    """The IR of a report's FP32 baseline, found in the store by its digest."""
    cell = next(cell for cell in report["benchmarks"] if "baseline/openvino" in cell["name"])
    for path in (cache / "artifacts").glob("*/artifact.json"):
        data = json.loads(path.read_text(encoding="utf-8"))
        if data["digest"] == cell["artifact"]["digest"]:
            return path.parent / str(data["file"])
    raise LookupError


NO_ENERGY = EnergyJob(probes=ProbeSettings(), windows=0, target=0.01, window_s=0.5)


def worker_job(model: Path, *, energy: EnergyJob = NO_ENERGY) -> MeasureJob:
    return MeasureJob(
        name="figure", backend="openvino", precision="fp32", threads=1, cpus=tuple(usable_cpus()[:1]), seed=42,
        artifact=ArtifactFile(str(model), "openvino"), shapes={"*": (1, 3, 224, 224)}, energy=energy,
        timing=TimedJob(loops=0, passes=600, warmup_passes=100, values=20, min_value_s=0.0),
    )  # fmt: skip


def measured(job: MeasureJob, limit_s: float = 120) -> InferenceResult:
    environment = child_environment(threads=job.threads, isa="none", seed=42)
    outcome = run_job("edgebench.measure.worker", job, (InferenceResult,), environment=environment, limit_s=limit_s)
    assert outcome.answer is not None, outcome.error
    return outcome.answer


def test_latency_agrees_with_openvinos_own_benchmark_app(
    plain: dict[str, Any], cache: Path, tmp_path: Path, figure: Record
) -> None:
    tool = shutil.which("benchmark_app", path=str(Path(sys.executable).parent)) or shutil.which("benchmark_app")
    if tool is None:
        pytest.skip("benchmark_app is not installed")
    model = fp32_ir(plain, cache)
    ratios = []
    for turn in range(8):
        pair = {}
        for side in ("ours", "theirs") if turn % 2 else ("theirs", "ours"):
            if side == "ours":
                pair[side] = measured(worker_job(model)).times.p50_s
                continue
            command = [
                "taskset", "-c", str(usable_cpus()[0]), tool, "-m", str(model), "-d", "CPU", "-hint", "none",
                "-nstreams", "1", "-nthreads", "1", "-api", "sync", "-t", "4", "-infer_precision", "f32", "-ip", "f32",
                "-shape", "[1,3,224,224]", "-json_stats", "-report_type", "no_counters",
                "-report_folder", str(tmp_path),
            ]  # fmt: skip
            subprocess.run(command, check=True, capture_output=True, timeout=120)
            stats = json.loads(next(tmp_path.glob("benchmark_report.json")).read_text(encoding="utf-8"))
            pair[side] = float(stats["execution_results"]["latency (ms)"]) / 1000  # its median
        ratios.append(pair["ours"] / pair["theirs"])
    ratio = math.exp(fmean(map(math.log, ratios)))
    text = f"{100 * (ratio - 1):+.2f} % [{min(ratios):.3f}, {max(ratios):.3f}]"
    figure("our median against benchmark_app", text, "within 3 %", abs(ratio - 1) < 0.03)


def test_cost_of_a_timestamp(figure: Record) -> None:
    def nothing() -> None:
        return None

    loops = 200_000
    timed = TimedPasses(nothing)
    stamped = min(timed(loops) for _ in range(5)) / loops
    begun = time.perf_counter()
    for _ in range(loops):
        nothing()
    bare = (time.perf_counter() - begun) / loops
    cost = stamped - bare
    figure("timestamps", f"{cost * 1e9:.0f} ns a pass", "<= 1 us", cost <= 1e-6)


def test_cost_of_an_energy_read(seven_watts: Path, figure: Record) -> None:
    with opened(ProbeSettings((), str(seven_watts))) as found:
        cost = max(read_cost_s(probe, 2000) for probe in found.probes)
    figure("an energy read (over FUSE)", f"{cost * 1e6:.1f} us", "<= 30 us", cost <= 30e-6)


def test_energy_windows_do_not_change_latency(
    plain: dict[str, Any], cache: Path, seven_watts: Path, figure: Record
) -> None:
    model = fp32_ir(plain, cache)
    energy = EnergyJob(probes=ProbeSettings((), str(seven_watts)), windows=1, target=0.01, window_s=0.5)
    logs = []
    for turn in range(16):
        pair = {}
        for side in ("on", "off") if turn % 2 else ("off", "on"):
            pair[side] = measured(worker_job(model, energy=energy if side == "on" else NO_ENERGY)).times.p50_s
        logs.append(math.log(pair["on"] / pair["off"]))
    centre = math.exp(median(logs)) - 1
    figure("latency with energy windows on against off", f"{100 * centre:+.2f} %", "within 0.5 %", abs(centre) <= 0.005)


def test_a_sampler_at_100_hz(plain: dict[str, Any], cache: Path, tmp_path: Path, figure: Record) -> None:
    """Passes while a hwmon source is sampled at 100 Hz against passes a moment before, in the same process."""
    chip = tmp_path / "class" / "hwmon" / "hwmon0"
    chip.mkdir(parents=True)
    for name, text in (("name", "bench"), ("power1_input", "7000000")):
        (chip / name).write_text(f"{text}\n", encoding="ascii")
    probes = ProbeSettings(("hwmon:bench?scope=board_dc&rate=100",), str(tmp_path))
    energy = EnergyJob(probes=probes, windows=1, target=0.05, window_s=2.0)
    logs: list[float] = []
    shares: list[float] = []
    for _ in range(10):
        result = measured(worker_job(fp32_ir(plain, cache), energy=energy))
        (window,) = result.energy.windows
        logs.append(math.log(window.pass_s / fmean(result.values)))
        shares += result.energy.sampler_share.values()
    change = math.exp(median(logs)) - 1
    figure(
        "latency with a 100 Hz sampler on against off", f"{100 * change:+.2f} %", "within 0.5 %", abs(change) <= 0.005
    )
    figure("its share of a core", f"{100 * median(shares):.2f} %", "< 0.5 %", median(shares) < 0.005)


def test_start_up(edgebench: Edgebench, figure: Record) -> None:
    times = []
    for _ in range(7):
        begun = time.perf_counter()
        assert edgebench("--help").code == 0
        times.append(time.perf_counter() - begun)
    figure("edgebench --help", f"{median(times):.3f} s", "< 0.3 s", median(times) < 0.3)


def test_show_of_a_hundred_benchmarks(edgebench: Edgebench, tmp_path: Path, figure: Record) -> None:
    from edgebench.report.io import write_report
    from tests.golden.make_sample import sample

    report = sample()
    cells = [report.benchmarks[index % len(report.benchmarks)] for index in range(100)]
    named = tuple(cell.model_copy(update={"name": f"{cell.name}/{index}"}) for index, cell in enumerate(cells))
    path = tmp_path / "hundred.json"
    write_report(report.model_copy(update={"benchmarks": named}), path)
    times = []
    for _ in range(5):
        begun = time.perf_counter()
        assert edgebench("show", path).code == 0
        times.append(time.perf_counter() - begun)
    figure("show of 100 benchmarks", f"{median(times):.2f} s", "< 0.5 s", median(times) < 0.5)
