"""On a machine with an NVIDIA GPU: `pytest -m hardware tests/hardware`. What ran where: docs/jetson.md."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import pytest

import edgebench_probes
from edgebench.backends.cuda import Cudart, why_no_gpu
from edgebench_probes.sources import nvml

pytestmark = [pytest.mark.hardware, pytest.mark.skipif(why_no_gpu() is not None, reason=why_no_gpu() or "")]

# What a pass computes may differ by rounding; FP16 has eleven bits.
COSINE = {"fp32": 0.99999, "fp16": 0.999}


def test_memory_comes_back_as_it_went_and_events_tell_the_gpu_s_time() -> None:
    cuda = Cudart()
    stream, sent = cuda.stream(), np.random.default_rng(0).random((4096, 4096)).astype(np.float32)
    address, back = cuda.allocate(sent.nbytes), np.zeros_like(sent)
    before, after = cuda.event(), cuda.event()
    begun = time.perf_counter()
    cuda.record(before, stream)
    cuda.upload(address, sent, stream)
    cuda.record(after, stream)
    on_gpu_s, waited_s = cuda.seconds_between(before, after), time.perf_counter() - begun
    cuda.download(back, address, stream)
    assert np.array_equal(sent, back)
    assert 0 < on_gpu_s < waited_s
    assert all(cuda.device())


def test_the_energy_of_a_window_is_the_power_seen_meanwhile() -> None:
    torch = pytest.importorskip("torch")
    pynvml = nvml.load()
    handle = pynvml.nvmlDeviceGetHandleByIndex(0)
    matrix = torch.randn(8192, 8192, device="cuda")
    over, seen = threading.Event(), []

    def burn() -> None:
        while not over.is_set():
            matrix @ matrix
            torch.cuda.synchronize()

    load = threading.Thread(target=burn)
    load.start()
    try:
        time.sleep(3.0)  # power is a mean over the last second
        with edgebench_probes.open("nvml:0") as probes, edgebench_probes.measure(probes) as measured:
            end = time.monotonic() + 8.0
            while time.monotonic() < end:
                seen.append(pynvml.nvmlDeviceGetPowerUsage(handle) / 1e3)
                time.sleep(0.05)
    finally:
        over.set()
        load.join()
    (reading,) = measured.readings
    assert reading.power_w == pytest.approx(fmean(seen), rel=0.03)


def test_every_engine_of_the_gpu_agrees_with_the_cpu_and_has_joules(tmp_path: Path) -> None:
    target = tmp_path / "report.json"
    command = (sys.executable, "-m", "edgebench", "suite", "jetson-ptq", "--probe", "nvml", "--processes", "2")
    only = ("--only", "mobilenet_v3_small/*/*-cuda/*")
    done = subprocess.run([*command, *only, "-o", target], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    report: dict[str, Any] = json.loads(target.read_text(encoding="utf-8"))
    measured = [cell for cell in report["benchmarks"] if cell["status"] == "ok"]
    assert measured
    for cell in measured:
        precision = cell["params"]["precision"]
        assert cell["metrics"]["agreement_cosine"]["value"] > COSINE[precision], cell["name"]
        assert cell["layers"][precision] == cell["layers"]["total"], cell["layers"]
        assert cell["metrics"]["energy_gross_j.gpu"]["median"] > 0
