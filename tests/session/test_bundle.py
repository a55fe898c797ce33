"""Prepared on a workstation, measured on the board: real bundles, and a board's environment without training."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgebench.plan.digest import digest_of
from tests.session.board import make_board
from tests.session.conftest import RECIPE, Edgebench, Outcome
from tests.simulators import powercap as simulator

pytestmark = pytest.mark.session

SUITE = (
    'name = "carried"\nidle_s = 0.0\n'
    "[measure]\nprocesses = 2\nwarmup_passes = 5\npasses = 20\nvalues = 5\nenergy_windows = 0\n"
    f"{RECIPE}"
    '[[benchmark]]\nmodel = ["mobilenet_v2"]\nwidth = [0.25]\nvariant = ["baseline", "ptq-static"]\n'
    'backend = ["onnxruntime", "torch"]\nimage_size = 64\n'
    '[[benchmark]]\nkind = "operator"\noperator = ["conv3x3"]\nbackend = ["openvino"]\nprecision = ["fp32"]\n'
)
FP32, INT8 = (f"mobilenet_v2-0.25/{name}" for name in ("baseline/onnxruntime/fp32", "ptq-static/onnxruntime/int8"))


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("suite") / "carried.toml"
    path.write_text(SUITE, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def bundle(edgebench: Edgebench, suite: Path, no_energy: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundles") / "pi"
    done = edgebench("prepare", suite, "--platform", "pi", "-o", folder, "--sysfs", no_energy)
    assert done.code == 0, done.stderr
    assert done.stdout == ""
    assert [path.name for path in folder.parent.iterdir()] == ["pi"], "what it was built in is gone"
    return folder


@pytest.fixture(scope="module")
def board_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A board's Python: no torch, no onnx."""
    python = make_board(tmp_path_factory.mktemp("board") / "venv", "onnxruntime")
    for absent in ("torch", "onnx", "openvino"):
        assert subprocess.run([python, "-c", f"import {absent}"], capture_output=True, check=False).returncode
    return python


