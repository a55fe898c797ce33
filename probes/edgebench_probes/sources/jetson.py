"""Power mode and clocks of a Jetson: recorded, never changed."""

from __future__ import annotations

import re
import shutil
import subprocess

TIMEOUT_S = 5.0


def power_mode() -> str | None:
    """Name of the power mode (`nvpmodel -q`), such as `15W`; None where it cannot be told."""
    found = re.search(r"^NV Power Mode:\s*(\S.*?)\s*$", _ask("nvpmodel", "-q") or "", re.MULTILINE)
    return found[1] if found else None


def clocks() -> dict[str, str]:
    """Lines of `jetson_clocks --show` by their names (`cpu0`, `GPU`, `EMC`); {} where it cannot be told."""
    found: dict[str, str] = {}
    for line in (_ask("jetson_clocks", "--show") or "").splitlines():
        name, colon, rest = line.partition(":")
        if not colon:
            name, _, rest = line.partition(" ")
        if rest.strip() and "Freq" in rest:
            found[name.strip()] = " ".join(rest.split())
    return found


def _ask(program: str, option: str) -> str | None:
    path = shutil.which(program)
    if path is None:
        return None
    try:
        done = subprocess.run([path, option], capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None
