"""Backends and suites of other distributions: one is measured as ours are, a broken one is in nobody's way."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.session

BACKEND = '''
"""A backend of one class: single operators in NumPy."""
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np

from edgebench.backends.base import Layer, TensorSpec
from edgebench.backends.families import Family
from edgebench.backends.inputs import ModelInput
from edgebench.backends.row import ANYWHERE, IN_THE_FILE, BackendRow
from edgebench.errors import BackendError

SUITE = Path(__file__).with_name("toy.toml")
NAME = "/no/such/file.toml"


class Toy:
    name = "toy-numpy"

    def unavailable(self):
        return None

    def versions(self):
        return {"numpy": np.__version__}

    def load(self, spec):
        if spec.format != "toy":
            raise BackendError(f"toy-numpy opens no file ({spec.path}): measure operators with it")
        return Opened(int(spec.path.with_suffix(".size").read_text()), name=spec.path.name)


@dataclass(frozen=True)
class Model:
    operator: object
    load_s: float = 0.0
    compile_s: float = 0.0

    @property
    def inputs(self):
        return [TensorSpec("x", self.operator.shape, "float32")]

    def bind(self, feeds):
        source, target = feeds["x"], np.empty_like(feeds["x"])
        return lambda: np.copyto(target, source)

    def run(self, feeds):
        return [feeds["x"].copy()]

    def layers(self):
        return [Layer("0", "copy", "fp32")]

    def effective(self):
        return {"device": "CPU"}


@dataclass(frozen=True)
class Opened(Model):
    """A file of the family below; its operator is its size."""

    name: str = ""

    @property
    def inputs(self):
        return [TensorSpec("x", (1, self.operator), "float32")]

    def effective(self):
        return {"device": "CPU", "file": self.name}


def inputs(path):
    if path.read_text() != "toy":
        raise BackendError(f"{path} is no toy: make it anew")
    return [ModelInput("x", (None, int(path.with_suffix(".size").read_text())), "float32")]


def precision(path):
    return "int8"


def others(path):
    return (path.with_suffix(".size").name,)


def too_many(asked):
    return "toys are single: choose batch 1" if asked.batch > 1 else None


def make(operator, precision, threads):
    return Model(operator)


ROW = BackendRow(
    "toy-numpy", "NumPy", "toy_backend:Toy", family="onnx", formats=("onnx",), operators="toy_backend:make"
)
FAMILY = Family(
    "toy", "model.toy", ("numpy",), links="toy_backend", own=("toy",), suffix=".toy", reader="toy_backend"
)
HALF = Family("half", "model.half", (), links="toy_backend", suffix=".half")
ROBBER = Family("robber", "model.onnx", (), links="toy_backend", suffix=".onnx", reader="toy_backend")
FILES = BackendRow(
    "toy-files", "toy", "toy_backend:Toy", family="toy", formats=("toy",),
    precisions={"fp32": ANYWHERE, "int8": IN_THE_FILE}, unable="toy_backend:too_many",
)
'''
SUITE = """
name = "toy"
idle_s = 0.0
[measure]
processes = 2
warmup_passes = 2
passes = 20
values = 5
energy_windows = 0
[[benchmark]]
kind = "operator"
operator = ["copy-cache"]
backend = ["toy-numpy"]
precision = ["fp32"]
"""
ENTRY_POINTS = """
[edgebench.backends]
toy-numpy = toy_backend:ROW
torn = toy_backend:NOTHING
\x1b[31mred = toy_backend:NOTHING
openvino = toy_backend:ROW
toy-files = toy_backend:FILES

[edgebench.families]
toy = toy_backend:FAMILY
half = toy_backend:HALF
robber = toy_backend:ROBBER
onnx = toy_backend:FAMILY

[edgebench.suites]
toy-suite = toy_backend:SUITE
torn-suite = toy_backend:NAME
"""


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What a command needs to find a distribution that was installed into a folder."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "toy_backend.py").write_text(BACKEND, encoding="utf-8")
    (folder / "toy.toml").write_text(SUITE, encoding="utf-8")
    facts = folder / "toy_backend-1.0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: toy-backend\nVersion: 1.0\n", encoding="utf-8")
    (facts / "entry_points.txt").write_text(ENTRY_POINTS, encoding="utf-8")
    cache = str(tmp_path_factory.mktemp("cache"))
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), *sys.path]), "EDGEBENCH_CACHE": cache}


def suite(environment: dict[str, str], *words: str, code: int = 0) -> tuple[str, str]:
    command = [sys.executable, "-m", "edgebench", "suite", *words]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == code, done.stderr
    return done.stdout, " ".join(done.stderr.split())


def test_a_backend_and_a_suite_of_another_distribution_are_planned(environment: dict[str, str]) -> None:
    told, warned = suite(environment, "toy-suite", "--dry-run")
    assert "copy-cache/toy-numpy/fp32" in told
    assert "skipped" not in told
    assert "the plug-in 'torn' of toy-backend is skipped" in warned
    assert "\x1b" not in warned
    assert "[31mred" in warned
    assert "the plug-in 'openvino' of toy-backend is skipped (edgebench itself has one of that name)" in warned


def test_the_list_of_suites_has_it(environment: dict[str, str]) -> None:
    told, _ = suite(environment)
    assert "toy-suite" in told
    assert "torn-suite" not in told


def test_and_measured(environment: dict[str, str], tmp_path: Path) -> None:
    suite(environment, "toy-suite", "-o", str(tmp_path / "report.json"))
    report = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    (cell,) = report["benchmarks"]
    assert (cell["status"], cell["params"]["backend"]) == ("ok", "toy-numpy")
    assert len(cell["metrics"]["latency_s"]["runs"]) == 2
    assert cell["metrics"]["latency_s"]["median"] > 0
    assert report["software"]["numpy"]


def test_a_broken_one_is_an_error_only_for_who_asks_for_it(environment: dict[str, str], tmp_path: Path) -> None:
    asks = tmp_path / "asks.toml"
    asks.write_text(SUITE.replace("toy-numpy", "torn"), encoding="utf-8")
    _, error = suite(environment, str(asks), "--dry-run", code=2)
    assert f"{asks}:13: 'benchmark.0.backend.0' is wrong: the plug-in 'torn' of toy-backend is skipped" in error
    _, error = suite(environment, "torn-suite", "--dry-run", code=2)
    assert "the plug-in 'torn-suite' of toy-backend is skipped (/no/such/file.toml: cannot be read" in error
    asks.write_text(SUITE.replace("toy-numpy", "openvino"), encoding="utf-8")
    told, _ = suite(environment, str(asks), "--dry-run")
    assert "copy-cache/openvino/fp32" in told


def test_a_family_of_its_own_that_cannot_be_is_named(environment: dict[str, str]) -> None:
    _, warned = suite(environment, "toy-suite", "--dry-run")
    assert "'half' of toy-backend is skipped (its family has one of 'suffix' and 'reader' without the other)" in warned
    assert "'robber' of toy-backend is skipped (files that end in .onnx are those of onnx)" in warned
    assert "the plug-in 'onnx' of toy-backend is skipped (edgebench itself has one of that name)" in warned


def test_a_file_of_its_format_chooses_the_backend(environment: dict[str, str], tmp_path: Path) -> None:
    path, report = tmp_path / "mine.toy", tmp_path / "report.json"
    path.write_text("toy", encoding="utf-8")
    asked = ["smoke", "--model", str(path), "--processes", "1", "--passes", "20", "-o", str(report)]
    _, error = suite(environment, *asked, code=2)
    assert "mine.size: cannot be read" in error
    path.with_suffix(".size").write_text("12", encoding="utf-8")
    suite(environment, *asked)
    cells = {cell["name"]: cell for cell in json.loads(report.read_text(encoding="utf-8"))["benchmarks"]}
    done = cells.pop("mine/baseline/toy-files/int8")
    # What it holds, its two parts and their names are those that the user gave.
    assert (done["status"], done["settings"]["file"]) == ("ok", "mine.toy")
    assert done["params"]["inputs"][0]["shape"] == [1, 12]
    assert done["artifact"]["size_bytes"] == 5
    assert {cell["params"]["backend"] for cell in cells.values()} <= {"toy-files"}
    path.write_text("no toy", encoding="utf-8")
    _, error = suite(environment, *asked, code=2)
    assert "mine.toy is no toy: make it anew" in error


def test_what_a_backend_cannot_run_is_skipped_with_its_reason(environment: dict[str, str], tmp_path: Path) -> None:
    asks = tmp_path / "asks.toml"
    text = 'name = "asks"\n[[benchmark]]\nmodel = ["mobilenet_v2"]\nbackend = ["toy-files"]\nbatch = [1, 2]\n'
    asks.write_text(text, encoding="utf-8")
    told, _ = suite(environment, str(asks), "--dry-run")
    assert "toys are single: choose batch 1" in told
    assert "skipped here (1)" in told
