"""The changes that wait for a release are such that a release can be made of them (`tox -e lint` renders them too)."""

from __future__ import annotations

import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_each_waiting_change_has_a_kind_and_a_text() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["towncrier"]
    kinds = {entry["directory"] for entry in settings["type"]}
    folder = ROOT / settings["directory"]
    wrong = {}
    for path in folder.iterdir():
        text, kind = path.read_text(encoding="utf-8").strip(), path.stem.rpartition(".")[2]
        if path.name in settings["ignore"]:
            continue
        if path.suffix != ".md" or "." not in path.stem or kind not in kinds:
            wrong[path.name] = f"name it WORD.KIND.md, KIND one of {', '.join(sorted(kinds))}"
        elif not text or text[0] in "-*#":
            wrong[path.name] = "write a sentence or two, without a dash or a heading in front"
    assert wrong == {}


def test_a_release_finds_its_place_in_the_changelog() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["towncrier"]
    assert (ROOT / settings["filename"]).read_text(encoding="utf-8").count(settings["start_string"]) == 1
