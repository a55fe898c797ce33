"""The files that others hand over: what reads each, its documented errors, and small valid ones to begin with."""

from __future__ import annotations

import io
import json
import re
import tempfile
import zlib
from functools import cache
from pathlib import Path

from rich.console import Console

from edgebench import __version__
from edgebench.artifacts.bundle import open_bundle
from edgebench.artifacts.manifest import MANIFEST_FILE, Manifest
from edgebench.backends.litertlmfile import read_container
from edgebench.backends.ortgenaifile import CONFIG, read_config
from edgebench.commands import judging
from edgebench.commands.console import load
from edgebench.commands.export import FORMATS
from edgebench.compare.budgets import BudgetFile, policy_of, read_budgets
from edgebench.compare.sessions import read_session
from edgebench.compare.stored import compare_stored
from edgebench.errors import BackendError, BundleError, EdgebenchError, ReportError, UsageError
from edgebench.launch.profile import FOLDER, read_profile
from edgebench.plan.digest import digest_of
from edgebench.plan.load import load_plan
from edgebench.plan.suites import builtin_suites, open_suite
from edgebench.render.html import page
from edgebench.render.terminal import show
from edgebench.report.io import parse_report
from edgebench.report.journal import Journal
from edgebench.report.log import Log
from edgebench_probes.base import ProbeError
from edgebench_probes.sources import replay
from tests.fuzz.reader import Reader
from tests.litert_lm_files import container

ROOT = Path(__file__).parents[2]
_FOLDER = tempfile.TemporaryDirectory(prefix="edgebench-fuzz-")
SCRATCH = Path(_FOLDER.name)
BUDGETS = b"""[compare]
metrics = ["latency_s", "energy_net_j"]
margin = "1%"
allow = ["weights"]
[[budget]]
metric = "latency_s"
cells = "mobilenet*"
budget = "5%"
margin = 0.02
[session_sd]
latency_s = 0.01
"""
SUITE = b"""name = "mine"
title = "one table"
seed = 7
idle_s = 2.0
[measure]
processes = 2
values = 5
[recipe.default]
train_size = 32
[[benchmark]]
model = ["mobilenet_v2"]
width = [0.35, 0.5]
variant = ["baseline", "prune40", "ptq-static"]
backend = ["openvino"]
precision = ["fp32", "int8"]
batch = [1, 4]
image_size = 64
[[benchmark]]
kind = "operator"
backend = ["openvino"]
operator = ["conv3x3"]
"""
TRACE = b"""{"format": "edgebench.trace/1", "clock": "CLOCK_MONOTONIC", "info": {"name": "m", "source": "m", "scope": \
"board_dc", "kind": "power", "resolution": 0.01, "refresh_s": 0.01, "accuracy": 0.0}, "smoothing_s": 0.0, \
"device_clock": true, "accuracy_source": "unknown", "clock_s": 0.0, "notes": [["a", "b"]]}
[10000000, 7.0, 1.0]
[20000000, 7.5, 1.5]
"""
GENAI = b"""{"model": {"bos_token_id": 0, "context_length": 512, "decoder": {"session_options": {"log_id": "genai", \
"provider_options": []}, "filename": "model.onnx", "head_size": 16, "inputs": {"input_ids": "input_ids"}}, \
"eos_token_id": [1, 2], "type": "llama", "vocab_size": 400}, "search": {"do_sample": false, "top_p": 1.0}}"""


def _file(name: str, data: bytes) -> Path:
    path = SCRATCH / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)
    return path


def report(data: bytes) -> None:
    """Validate a report, then everything that shows one."""
    found = parse_report(data, "it")
    shown = io.StringIO()
    Console(file=shown, width=80).print(show(found))
    assert not set("\x1b\u202e\u009b") & set(shown.getvalue()), "what steers a terminal never reaches it"
    page(found)
    for name in FORMATS.values():
        load(name)(found)


def verdict(data: bytes) -> None:
    """Judge a report against itself and against a sound one, in each format."""
    policy = policy_of(BudgetFile())
    sound = read_session(_file("sound.json", reports()[0]), policy.metrics)
    found = read_session(_file("found.json", data), policy.metrics)
    for base in (sound, found):
        comparison = compare_stored(base, found, [], policy, ())
        for form in judging.FORMATS:
            judging.rendered(comparison, form)


@cache
def reports() -> list[bytes]:
    """The sample of the golden files, one benchmark of each kind at a time."""
    whole = json.loads((ROOT / "tests/golden/sample.json").read_bytes())
    kinds = {cell["kind"]: cell for cell in whole["benchmarks"]}
    small = {**whole, "resources": None, "benchmarks": []}
    return [json.dumps({**small, "benchmarks": [cell]}).encode() for cell in kinds.values()]


def suite(data: bytes) -> None:
    """Read a suite and expand it, or refuse it."""
    load_plan(open_suite(str(_file("suite.toml", data))), dataset="digits", cores=2)


def suites() -> list[bytes]:
    """Small ones and a built-in one."""
    return [SUITE, builtin_suites()["smoke"].read_bytes()]


