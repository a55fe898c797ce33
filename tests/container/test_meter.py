"""An external meter, passed into a container as a device file."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.container.engine import N150, docker

pytestmark = pytest.mark.container

ROOT = Path(__file__).parents[2]


def test_a_serial_meter_is_read_in_a_container_without_rights() -> None:
    simulator = subprocess.Popen(
        [sys.executable, "-m", "tests.simulators.meters", "shizuku", "--power", "5"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert simulator.stdin is not None
    assert simulator.stdout is not None
    try:
        said = simulator.stdout.readline()
        terminal = re.search(r"/dev/pts/\d+", said)
        assert terminal is not None, said
        Path(terminal[0]).chmod(0o666)  # as a udev rule for meters does
        done = docker(
            *("run", "--rm", "--network=none", "--cap-drop=ALL", "--user=1000:1000", "--read-only"),
            *("--volume", f"{terminal[0]}:/dev/ttyACM0"),
            *(N150, "probes", "--json", "--probe", "shizuku:/dev/ttyACM0"),
        )
    finally:
        simulator.communicate(timeout=10)
    (meter,) = [probe for probe in json.loads(done.stdout)["probes"] if probe["name"].startswith("shizuku")]
    assert meter["reading_w"] == pytest.approx(5.0, rel=0.05)
