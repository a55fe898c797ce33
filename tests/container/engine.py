"""A real Docker engine, driven by the command line as a user does it."""

from __future__ import annotations

import json
import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

N150, PI, JETSON = "edgebench-n150", "edgebench-pi", "edgebench-jetson"

# Two runtimes, a narrow model, one short epoch: a session of seconds in a container that holds nothing yet.
TINY = """
name = "tiny"
idle_s = 1.0
[measure]
processes = {processes}
warmup_passes = 5
passes = 40
values = 10
energy_window_s = 0.5
[recipe.default]
train_size = 32
pretrain_epochs = 1
batch = 64
subset = 0.2
epochs = 0
calibration_images = 8
[[benchmark]]
model = ["mobilenet_v2"]
width = [0.25]
backend = ["openvino", "onnxruntime"]
image_size = 64
"""


def docker(*arguments: object, timeout_s: float = 300, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run one command of the client; stdout and stderr apart."""
    done = subprocess.run(
        ["docker", *map(str, arguments)], capture_output=True, text=True, timeout=timeout_s, check=False
    )
    assert "Traceback" not in done.stderr, done.stderr
    assert not check or done.returncode == 0, done.stderr[-2000:]
    return done


def run(image: str, *command: object, options: tuple[object, ...] = (), timeout_s: float = 300) -> tuple[int, Any, str]:
    """`docker run --rm IMAGE COMMAND`: exit code, the JSON it printed (or None), stderr."""
    done = docker("run", "--rm", *options, image, *command, timeout_s=timeout_s, check=False)
    return done.returncode, json.loads(done.stdout) if done.stdout.startswith("{") else None, done.stderr


@contextmanager
def started(image: str, *command: object, options: tuple[object, ...] = ()) -> Iterator[str]:
    """A container in the background; removed in the end with its anonymous volumes."""
    name = f"edgebench-test-{uuid.uuid4().hex[:8]}"
    docker("run", "--detach", "--name", name, *options, image, *command)
    try:
        yield name
    finally:
        docker("rm", "--force", "--volumes", name, check=False)


def logs(container: str) -> tuple[str, str]:
    """What a container wrote so far: stdout and stderr."""
    done = docker("logs", container)
    return done.stdout, done.stderr


def wait_for(container: str, words: str, limit_s: float = 240) -> None:
    """Wait until a container's progress says `words`."""
    deadline = time.monotonic() + limit_s
    while words not in logs(container)[1]:
        assert time.monotonic() < deadline, logs(container)[1][-2000:]
        time.sleep(0.2)
