"""What an extra takes, installed: `python -m tests.extras [EXTRA...]` installs each into an environment of its own.

It writes the sizes into the table of docs/install.md, and removes the environments. Without names it takes all of
pyproject.toml, which are tens of GB to fetch and about an hour.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "install.md"
# The base install, as the table calls it.
NONE = "(none)"
ROW = re.compile(r"^\| (\(none\)|`[a-z0-9-]+`) \| (.*) \| ([^|]*) \|$", re.MULTILINE)


def extras() -> list[str]:
    """Return what `install.py --extras` takes, the base first."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return [NONE, *project["optional-dependencies"]]


def rows() -> dict[str, str]:
    """Return {extra: installed size} of the docs' table."""
    return {name.strip("`"): size for name, _, size in ROW.findall(PAGE.read_text(encoding="utf-8"))}


def taken(folder: Path) -> int:
    """Return the bytes of disk that a folder takes."""
    return sum(os.lstat(Path(where) / name).st_blocks * 512 for where, _, names in os.walk(folder) for name in names)


def measured(extra: str) -> int:
    """Return the bytes of disk that installing an extra takes, with the base and all that both need."""
    with tempfile.TemporaryDirectory() as scratch:
        venv = Path(scratch) / "venv"
        subprocess.run([sys.executable, "-m", "venv", venv], check=True)
        before = taken(venv)
        words = ["--venv", str(venv), "--extras", "" if extra == NONE else extra]
        subprocess.run([sys.executable, ROOT / "install.py", *words], check=True)
        return taken(venv) - before


def text_of(size_bytes: int) -> str:
    """Return a size as the table shows it: two digits that count."""
    return f"{size_bytes / 1e9:.1f} GB" if size_bytes >= 0.95e9 else f"{size_bytes / 1e6:.0f} MB"


def main(names: Sequence[str]) -> None:
    """Measure extras, and write each into the table as soon as it is known."""
    for name in names or extras():
        size = text_of(measured(name))
        sys.stderr.write(f"{name}: {size}\n")
        row = re.compile(rf"^(\| {re.escape(name if name == NONE else f'`{name}`')} \| .* \|) [^|]* \|$", re.MULTILINE)
        text = PAGE.read_text(encoding="utf-8")
        PAGE.write_text(row.sub(rf"\1 {size} |", text), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
