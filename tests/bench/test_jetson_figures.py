"""What the Jetson study must reach on a CPU: sizes, executed layers, speed, agreement, for all six models in one run.

`EDGEBENCH_BENCH_MODELS=mobilenet_v3_small,…` measures fewer of them (half an hour for all on two quiet cores).
"""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from statistics import fmean, median
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

from edgebench.backends.base import LoadSpec
from edgebench.backends.registry import get_backend
from edgebench.machine.facts import usable_cpus
from edgebench.measure.messages import ArtifactFile
from tests.bench.conftest import Record
from tests.bench.test_figures import measured, worker_job
from tests.session.conftest import Edgebench

SIX = "mobilenet_v3_small,mobilenet_v3_large,efficientnet_b0,efficientnet_b3,densenet169,densenet201"
MODELS = os.environ.get("EDGEBENCH_BENCH_MODELS", SIX).split(",")
ENGINES = ("onnxruntime", "openvino")
FORMATS = {"onnxruntime": "onnx", "openvino": "openvino"}
PRECISIONS = {"baseline": "fp32", "fp16": "fp16", "ptq-static": "int8"}
SHAPE = (1, 3, 224, 224)
SUITE = """
name = "jetson-figures"
study = "jetson"
idle_s = 0.0
[measure]
processes = 3
warmup_passes = 5
passes = 40
values = 20
energy_windows = 0
time_limit_s = 1800.0
[recipe.default]
epochs = 0
train_size = 32
pretrain_epochs = 5
reestimate_batch_norm = true
calibration_images = 64
[[benchmark]]
model = {models}
variant = ["baseline", "fp16", "ptq-static"]
backend = ["onnxruntime", "openvino"]
threads = [1]
"""

Cells = dict[tuple[str, str, str], dict[str, Any]]


@pytest.fixture(scope="module")
def six(edgebench: Edgebench, tmp_path_factory: pytest.TempPathFactory) -> Cells:
    folder = tmp_path_factory.mktemp("jetson")
    suite = folder / "jetson-figures.toml"
    suite.write_text(SUITE.replace("{models}", json.dumps(MODELS)), encoding="utf-8")
    done = edgebench("suite", suite, "--sysfs", folder, "-o", folder / "report.json")
    assert done.code == 0, done.stderr
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    asked = [cell["params"] for cell in report["benchmarks"]]
    keys = [(params["model"], params["variant"], params["backend"]) for params in asked]
    return dict(zip(keys, report["benchmarks"], strict=True))


def file_of(cell: dict[str, Any], cache: Path) -> Path:
    for path in (cache / "artifacts").glob("*/artifact.json"):
        data = json.loads(path.read_text(encoding="utf-8"))
        if data["digest"] == cell["artifact"]["digest"]:
            return path.parent / str(data["file"])
    raise LookupError


def pairs(six: Cells, variant: str, engine: str) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    for model in MODELS:
        yield model, six[model, "baseline", engine], six[model, variant, engine]


@pytest.mark.timeout(7200)
@pytest.mark.parametrize("engine", ENGINES)
def test_sizes_layers_and_accuracy(six: Cells, figure: Record, engine: str) -> None:
    for variant, limit in (("fp16", 0.52), ("ptq-static", 0.30)):
        for model, base, head in pairs(six, variant, engine):
            ratio = head["artifact"]["size_bytes"] / base["artifact"]["size_bytes"]
            figure(f"{engine} {variant} {model}: size of FP32", f"{ratio:.3f}", f"<= {limit}", ratio <= limit)
    for model, base, head in pairs(six, "ptq-static", engine):
        ran = head["layers"].get("int8", 0)
        figure(f"{engine} {model}: layers in INT8", f"{ran} of {head['layers']['total']}", "> 0", ran > 0)
        change = head["metrics"]["accuracy_top1"]["mean"] - base["metrics"]["accuracy_top1"]["mean"]
        figure(f"{engine} {model}: INT8 accuracy", f"{100 * change:+.2f} points", ">= -2 points", change >= -0.02)


@pytest.mark.timeout(7200)
@pytest.mark.parametrize("engine", ENGINES)
def test_int8_is_faster_than_fp32(six: Cells, figure: Record, engine: str) -> None:
    logs = []
    for model, base, head in pairs(six, "ptq-static", engine):
        speed = base["metrics"]["latency_s"]["median"] / head["metrics"]["latency_s"]["median"]
        figure(f"{engine} {model}: INT8 against FP32", f"{speed:.2f} x", "> 1 x", speed > 1)
        logs.append(math.log(speed))
    mean = math.exp(fmean(logs))
    figure(f"{engine}: geometric mean of {len(logs)} models", f"{mean:.2f} x", ">= 2 x", mean >= 2)