@pytest.fixture(scope="module")
def board(board_python: Path, tmp_path_factory: pytest.TempPathFactory, no_energy: Path) -> Edgebench:
    """The command line as on a board, with a cache of its own."""
    folder, python = tmp_path_factory.mktemp("board"), board_python

    def run(*arguments: object, stdin: str | None = None, **extra: str) -> Outcome:
        environment = {"PATH": os.environ["PATH"], "EDGEBENCH_CACHE": str(folder / "cache"), "COLUMNS": "160", **extra}
        done = subprocess.run(
            [python, "-m", "edgebench", *map(str, arguments), "--sysfs", str(no_energy)],
            capture_output=True, text=True, input=stdin, env=environment, check=False, timeout=300,
        )  # fmt: skip
        assert "Traceback" not in done.stderr, done.stderr
        return Outcome(done.returncode, done.stdout, done.stderr)

    return run


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def cells(report: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {cell["name"]: cell for cell in report["benchmarks"]}


def test_a_board_without_the_training_stack_measures_what_a_workstation_prepared(
    edgebench: Edgebench, board: Edgebench, suite: Path, bundle: Path, no_energy: Path, tmp_path: Path
) -> None:
    before = content(bundle)
    done = board("suite", suite, "--bundle", bundle)
    assert done.code == 0, done.stderr
    assert content(bundle) == before
    target = tmp_path / "board.json"
    target.write_text(done.stdout, encoding="utf-8")
    assert edgebench("validate", target).code == 0
    measured = done.report
    here = edgebench("suite", suite, "--only", "mobilenet_v2*/onnxruntime/*", "--sysfs", no_energy).report
    assert measured["status"] == "complete"
    assert "torch" not in measured["software"]
    assert measured["data"] == here["data"]
    assert measured["suite"] == here["suite"]
    assert measured["bundle"]["platform"] == "pi"
    assert "prepared-elsewhere" in {notice["code"] for notice in measured["warnings"]}
    for name in (FP32, INT8):
        carried, made = cells(measured)[name], cells(here)[name]
        assert carried["status"] == "ok"
        assert carried["artifact"]["digest"] == made["artifact"]["digest"]
        assert carried["artifact"]["prepared_on"]["cpu"] == here["machine"]["cpu"]
        assert "torch" in carried["artifact"]["prepared_on"]["software"]
        assert all(phase["cached"] for phase in carried["artifact"]["ledger"])
        assert [phase["phase"] for phase in carried["artifact"]["ledger"]] == [
            phase["phase"] for phase in made["artifact"]["ledger"]
        ]
        assert carried["params"] == made["params"]
        assert carried["layers"] == made["layers"]
        for metric in ("accuracy_top1", "size_bytes"):
            assert carried["metrics"][metric]["mean"] == made["metrics"][metric]["mean"]
    assert cells(measured)[INT8]["layers"]["int8"] == cells(measured)[INT8]["layers"]["total"]
    for name in ("mobilenet_v2-0.25/baseline/torch/fp32", "conv3x3/openvino/fp32"):
        assert cells(measured)[name]["status"] == "skipped"
        assert "is not installed" in cells(measured)[name]["reason"]
    assert "conv3x3/openvino/fp32 run" not in done.stderr, "what is skipped is not started"


def test_what_a_bundle_lacks_is_skipped_and_force_adds_it(
    edgebench: Edgebench, board: Edgebench, suite: Path, bundle: Path, no_energy: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "carried"
    arguments = ("prepare", suite, "--platform", "pi", "-o", folder, "--sysfs", no_energy)
    assert edgebench(*arguments, "--only", "*/baseline/onnxruntime/*").code == 0
    lacking = board("suite", suite, EDGEBENCH_BUNDLE=str(tmp_path))  # a folder of bundles, by the suite's name
    assert lacking.code == 0, lacking.stderr
    assert cells(lacking.report)[FP32]["status"] == "ok"
    assert "not in the bundle" in cells(lacking.report)[INT8]["reason"]
    again = edgebench(*arguments)
    assert (again.code, len(again.stderr.splitlines())) == (2, 1)
    assert "--force" in again.stderr
    assert edgebench(*arguments, "--only", "*/ptq-static/onnxruntime/*", "--force").code == 0
    whole = content(folder)
    assert {name: whole[name] for name in whole if name.startswith("artifacts")} == {
        name: data for name, data in content(bundle).items() if name.startswith("artifacts")
    }
    listed = edgebench("prepare", "--check", folder)
    assert listed.code == 0
    assert FP32 in listed.stdout
    assert INT8 in listed.stdout
    other = edgebench("prepare", suite, "--platform", "n150", "-o", folder, "--force", "--sysfs", no_energy)
    assert other.code == 2
    assert content(folder) == whole


ENGINES = """
import sys
from pathlib import Path
from edgebench.artifacts.bundle import open_bundle
from edgebench.artifacts.chain import Chain
from edgebench.report.log import Log
from edgebench.plan.load import load_plan
from edgebench.plan.plan import Overrides
from edgebench.session.preparation import make_artifact, prepare_job
from edgebench.report.journal import Journal
from edgebench.session.session import Options

suite, bundle, cache = sys.argv[1], open_bundle(Path(sys.argv[2])), Path(sys.argv[3])
plan = load_plan(suite, dataset="digits", cores=1, overrides=Overrides(None, None, None, None, None))
options = Options(cache, cache, (0,), data=bundle.data, bundle=bundle)
log = Log(Journal.open(cache / "journal", plan.digest))
cells = [cell for cell in plan.benchmarks if cell.params.operator is None]
for cell in cells:
    print(make_artifact(plan, cell, options, log, parent=bundle.artifact(cell)))
print(len(Chain(prepare_job(plan, cells[0], options), ()).calibration()))
"""


def test_a_board_that_builds_engines_gets_the_file_they_are_built_from(
    edgebench: Edgebench, board: Edgebench, board_python: Path, suite: Path, no_energy: Path, tmp_path: Path
) -> None:
    """As far as a board without a GPU goes: all that an engine is made of is there, without torch."""
    engines = tmp_path / "engines.toml"
    engines.write_text(suite.read_text(encoding="utf-8").replace('"onnxruntime", "torch"', '"tensorrt"'), "utf-8")
    folder = tmp_path / "jetson"
    done = edgebench("prepare", engines, "--platform", "jetson", "-o", folder, "--sysfs", no_energy)
    assert done.code == 0, done.stderr
    assert model(folder).is_file()
    measured = board("suite", engines, "--bundle", folder, "--only", "mobilenet_v2*")
    assert measured.code == 0, measured.stderr
    assert all("tensorrt is not installed" in cell["reason"] for cell in measured.report["benchmarks"])
    command = [str(board_python), "-c", ENGINES, str(engines), str(folder), str(tmp_path)]
    tried = subprocess.run(command, capture_output=True, text=True, check=False)
    assert tried.returncode == 0, tried.stderr
    fp32, int8, images = tried.stdout.splitlines()
    assert all('reason="CUDA' in answer or "libcudart" in answer for answer in (fp32, int8)), tried.stdout
    assert int(images) == 10, "one of each digit, as 8 asked for are fewer than there are digits"


def edited(bundle: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change the manifest as another edgebench would have written it: with a digest that is right."""
    path = bundle / "bundle.json"
    data = json.loads(path.read_bytes())
    change(data)
    data["digest"] = digest_of({key: value for key, value in data.items() if key != "digest"})
    path.write_text(json.dumps(data), encoding="utf-8")


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def linked(path: Path) -> None:
    away = path.rename(path.parents[2] / "away")
    path.symlink_to(away)


def model(bundle: Path) -> Path:
    return min(bundle.glob("artifacts/*/model.onnx"))


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "a changed byte of a model": (lambda bundle: flip(model(bundle)), "model.onnx: was changed"),
    "a changed byte of the data": (lambda bundle: flip(next(bundle.glob("data/*.npz"))), ".npz: was changed"),
    "a cut-off model": (lambda bundle: os.truncate(model(bundle), 1000), "has 1000 bytes in place of"),
    "a missing model": (lambda bundle: model(bundle).unlink(), "model.onnx: is missing from the bundle"),
    "a link": (lambda bundle: linked(model(bundle)), "is not a plain file of the bundle"),
    "a cut-off manifest": (lambda bundle: os.truncate(bundle / "bundle.json", 2000), "bundle.json: is cut off"),
    "no manifest": (lambda bundle: (bundle / "bundle.json").unlink(), "is no bundle (no bundle.json)"),
    "a changed manifest": (
        lambda bundle: (bundle / "bundle.json").write_text(
            (bundle / "bundle.json").read_text(encoding="utf-8").replace('"seconds": ', '"seconds": 1'),
            encoding="utf-8",
        ),
        "was changed after it was made",
    ),
    "another version": (
        lambda bundle: edited(bundle, lambda data: data.update(edgebench="9.1.0")),
        "was made by edgebench '9.1.0'",
    ),
    "another format": (
        lambda bundle: edited(bundle, lambda data: data.update(schema="edgebench.bundle/2")),
        "prepare it again with this version",
    ),
    "a path outside": (
        lambda bundle: edited(
            bundle, lambda data: data["files"].update({"../x": {"sha256": "0" * 64, "size_bytes": 1}})
        ),
        "it is no plain path inside the bundle",
    ),
}


def refused(done: Outcome, sentence: str) -> None:
    assert done.code == 2, done.stderr
    assert done.stdout == ""
    last = done.stderr.splitlines()[-1]
    assert last.startswith("edgebench: ")
    assert sentence in last


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_bundle_is_refused_with_one_sentence(
    board: Edgebench, suite: Path, bundle: Path, tmp_path: Path, damage: str
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(bundle, copy)
    break_it, sentence = DAMAGES[damage]
    break_it(copy)
    refused(board("suite", suite, "--bundle", copy), sentence)
    checked = board("prepare", "--check", copy)
    assert checked.code == 2
    assert sentence in checked.stderr


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ('name = "carried"', 'name = "other"', "was made for the suite 'carried', not 'other'"),
        ("idle_s = 0.0", "idle_s = 0.0\nseed = 7", "was made with the seed 42, not 7"),
        ("calibration_images = 8", "calibration_images = 9", "its recipe, benchmarks or measuring differ"),
    ],
)
def test_a_bundle_for_something_else_is_refused_with_one_sentence(
    board: Edgebench, bundle: Path, tmp_path: Path, old: str, new: str, sentence: str
) -> None:
    other = tmp_path / "other.toml"
    assert old in SUITE
    other.write_text(SUITE.replace(old, new), encoding="utf-8")
    refused(board("suite", other, "--bundle", bundle), sentence)


def test_a_bundle_brings_its_own_data_and_models(board: Edgebench, suite: Path, bundle: Path, tmp_path: Path) -> None:
    refused(board("suite", suite, "--bundle", bundle, "--data", tmp_path), "leave --data and --weights out")
    refused(board("suite", suite, "--bundle", bundle, "--model", model(bundle)), "leave --model out")
    own = ("suite", suite, "--model", model(bundle), "--shape", "1x3x32x32", "--dry-run")
    assert board(*own, EDGEBENCH_BUNDLE=str(tmp_path / "absent")).code == 0, "an image's own bundle is not asked for"


@pytest.mark.quiet
def test_the_joules_of_preparing_keep_the_name_of_their_probe(
    edgebench: Edgebench, board: Edgebench, bundle: Path, tmp_path: Path
) -> None:
    if (reason := simulator.unavailable()) is not None:
        pytest.skip(reason)
    assert bundle.is_dir()  # the model is trained: what is left to make and to measure is the quantisation
    metered = tmp_path / "metered.toml"
    metered.write_text(SUITE.replace("calibration_images = 8", "calibration_images = 9"), encoding="utf-8")
    only = ("--only", "*/ptq-static/onnxruntime/*")
    mount = tmp_path / "sys"
    with simulator.powercap(mount, simulator.Options(power=7.0, range=20_000.0)) as tree:
        made = edgebench("prepare", metered, "--platform", "pi", "-o", tmp_path / "pi", *only, "--sysfs", tree.root)
    assert made.code == 0, made.stderr
    done = board("suite", metered, "--bundle", tmp_path / "pi", *only, "--processes", "1")
    (cell,) = done.report["benchmarks"]
    quantise = cell["artifact"]["ledger"][-1]
    assert quantise["energy"]["package"]["probe"] == "rapl"
    assert quantise["energy"]["package"]["energy_j"] == pytest.approx(7.0 * quantise["seconds"], rel=0.05, abs=0.05)
    assert done.report["probes"] == []


def test_a_full_disk_leaves_no_bundle_and_one_sentence(
    edgebench: Edgebench, suite: Path, bundle: Path, no_energy: Path, small_disk: Path
) -> None:
    assert bundle.is_dir()  # so that everything is in the cache already
    for folder in (small_disk / "new", small_disk):
        done = edgebench("prepare", suite, "--platform", "pi", "-o", folder, "--sysfs", no_energy)
        refused(done, "no space left for the bundle")
        assert list(small_disk.iterdir()) == []
