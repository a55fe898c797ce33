"""A board's environment: a real virtual environment that holds edgebench, its base dependencies and ONNX Runtime only.

Its packages are links to those of the environment that runs the tests, so nothing is downloaded.
"""

from __future__ import annotations

import tomllib
import venv
from importlib.metadata import distribution
from pathlib import Path

from packaging.requirements import Requirement

import edgebench
import edgebench_probes
import edgebench_suites

ROOT = Path(__file__).parents[2]


def make_board(folder: Path, *extra: str) -> Path:
    """Return the Python of a new environment with the base dependencies and the distributions named in `extra`."""
    venv.create(folder, with_pip=False, symlinks=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    waiting = [*project["dependencies"], *extra]
    done: set[str] = set()
    while waiting:
        need = Requirement(waiting.pop())
        if need.name in done or (need.marker is not None and not need.marker.evaluate({"extra": ""})):
            continue
        done.add(need.name)
        found = distribution(need.name)
        waiting += found.requires or []
        tops = {file.parts[0] for file in found.files or () if file.parts[0] not in ("..", "__pycache__", "bin")}
        for top in tops:
            if not (packages / top).exists():
                (packages / top).symlink_to(str(found.locate_file(top)))
    for module in (edgebench, edgebench_probes, edgebench_suites):
        source = Path(str(module.__file__)).parent
        (packages / source.name).symlink_to(source)
    return folder / "bin" / "python"
