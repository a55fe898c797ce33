"""What LiteRT must reach here: ResNet-50 of the Pi study in one run, FP32 and INT8 taking turns."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from statistics import fmean

import numpy as np
import pytest
from msgspec.structs import replace

from edgebench.machine.facts import usable_cpus
from edgebench.measure.messages import ArtifactFile, TimedJob
from edgebench.measure.results import InferenceResult
from tests.bench.conftest import Record
from tests.bench.test_figures import measured, worker_job

torch = pytest.importorskip("torch")
pytest.importorskip("litert_torch")

SHAPE = (1, 3, 224, 224)
TURNS = 6


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """ResNet-50 with the study's head, seeded and standardised as the suite does, in its three forms."""
    from edgebench.artifacts.convert.tflite import to_tflite
    from edgebench.compress.quantise_tflite import dynamic_tflite, static_tflite
    from edgebench_suites.data.dataset import DataChoice
    from edgebench_suites.data.load import calibration_batches, load_data
    from edgebench_suites.transfer import standardise_layers, with_head
    from edgebench_suites.zoo import build

    folder = tmp_path_factory.mktemp("resnet50")
    data = load_data(None, seed=42, choice=DataChoice((3, 8), 150))
    network, _ = build("resnet50", num_classes=2, seed=42)
    module = with_head(network, classes=2, size=224, width=128)
    images = calibration_batches(data, size=224, count=32, seed=42)
    standardise_layers(module.get_submodule("base"), np.concatenate(images))
    to_tflite(module, SHAPE, folder / "fp32.tflite")
    static_tflite(folder / "fp32.tflite", folder / "static.tflite", images)
    dynamic_tflite(folder / "fp32.tflite", folder / "dynamic.tflite")
    np.save(folder / "image.npy", images[0])
    with torch.no_grad():
        np.save(folder / "expected.npy", module.eval()(torch.from_numpy(images[0])).numpy())
    return folder


def ours(model: Path, precision: str, *, describe: bool = False) -> InferenceResult:
    job = replace(
        worker_job(model),
        backend="litert",
        precision=precision,
        artifact=ArtifactFile(str(model), "tflite"),
        shapes={"*": SHAPE},
        timing=TimedJob(loops=0, passes=60, warmup_passes=10, values=10, min_value_s=0.0),
        describe=describe,
    )
    return measured(job, limit_s=300)


def theirs_s(model: Path) -> float:
    """The median of LiteRT's own benchmark, which its package brings as a module."""
    command = [
        "taskset", "-c", str(usable_cpus()[0]), sys.executable, "-m", "ai_edge_litert.tools.benchmark_litert_model",
        "--model", str(model), "--num_threads", "1", "--num_runs", "60", "--warmup_runs", "10",
    ]  # fmt: skip
    told = subprocess.run(command, check=True, capture_output=True, text=True, timeout=300).stdout
    line = next(line for line in told.splitlines() if line.startswith("Inference (median):"))
    return float(line.split()[-2]) / 1000


def geometric(ratios: list[float]) -> tuple[float, str]:
    centre = math.exp(fmean(map(math.log, ratios)))
    return centre, f"[{min(ratios):.3f}, {max(ratios):.3f}] over {len(ratios)} turns"


def test_size_layers_and_outputs(files: Path, figure: Record) -> None:
    from edgebench.backends.base import LoadSpec
    from edgebench.backends.registry import get_backend

    whole = (files / "fp32.tflite").stat().st_size
    image, expected = np.load(files / "image.npy"), np.load(files / "expected.npy")
    scale = float(np.abs(expected).max())
    # These weights are random; docs/pi.md has the agreement of networks that learned.
    for name, precision, tolerance in (("fp32", "fp32", 1e-4), ("static", "int8", 0.1), ("dynamic", "int8", 0.1)):
        path = files / f"{name}.tflite"
        if name != "fp32":
            share = path.stat().st_size / whole
            figure(f"ResNet-50 .tflite, {name} INT8 against FP32 in size", f"{share:.2%}", "<= 26 %", share <= 0.26)
            layers = ours(path, precision, describe=True).layers
            assert layers is not None
            counts, total = layers.counts, sum(layers.counts.values())
            met = counts.get("int8") == total
            figure(f"its layers executed in INT8, {name}", f"{counts.get('int8', 0)} of {total}", "all", met)
        model = get_backend("litert").load(LoadSpec(path, "tflite", 1, precision, {"*": SHAPE}))
        error = float(np.abs(model.run({"*": image})[0] - expected).max()) / scale
        figure(f"its outputs, {name}, against torch FP32", f"{error:.2e} of the largest", f"<= {tolerance:g}",
               error <= tolerance)  # fmt: skip


def test_int8_against_fp32_and_the_runtimes_own_benchmark(files: Path, figure: Record) -> None:
    speeds: dict[str, list[float]] = {"static": [], "dynamic": []}
    against: dict[str, list[float]] = {"fp32": [], "static": []}
    for turn in range(TURNS):
        medians: dict[str, float] = {}
        vendor: dict[str, float] = {}
        order = ("fp32", "static", "dynamic") if turn % 2 else ("dynamic", "static", "fp32")
        for name in order:
            path = files / f"{name}.tflite"
            if turn % 2 and name in against:
                vendor[name] = theirs_s(path)
            medians[name] = ours(path, "fp32" if name == "fp32" else "int8").times.p50_s
            if not turn % 2 and name in against:
                vendor[name] = theirs_s(path)
        for name, found in speeds.items():
            found.append(medians["fp32"] / medians[name])
        for name, found in against.items():
            found.append(medians[name] / vendor[name])
    for name, target in (("static", 2.0), ("dynamic", 1.0)):
        centre, spread = geometric(speeds[name])
        figure(f"LiteRT {name} INT8 ResNet-50 against FP32, 1 thread", f"{centre:.2f} x {spread}", f">= {target:g} x",
               centre >= target)  # fmt: skip
    for name, ratios in against.items():
        centre, spread = geometric(ratios)
        figure(f"our median against LiteRT's benchmark, {name}", f"{100 * (centre - 1):+.2f} % {spread}", "within 5 %",
               abs(centre - 1) <= 0.05)  # fmt: skip


def test_the_reduced_suite_for_a_check(figure: Record, tmp_path: Path) -> None:
    """The form of the suite that a build may run."""
    import time

    begun = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "edgebench", "suite", "pi-tflite", "--only", "mobilenet_v2/*ptq-static/*",
         "--processes", "1", "--sysfs", str(tmp_path)],
        capture_output=True, text=True, check=False, timeout=900,
    )  # fmt: skip
    seconds = time.perf_counter() - begun
    assert done.returncode == 0, done.stderr
    statuses = {cell["status"] for cell in json.loads(done.stdout)["benchmarks"]}
    figure("pi-tflite, reduced", f"{seconds:.0f} s, {statuses}", "< 120 s", seconds < 120 and statuses == {"ok"})
