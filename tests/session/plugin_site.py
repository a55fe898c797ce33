"""A plug-in that is kept in this repository, installed as users install it: by pip, into a folder of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

PLUGINS = Path(__file__).parents[2] / "bench" / "plugins"


def installed(name: str, target: Path) -> dict[str, str]:
    """Install a plug-in without what it needs, which is here; return the variable by which Python finds it."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", target, PLUGINS / name]
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    return {"PYTHONPATH": os.pathsep.join([str(target), *filter(None, [os.environ.get("PYTHONPATH")])])}
