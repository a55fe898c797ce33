"""The installer, with a Python that writes down what it is asked to do."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from tests.extras import extras, rows

ROOT = Path(__file__).parents[2]
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
TORCH = next(word.removeprefix("torch==") for word in EXTRAS["torch"] if word.startswith("torch=="))
PYTHON = """#!/bin/sh
if [ "$4" = versions ]; then echo "Available versions: {offered}"; else echo "$*" >{asked}; fi
"""


@pytest.mark.parametrize(
    ("options", "target"),
    [
        ([], f"{ROOT}[x86]"),
        (["--extras", "torch,pyrapl"], f"{ROOT}[torch,pyrapl]"),
        (["--extras", ""], str(ROOT)),
    ],
)
@pytest.mark.parametrize("build", ["+cpu", ""])
def test_what_pip_is_asked_to_install(tmp_path: Path, options: list[str], target: str, build: str) -> None:
    python, asked = tmp_path / "bin/python", tmp_path / "asked"
    python.parent.mkdir()
    python.write_text(PYTHON.format(offered=TORCH + build, asked=asked), encoding="utf-8")
    python.chmod(0o755)
    subprocess.run(
        [sys.executable, ROOT / "install.py", "--venv", tmp_path, *options], env={"PATH": "/usr/bin:/bin"}, check=True
    )
    words = asked.read_text(encoding="utf-8").split()
    assert words[:3] == ["-m", "pip", "install"]
    assert words[-1] == target
    # What pip's own configuration offers needs no other index.
    assert ("--extra-index-url" in words) == (build == "")


def test_nobody_is_told_to_get_from_an_index_what_no_index_has() -> None:
    """Until there is a release; docs/releasing.md says what has been published."""
    pages = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.*"), *ROOT.glob("bench/**/*.*"), *ROOT.glob("probes/**/*.py")]
    pages = [path for path in pages if path.suffix in {".md", ".py", ".yml", ".toml"}]
    # A path to it is another matter.
    telling = re.compile(r"\b(pipx?|uv tool|uv pip|uvx) install [^`\n#]*(?<![\w/])edgebench\b")
    wrong = [str(path) for path in pages if telling.search(path.read_text(encoding="utf-8"))]
    assert wrong == []


def test_the_docs_say_of_every_extra_what_it_takes() -> None:
    """`python -m tests.extras NAME` measures one."""
    assert set(rows()) == set(extras())
    assert {name for name, size in rows().items() if not re.fullmatch(r"\d\d+ MB|\d\.\d GB", size)} == set()
