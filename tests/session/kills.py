"""A session of seconds, and its processes: what the tests that kill need."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

SUITE = """
name = "kills"
[measure]
processes = 3
warmup_passes = 0
passes = 5
values = 5
energy_windows = 0
[[benchmark]]
kind = "operator"
backend = ["openvino"]
precision = ["fp32"]
operator = ["conv3x3", "copy-cache"]
"""
# The same with an artifact that has to be made: a quarter of a minute in which the preparer can be killed.
PREPARED = (
    SUITE
    + """
[recipe.default]
train_size = 32
pretrain_epochs = 1
batch = 64
subset = 0.05
epochs = 0
[[benchmark]]
model = ["mobilenet_v2"]
width = [0.25]
backend = ["openvino"]
image_size = 32
"""
)
WORKER, SAMPLER, PREPARER = "edgebench.measure.worker", "edgebench.machine.sampling", "edgebench.artifacts.prepare"


def command(suite: Path, target: object, *more: object) -> list[str]:
    """Return the command line of a session without energy."""
    empty = suite.parent / "sysfs"
    empty.mkdir(exist_ok=True)
    options = ["--sysfs", empty, "-o", target, *more]
    return [sys.executable, "-m", "edgebench", "suite", *map(str, [suite, *options])]


def start(suite: Path, target: object, environment: dict[str, str], *more: object) -> subprocess.Popen[str]:
    """Start a session."""
    return subprocess.Popen(
        command(suite, target, *more), env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def records(folder: Path, kind: str = "run") -> list[dict[str, Any]]:
    """Return the journals' records of a type."""
    found = []
    for journal in folder.glob(".edgebench-*.journal"):
        for line in journal.read_bytes().split(b"\n"):
            with contextlib.suppress(ValueError):
                found.append(json.loads(line)["record"])
    return [record for record in found if record["type"] == kind]


def processes(mark: str, word: str = "") -> list[int]:
    """Return the processes whose environment holds a mark, and whose command line holds a word."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with contextlib.suppress(OSError):
                told = (entry / "environ").read_bytes().split(b"\0")
                if mark.encode() in told and word in (entry / "cmdline").read_bytes().decode():
                    found.append(int(entry.name))
    return found


def until(condition: Callable[[], object], seconds: float = 120.0) -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def kill(pid: int, number: int = signal.SIGKILL) -> None:
    """Send a signal to a process that may be gone."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