def budgets(data: bytes) -> None:
    """Read budgets and make the policy."""
    policy_of(read_budgets(_file("edgebench.toml", data)))


def bundle(data: bytes) -> None:
    """Open a bundle and check its files."""
    open_bundle(_file(f"bundle/{MANIFEST_FILE}", data).parent).verify()


def bundles() -> list[bytes]:
    """The manifest of a bundle with one artifact."""
    folder = f"artifacts/{'a' * 64}"
    name = f"{folder}/model.onnx"
    artifact = {"key": "d" * 64, "folder": f"bundle:{folder}", "file": "model.onnx", "path": f"bundle:{name}"}
    artifact |= {"format": "onnx", "digest": f"sha256:{'a' * 64}", "size_bytes": 1, "sparsity": None}  # type: ignore[dict-item]
    artifact |= {"ledger": [{"phase": "build", "seconds": 0.1}], "notes": {"weights": "seeded", "trained": True}}  # type: ignore[dict-item]
    on = {"cpu": "A", "architecture": "x86_64"}
    fields = {
        "edgebench": __version__,
        "created": "2026-01-01T00:00:00Z",
        "platform": "pi",
        "suite": {"name": "smoke", "digest": "b" * 64, "seed": 42, "data": "digits"},
        "targets": [{"target": ["mobilenet_v2"], "benchmark": "a/b", "artifact": artifact, "prepared_on": on}],
        "files": {name: {"sha256": "c" * 64, "size_bytes": 1}},
    }
    return [Manifest.model_validate(fields).sealed().text().encode()]


def sealed(data: bytes) -> bytes:
    """Give a manifest the digest of what it says."""
    try:
        found = json.loads(data)
        found["digest"] = digest_of({key: value for key, value in found.items() if key != "digest"})
        return json.dumps(found).encode()
    except (ValueError, TypeError, AttributeError, RecursionError):
        return data


def journal(data: bytes) -> None:
    """Open a journal and read its records."""
    with Journal.open(_file("a.journal", data), "key") as opened:
        Log(opened)


def journals() -> list[bytes]:
    """A journal with records of most kinds."""
    lines: list[object] = [{"type": "journal", "format": "edgebench.journal/2", "key": "key"}]
    state = {"cpu_s": 0.0, "throttle_count": None, "temperature_c": None}
    clock = {"started_s": 1.0, "finished_s": 2.0}
    lines += [
        {"type": "idle", "when": "before", "powers": [], "failed": {"package": "why"}, "clock": clock},
        {"type": "prepared", "cell": "a", "seconds": 1.0, "start_s": 0.5, "phases": []},
        {"type": "lost", "cell": "a", "turn": 1, "reason": "why", "seconds": 1.0},
        {"type": "failed", "cell": "a", "reason": "why", "seconds": 1.0},
        {"type": "skipped", "cell": "b", "reason": "why"},
        {"type": "resumed"},
        {"type": "end", "seconds": 1.0, "resumed": False, "complete": True, "temperature_c": 40.0},
        {"type": "run", "cell": "a", "turn": 0, "before": state},
    ]
    return [summed(b"\n".join(json.dumps(line).encode() for line in part) + b"\n") for part in (lines[:-1], lines)]


def summed(data: bytes) -> bytes:
    """Give each line of a journal its sum, and each line that is only a record the rest of a line."""
    lines = []
    for line in data.split(b"\n"):
        found = re.fullmatch(rb'\{"crc":"[^"]*","record":(.*)\}', line, re.DOTALL)
        text = found[1] if found else line
        lines.append(b'{"crc":"%08x","record":%s}' % (zlib.crc32(text), text) if text else line)
    return b"\n".join(lines)


def trace(data: bytes) -> None:
    """Load a trace, and open it as a source at two speeds."""
    path = _file("trace", data)
    for speed in (0.0, 2.0):
        source = replay.ReplaySource(path, speed)
        source.open()
        source.describe()
    replay.ReplaySource(path).close()


READERS = {
    "report": Reader(report, EdgebenchError, reports),
    "verdict": Reader(verdict, EdgebenchError, reports),
    "suite": Reader(suite, UsageError, suites),
    "budgets": Reader(budgets, UsageError, lambda: [BUDGETS]),
    "profile": Reader(
        lambda data: read_profile(_file("profile.toml", data)),
        EdgebenchError,
        lambda: [path.read_bytes() for path in sorted(FOLDER.glob("*.toml"))],
    ),
    "bundle": Reader(bundle, BundleError, bundles, sealed),
    "journal": Reader(journal, ReportError, journals, summed),
    "ort-genai": Reader(
        lambda data: read_config(_file(f"folder/{CONFIG}", data).parent), BackendError, lambda: [GENAI]
    ),
    "litert-lm": Reader(
        lambda data: read_container(_file("model.litertlm", data)), BackendError, lambda: [container(SCRATCH)]
    ),
    "trace": Reader(trace, ProbeError, lambda: [TRACE]),
}