@pytest.mark.timeout(7200)
@pytest.mark.parametrize("engine", ENGINES)
def test_outputs_agree_with_torch(six: Cells, cache: Path, figure: Record, engine: str) -> None:
    """The engine's outputs against torch's of the very checkpoint its file was exported from, over 40 test images."""
    from edgebench_suites.data.load import load_data, preprocess

    images = preprocess(load_data(None, seed=42).test_images[:40], 32)
    shape = {"*": images.shape}
    checkpoints = {
        json.loads((path.parent / "model.json").read_text(encoding="utf-8"))["model"]: path.parent
        for path in (cache / "artifacts").glob("*/weights.pt")
    }
    for model in MODELS:
        (expected,) = (
            get_backend("torch").load(LoadSpec(checkpoints[model], "torch", 1, "fp32", shape)).run({"*": images})
        )
        for variant, tolerance in (("baseline", 1e-3), ("fp16", 1e-2), ("ptq-static", 0.15)):
            path = file_of(six[model, variant, engine], cache)
            spec = LoadSpec(path, FORMATS[engine], 1, PRECISIONS[variant], shape)
            (found,) = get_backend(engine).load(spec).run({"*": images})
            gaps = np.abs(np.asarray(found, dtype=np.float64) - np.asarray(expected, dtype=np.float64))
            error = float(gaps.mean() / np.ptp(expected))
            text = f"{error:.1e} of the outputs' range"
            figure(f"{engine} {model} {variant} against torch", text, f"<= {tolerance}", error <= tolerance)


@pytest.mark.timeout(7200)
@pytest.mark.parametrize("variant", ["baseline", "ptq-static"])
def test_latency_agrees_with_the_vendors_own_tools(
    six: Cells, cache: Path, tmp_path: Path, figure: Record, variant: str
) -> None:
    model = MODELS[-1] if len(MODELS) < 2 else MODELS[1]
    tools = (
        ("openvino", "benchmark_app", _benchmark_app_s),
        ("onnxruntime", "its profiler, which costs time itself", partial(_onnxruntime_s, profiled=True)),
        ("onnxruntime", "a bare loop of session.run", partial(_onnxruntime_s, profiled=False)),
    )
    for engine, tool, theirs_s in tools:
        path = file_of(six[model, variant, engine], cache)
        artifact = ArtifactFile(str(path), FORMATS[engine])
        job = replace(worker_job(path), backend=engine, precision=PRECISIONS[variant], artifact=artifact)
        logs = []
        for turn in range(6):
            pair = {}
            for side in ("ours", "theirs") if turn % 2 else ("theirs", "ours"):
                pair[side] = measured(job).times.p50_s if side == "ours" else theirs_s(path, tmp_path)
            logs.append(math.log(pair["ours"] / pair["theirs"]))
        off = math.exp(median(logs)) - 1
        figure(f"{engine} {model} {variant} against {tool}", f"{100 * off:+.2f} %", "within 5 %", abs(off) < 0.05)


def _benchmark_app_s(path: Path, folder: Path) -> float:
    tool = shutil.which("benchmark_app", path=str(Path(sys.executable).parent)) or shutil.which("benchmark_app")
    if tool is None:
        pytest.skip("benchmark_app is not installed")
    command = [
        "taskset", "-c", str(usable_cpus()[0]), tool, "-m", str(path), "-d", "CPU", "-hint", "none", "-nstreams", "1",
        "-nthreads", "1", "-api", "sync", "-t", "5", "-infer_precision", "f32", "-ip", "f32", "-shape",
        str(list(SHAPE)), "-json_stats", "-report_type", "no_counters", "-report_folder", str(folder),
    ]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True, timeout=200)
    stats = json.loads(next(folder.glob("benchmark_report.json")).read_text(encoding="utf-8"))
    return float(stats["execution_results"]["latency (ms)"]) / 1000


def _onnxruntime_s(path: Path, folder: Path, *, profiled: bool) -> float:
    """The median of ONNX Runtime in a process of its own: `model_run` in its profile, or by the clock around each."""
    code = f"""
import json, statistics, time, numpy as np, onnxruntime as ort
options = ort.SessionOptions()
options.intra_op_num_threads = 1
for name, size in (("batch", 1), ("height", 224), ("width", 224)):
    options.add_free_dimension_override_by_name(name, size)
options.enable_profiling = {profiled}
options.profile_file_prefix = {str(folder / "ort")!r}
session = ort.InferenceSession({str(path)!r}, options, providers=["CPUExecutionProvider"])
feeds = {{session.get_inputs()[0].name: np.random.default_rng(42).standard_normal({SHAPE}).astype(np.float32)}}
times = []
for _ in range(150):
    begun = time.perf_counter()
    session.run(None, feeds)
    times.append(time.perf_counter() - begun)
if {profiled}:
    events = json.load(open(session.end_profiling()))
    times = [event["dur"] / 1e6 for event in events if event["name"] == "model_run"]
print(statistics.median(times[50:]))
"""
    command = ["taskset", "-c", str(usable_cpus()[0]), sys.executable, "-c", code]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=200)
    return float(done.stdout)
