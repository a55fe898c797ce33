#!/usr/bin/env python3
"""Install edgebench with the CPU build of torch, never several GB of CUDA by accident.

    python3 install.py                     a virtual environment .venv with edgebench[x86]
    python3 install.py --extras x86,pyrapl another choice of extras (see pyproject.toml); '' for none
    python3 install.py --pip ARGUMENT...   `pip install ARGUMENT...` of the running interpreter (tox and images use it)

The public package index serves torch as a CUDA build. Where pip's own configuration already offers the CPU build
(`2.13.0+cpu`), it is taken; else from EDGEBENCH_TORCH_INDEX, by default PyTorch's own CPU index. To pip, `+cpu` ranks
above the plain version, so adding the index is enough. EDGEBENCH_TORCH_INDEX=none leaves pip alone.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent
# In the build of an image the list of the pinned packages stands beside this file in the place of pyproject.toml.
PINS = next(path for name in ("pyproject.toml", "constraints.txt") if (path := ROOT / name).is_file())
TORCH = re.search(r'^(?:torch = \[")?torch==([0-9.]+)', PINS.read_text(encoding="utf-8"), re.MULTILINE)
DEFAULT_INDEX = "https://download.pytorch.org/whl/cpu"


def torch_index(python: str, version: str) -> list[str]:
    """Return pip's options that make the CPU build of torch the preferred one; none where it already is."""
    given = os.environ.get("EDGEBENCH_TORCH_INDEX")
    if given == "none":
        return []
    if given:
        return ["--extra-index-url", given]
    known = subprocess.run(  # our own interpreter
        [python, "-m", "pip", "index", "versions", "torch"], capture_output=True, text=True, check=False
    )
    if f"{version}+cpu" in known.stdout:
        return []
    return ["--extra-index-url", DEFAULT_INDEX]


def pip_install(python: str, arguments: Sequence[str]) -> int:
    """Run `pip install` with the torch index; return its exit code."""
    index = torch_index(python, TORCH[1]) if TORCH else []
    command = [python, "-m", "pip", "install", *index, *arguments]
    return subprocess.run(command, check=False).returncode  # our own interpreter


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the options of an installation."""
    parser = argparse.ArgumentParser(description="Install edgebench into a virtual environment with CPU torch.")
    parser.add_argument("--venv", type=Path, default=ROOT / ".venv", help="where (default: .venv beside this file)")
    parser.add_argument("--extras", default="x86", help="extras of pyproject.toml, by commas (default: x86)")
    parser.add_argument("--editable", action="store_true", help="install the source tree itself, to work on it")
    return parser


def main(argv: Sequence[str]) -> int:
    """Install as the command line says; return the exit code."""
    if argv[:1] == ["--pip"]:
        return pip_install(sys.executable, argv[1:])
    options = make_parser().parse_args(argv)
    python = options.venv / "bin" / "python"
    if not python.exists() and subprocess.run([sys.executable, "-m", "venv", options.venv], check=False).returncode:
        sys.stderr.write("install.py: the virtual environment failed; on Debian: apt-get install python3-venv\n")
        return 1
    target = f"{ROOT}[{options.extras}]" if options.extras else str(ROOT)
    return pip_install(str(python), ["--quiet", *(["--editable"] if options.editable else []), target])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
