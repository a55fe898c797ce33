"""The folder of somebody who reads the docs: small files under the names that the docs use."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from tests import gguf_files
from tests.blocks import ROOT, blocks
from tests.unit.own_files import picture_net, save, value
from tests.unit.reports import benchmark, report
from tests.unit.test_data import write_binary

from edgebench import __version__
from edgebench.artifacts.convert.genai import write_genai
from edgebench.artifacts.manifest import Manifest
from edgebench.history.entry import read_entry
from edgebench.history.store import add_entries
from edgebench.plan.load import load_plan
from edgebench_probes.base import ProbeInfo, Scope
from edgebench_probes.sampling.source import Sample, SourceInfo
from edgebench_probes.sources.replay import save as save_trace

SAMPLE = ROOT / "tests/golden/sample.json"
# Whole reports to look at, and pairs to compare: by every name that a page gives them.
LOOKED_AT = ("report.json", "REPORT", "n150.json", "pi.json", "jetson.json", "a.json", "b.json")
COMPARED = ("base.json", "head.json", "old.json", "new.json", "v1.json", "v2.json", "BASE", "HEAD")
# What runs there in place of a reader's own program.
PROGRAMS = {"COMMAND": "#!/bin/sh\nsleep 0.3\n", "train.py": "import time\ntime.sleep(0.3)\n"}


def furnish(folder: Path) -> None:
    """Write all files that the docs take for granted; the folder is the reader's home too."""
    for name in LOOKED_AT:
        shutil.copy(SAMPLE, folder / name)
    for number, name in enumerate(COMPARED):
        (folder / name).write_text(json.dumps(_release(number)), encoding="utf-8")
    for name in ("reports", "DIR"):
        (folder / name).mkdir()
        for number in range(6):
            (folder / name / f"{number}.json").write_text(json.dumps(_release(100 + number)), encoding="utf-8")
    for name, text in PROGRAMS.items():
        (folder / name).write_text(text, encoding="utf-8")
        (folder / name).chmod(0o755)
    (folder / "my.txt").write_text("A text of one's own. " * 200, encoding="utf-8")
    bench = next(block for block in blocks(ROOT / "docs/launch.md") if block.language == "toml")
    (folder / "boards.toml").write_text(bench.text, encoding="utf-8")
    (folder / "token").write_text("0123456789abcdef0123456789abcdef\n", encoding="utf-8")
    kept = sorted((folder / "reports").iterdir())
    home = folder / ".local/share/edgebench"
    home.mkdir(parents=True)
    for path in (folder / "history.db", home / "history.db"):
        add_entries(path, map(read_entry, kept))
    _models(folder)
    _data(folder)
    _bundle(folder / "bundle")
    _trace(folder / "trace.jsonl")


def _release(number: int) -> dict[str, Any]:
    """Return a report of one release after another, of the same two benchmarks."""
    rng = np.random.default_rng(number)
    names = ("mobilenet_v2/baseline/torch/fp32", "mobilenet_v2/ptq-static/openvino/int8")
    rows = [benchmark(name, rng, latency_s=0.01 / (1 + index)) for index, name in enumerate(names)]
    return report(rows, created=f"2026-01-{number % 28 + 1:02}T00:00:00Z")


def _models(folder: Path) -> None:
    from onnx import TensorProto, helper

    picture_net(folder / "my.onnx")
    weights = np.random.default_rng(0).standard_normal((8, 3, 3, 3)).astype(np.float32)
    nodes = [helper.make_node("Conv", ["x", "w"], ["c"]), helper.make_node("GlobalAveragePool", ["c"], ["y"])]
    shapes: dict[str, list[int | str]] = {"net.onnx": ["batch", 3, "height", "width"]}
    shapes |= {"fp32.onnx": [1, 3, 64, 64], "pruned.onnx": [1, 3, 64, 64]}
    for name, shape in shapes.items():
        save(folder / name, nodes, [value("x", TensorProto.FLOAT, shape)], {"w": weights})
    (folder / "TinyLlama-1.1B-fp16-ov").mkdir()
    write_genai(gguf_files.weights(width=64), folder / "TinyLlama-1.1B-fp16-ov")
    for name in ("model.gguf", "model-F16.gguf"):
        gguf_files.write_small(folder / name, context=2048)


def _data(folder: Path) -> None:
    from PIL import Image

    (folder / "CIFAR_FOLDER").mkdir()
    write_binary(folder / "CIFAR_FOLDER")
    for name in ("masked", "bare"):
        (folder / "FACES" / name).mkdir(parents=True)
        for number in range(6):
            Image.new("RGB", (32, 32), (40 * number, 0, 0)).save(folder / "FACES" / name / f"{number}.jpg")


def _bundle(folder: Path) -> None:
    """Write a bundle of the suite `smoke` that holds nothing: enough to be checked."""
    plan = load_plan("smoke", dataset="digits", cores=1)
    made = {"name": plan.name, "digest": plan.suite_digest, "seed": plan.seed, "data": plan.dataset}
    fields = {"edgebench": __version__, "created": "2026-01-01T00:00:00Z", "platform": "pi", "suite": made}
    folder.mkdir()
    text = Manifest.model_validate({**fields, "targets": [], "files": {}}).sealed().text()
    (folder / "bundle.json").write_text(text, encoding="utf-8")


def _trace(path: Path) -> None:
    """Write half a minute of a meter at 12 W."""
    meter = SourceInfo(ProbeInfo("meter", "a meter", Scope.BOARD_DC, "power", 0.001, 0.01))
    save_trace(path, meter, (Sample(10_000_000 * number, 12.0) for number in range(3000)))
