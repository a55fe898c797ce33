"""The real command line on small suites: one cache of artifacts for all, so that each model is trained once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.simulators import powercap as simulator

RECIPE = """
[recipe.default]
train_size = 32
pretrain_epochs = 1
pretrain_lr = 5e-3
batch = 64
subset = 0.2
epochs = 0
calibration_images = 8
"""

# Two runtimes, small enough that a session takes seconds once the artifacts are there.
TINY = (
    """
name = "tiny"
idle_s = 2.0
[measure]
processes = 2
warmup_passes = 5
passes = 20
values = 5
energy_window_s = 0.4
"""
    + RECIPE
    + """
[[benchmark]]
model = ["mobilenet_v2"]
width = [0.25]
variant = ["baseline"]
backend = ["torch", "openvino"]
image_size = 64
"""
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a finished command left behind."""

    code: int
    stdout: str
    stderr: str

    @property
    def report(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.stdout)
        return found


Edgebench = Callable[..., Outcome]


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def environment(cache: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("EDGEBENCH_")}
    return {**kept, "EDGEBENCH_CACHE": str(cache), "COLUMNS": "160"}


@pytest.fixture(scope="session")
def edgebench(environment: dict[str, str]) -> Edgebench:
    """Run the command line as a user does; no traceback may ever be seen."""

    def run(*arguments: object, stdin: str | None = None, **extra: str) -> Outcome:
        done = subprocess.run(
            [sys.executable, "-m", "edgebench", *map(str, arguments)],
            capture_output=True,
            text=True,
            input=stdin,
            env={**environment, **extra},
            check=False,
            timeout=550,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return Outcome(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture(scope="session")
def no_energy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sysfs without any source, so that these tests see the same on every machine."""
    return tmp_path_factory.mktemp("sysfs")


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.toml"
    path.write_text(TINY, encoding="utf-8")
    return path


@pytest.fixture
def seven_watts(tmp_path: Path) -> Iterator[Path]:
    """A live powercap tree at 7 W whose counter wraps every 2.9 seconds."""
    if (reason := simulator.unavailable()) is not None:
        pytest.skip(reason)
    mount = tmp_path / "sys"
    with simulator.powercap(mount, simulator.Options(power=7.0, range=20.0)) as tree:
        yield tree.root


@pytest.fixture
def small_disk(tmp_path: Path) -> Any:
    mount = tmp_path / "disk"
    mount.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(mount)], capture_output=True, check=False
    )
    if made.returncode:
        pytest.skip("mounting a small file system needs root")
    yield mount
    subprocess.run(["umount", str(mount)], check=False)
