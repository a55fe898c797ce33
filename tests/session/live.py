"""A machine that changes while a suite runs on it: its files, the session, and what the report saw of it."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil


class Session:
    """A suite that runs while the test does something to its machine."""

    def __init__(self, folder: Path, suite: str, environment: dict[str, str], *options: object) -> None:
        self.target = folder / "report.json"
        file = folder / "suite.toml"
        file.write_text(suite, encoding="utf-8")
        command = [sys.executable, "-m", "edgebench", "suite", file, "-o", self.target, *options]
        self.process = subprocess.Popen(
            [*map(str, command)], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )

    def worker(self) -> psutil.Process:
        """The next worker process, once it is there."""
        deadline = time.monotonic() + 200
        while time.monotonic() < deadline:
            assert self.process.poll() is None, self.process.communicate()[1]
            for child in psutil.Process(self.process.pid).children():
                try:
                    if "edgebench.measure.worker" in child.cmdline():
                        return child
                except psutil.NoSuchProcess:
                    continue
            time.sleep(0.02)
        raise TimeoutError

    def report(self) -> dict[str, Any]:
        """The report, when it is written."""
        _, stderr = self.process.communicate(timeout=300)
        assert self.process.returncode == 0, stderr
        found: dict[str, Any] = json.loads(self.target.read_text(encoding="utf-8"))
        return found


def series(found: dict[str, Any], name: str, scope: str | None = None) -> list[tuple[float, float]]:
    (one,) = [one for one in found["series"] if one["name"] == name and one.get("scope") == scope]
    return list(zip(one["t_s"], one["value"], strict=True))


def board(root: Path) -> dict[str, Path]:
    """The files of a board that shows its heat, its clock, its throttling and its graphics load."""
    values = {
        "class/thermal/thermal_zone0/type": "cpu-thermal",
        "class/thermal/thermal_zone0/temp": "45000",
        "devices/system/cpu/cpu0/cpufreq/scaling_cur_freq": "3400000",
        "devices/system/cpu/cpu0/thermal_throttle/core_throttle_count": "7",
        "class/devfreq/17000000.ga10b/device/load": "250",
        "class/devfreq/17000000.ga10b/cur_freq": "918000000",
    }
    for name, text in values.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(f"{text}\n", encoding="ascii")
    return {Path(name).name: root / name for name in values}
