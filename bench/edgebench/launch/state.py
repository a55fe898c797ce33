"""What a board is doing: load, temperature, free memory. Standard library only; run like `peek` on a board."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path


def state(sysfs: str, proc: str) -> dict[str, object]:
    """Return load (processes that wanted to run in the last minute), processors, the hottest zone in °C."""
    hottest = None
    for path in Path(sysfs).glob("class/thermal/thermal_zone*/temp"):
        try:
            value = int(path.read_text(encoding="ascii")) / 1000
        except (OSError, ValueError):
            continue
        # Zones without a sensor read 0, some below.
        if 0 < value < 150 and (hottest is None or value > hottest):
            hottest = value
    try:
        load = float(Path(proc, "loadavg").read_text(encoding="ascii").split()[0])
    except (OSError, ValueError, IndexError):
        load = None
    return {"load": load, "processors": os.cpu_count(), "hottest_c": hottest}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(state(*sys.argv[1:])))
