"""NVML through the real nvidia-ml-py and a library with the real entry points, built here."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = [
    pytest.mark.quiet,
    pytest.mark.skipif(importlib.util.find_spec("pynvml") is None, reason="nvidia-ml-py is not installed"),
    pytest.mark.skipif(shutil.which("gcc") is None, reason="there is no C compiler to build the library with"),
]
SOURCE = Path(__file__).parents[1] / "simulators/nvml.c"
HEAD = """
import json, os, time
from pathlib import Path
from edgebench_probes.base import ProbeError
from edgebench_probes.sources.nvml import NvmlSource, count
from edgebench_probes.sampling.probe import SampledProbe
card = Path(os.environ["FAKE_NVML"])
def said(call):
    try:
        return call()
    except ProbeError as error:
        return [type(error).__name__, error.reason, error.fix]
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("nvml")
    gcc = shutil.which("gcc") or ""
    subprocess.run([gcc, "-shared", "-fPIC", "-o", str(folder / "libnvidia-ml.so.1"), str(SOURCE)], check=True)
    return folder


def run(library: Path | None, tmp_path: Path, program: str, mode: str = "20 ok") -> Any:
    """A process of its own: the loader looks at LD_LIBRARY_PATH when it starts."""
    card = tmp_path / "card"
    card.write_text(mode)
    environment = {**os.environ, "FAKE_NVML": str(card), "LD_LIBRARY_PATH": str(library or tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", HEAD + program], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_the_energy_counter_gives_mean_powers(library: Path, tmp_path: Path) -> None:
    program = """
with SampledProbe(NvmlSource()) as probe:
    info = probe.info
    time.sleep(0.3)
    start = probe.mark()
    time.sleep(0.3)
    card.with_name("new").write_text("60 ok"); card.with_name("new").rename(card)
    changed = time.monotonic_ns()
    time.sleep(0.7)
    end = probe.mark(sync=False)
    window = probe.energy(start, end)
    truth = 20 * (changed - start.t_ns) / 1e9 + 60 * (end.t_ns - changed) / 1e9
    print(json.dumps([info.source, info.scope, info.refresh_s, window.energy_j / truth, window.uncertainty_j / truth]))
"""
    source, scope, refresh_s, ratio, uncertainty = run(library, tmp_path, program)
    assert source == "NVML energy counter of Fake Orin"
    assert scope == "gpu"
    assert 0.015 < refresh_s < 0.1
    assert ratio == pytest.approx(1, abs=max(0.03, 3 * uncertainty))


def test_power_where_no_energy_is_counted(library: Path, tmp_path: Path) -> None:
    program = """
source = NvmlSource(); source.open()
print(json.dumps([source.describe().info.source, [s.power_w for _ in range(3) for s in source.read()]]))
"""
    assert run(library, tmp_path, program, "33 power") == ["NVML power of Fake Orin", [33.0, 33.0, 33.0]]


@pytest.mark.parametrize(
    ("mode", "smoothing_s", "accuracy"),
    [
        ("33 power 2", 0.0, 0.05),  # Kepler
        ("33 power 6", 0.0, 0.0),  # Turing: instantaneous, and no accuracy is published
        ("33 power 7", 1.0, 0.0),  # Ampere
        ("33 power 78", 0.0, 0.0),  # Ampere, but a GA100
        ("33 power 9", 1.0, 0.0),  # Hopper
        ("33 power", 1.0, 0.0),  # not told
        ("33 ok 9", 0.0, 0.0),  # the energy counter is no average
    ],
)
def test_what_is_known_of_an_architecture(
    library: Path, tmp_path: Path, mode: str, smoothing_s: float, accuracy: float
) -> None:
    program = """
source = NvmlSource(); source.open(); about = source.describe()
print(json.dumps([about.info.name, about.smoothing_s, about.info.accuracy, about.accuracy_source]))
"""
    name, smoothed_s, known, source = run(library, tmp_path, program, mode)
    assert (name, smoothed_s, known) == ("nvml:0", smoothing_s, accuracy)
    assert ("Fermi and Kepler" in source) if accuracy else source == "unknown"


def test_registers_without_a_value_are_no_four_megawatts(library: Path, tmp_path: Path) -> None:
    program = """
source = NvmlSource(); opened = said(source.open)
card.write_text("20 power"); source.open()
card.write_text("20 empty")
print(json.dumps([opened, said(source.read)]))
"""
    for refused in run(library, tmp_path, program, "20 empty"):
        assert "more than gpu can draw" in refused[1]


def test_faults(library: Path, tmp_path: Path) -> None:
    program = """
source = NvmlSource(); source.open()
result = {"count": count(), "index": said(NvmlSource(4).open)}
for mode in ("lost", "back"):
    card.write_text("20 " + mode)
    result[mode] = said(lambda: [source.read() for _ in range(3)])
print(json.dumps(result))
"""
    result = run(library, tmp_path, program)
    assert result["count"] == 1
    assert "graphics unit 4" in result["index"][1]
    assert result["lost"][:2] == ["SourceLost", "NVML cannot tell its energy counter: GPU is lost"]
    assert result["back"][:2] == ["SourceLost", "the energy counter went back: the driver was loaded again"]


def test_without_a_driver_and_without_rights(library: Path, tmp_path: Path) -> None:
    kind, reason, fix = run(None, tmp_path, "print(json.dumps(said(count)))")
    assert (kind, reason) == ("ProbeError", "NVIDIA's driver library libnvidia-ml.so.1 is not here")
    assert "--gpus all" in fix
    assert run(library, tmp_path, "print(json.dumps(said(count)))", "20 denied")[1] == "NVML refuses this user"
