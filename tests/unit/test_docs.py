"""The docs lead somewhere: links to files and headings, modules, paths, commands and options that are there.

What stands in blocks of code is run: test_blocks.py.
"""

from __future__ import annotations

import argparse
import ast
import inspect
import json
import os
import re
import subprocess
import sys
import tomllib
from collections import Counter
from importlib import import_module
from pathlib import Path

import pytest
from tests.blocks import PAGES, ROOT, Block, blocks, commands, spans

import edgebench_probes
from edgebench.commands.main import build_parser
from edgebench.errors import EdgebenchError
from edgebench_probes.catalogue.discover import examine

PACKAGES = (ROOT / "bench/edgebench", ROOT / "probes/edgebench_probes", ROOT / "suites/edgebench_suites")
# A path is meant from the root, from a package, or from a package's folder; what starts otherwise is somebody else's.
FROM = (ROOT, *PACKAGES, *(package.parent for package in PACKAGES))
# A file of the user's, and groups of entry points: no modules.
NO_MODULES = {"edgebench.toml", "edgebench.families", "edgebench.probes", "edgebench.suites"}
# Written by a build, and not there before.
BUILT = {"edgebench/_version.py"}
MODULE = re.compile(r"(?<![\w/.\-])((?:edgebench(?:_probes|_suites)?|tests)(?:\.\w+)+)(?![\w/\-])")
EXTENSION = re.compile(r"\.(py|toml|md|sh|hcl|j2|json|txt)$")


def in_backticks(text: str) -> set[str]:
    """Return what stands in backticks, outside blocks of code."""
    prose = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    return {" ".join(found.split()) for found in re.findall(r"`([^`]+)`", prose)}


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    prose = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    seen: Counter[str] = Counter()
    found = set()
    for heading in re.findall(r"^#+ +(.+)$", prose, re.MULTILINE):
        slug = re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")
        found.add(slug if not seen[slug] else f"{slug}-{seen[slug]}")
        seen[slug] += 1
    return found


def is_there(path: str) -> bool:
    """Whether a path of the docs exists; a word in capitals stands for any name."""
    pattern = re.sub(r"\b[A-Z]{2,}\b(?!\.md)", "*", path).rstrip("/")
    return any(any(folder.glob(pattern)) for folder in FROM)


def is_defined(name: str) -> bool:
    """Whether a dotted name is a module of ours, or what a module of ours has."""
    parts = name.split(".")
    for count in range(len(parts), 0, -1):
        try:
            found: object = import_module(".".join(parts[:count]))
        except ModuleNotFoundError:
            continue
        for part in parts[count:]:
            if not hasattr(found, part):
                return False
            found = getattr(found, part)
        return True
    return False


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files_and_headings(page: Path) -> None:
    prose = re.sub(r"`[^`]*`", "", page.read_text(encoding="utf-8"))
    for link in re.findall(r"\]\(([^)\s]+)\)", prose):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{page.name}: {link}"
        assert not anchor or anchor in anchors(target), f"{page.name}: {link}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_paths_that_are_named_exist(page: Path) -> None:
    told = in_backticks(page.read_text(encoding="utf-8"))
    tops = {entry.name for folder in FROM for entry in folder.iterdir() if entry.is_dir()}
    for text in told:
        for word in text.split():
            if re.fullmatch(r"[\w.\-/]+", word) and "/" in word:
                ours = word.partition("/")[0] in tops and (EXTENSION.search(word) or word.endswith("/"))
                ours = ours and word not in BUILT
                assert not ours or is_there(word), f"{page.name} names {word}"
            elif re.fullmatch(r"\w+\.py", word):
                found = [path for folder in (*PACKAGES, ROOT / "tests") for path in folder.rglob(word)]
                assert found or (ROOT / word).exists(), f"{page.name} names {word}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_modules_that_are_named_exist(page: Path) -> None:
    for name in MODULE.findall(page.read_text(encoding="utf-8")):
        placeholder = any(part.isupper() for part in name.split("."))
        assert placeholder or name in NO_MODULES or is_defined(name), f"{page.name} names {name}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_commands_in_prose_are_those_of_the_command_line(page: Path) -> None:
    for span in spans(page):
        try:
            words = next(commands(span)).words[1:]
            build_parser().parse_args(list(words))
        except (EdgebenchError, ValueError) as error:
            # A command's name alone, or a synopsis.
            if " is missing" not in str(error) and not re.search(r"[\[|…]|\.\.\.|[A-Z]{4}", span):
                pytest.fail(f"{page.name}: `{span}`: {error}")
            _flags(span)


def _flags(text: str) -> None:
    """Check that a command has the options that a line with placeholders names."""
    known: argparse.ArgumentParser = build_parser()
    for word in re.findall(r"[a-z]+", text.removeprefix("edgebench")):
        actions = [action for action in known._actions if isinstance(action, argparse._SubParsersAction)]
        if not actions or word not in actions[0].choices:
            break
        known = actions[0].choices[word]
    options = {name for action in known._actions for name in action.option_strings}
    missing = set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", re.sub(r"`[^`]*`", "", text))) - options
    assert known.prog != "edgebench", f"`{text}`: there is no such command"
    assert not missing, f"`{text}`: {known.prog} has no {', '.join(missing)}"


def block_of(page: str, heading: str) -> Block:
    """Return the one block below a heading."""
    (block,) = [one for one in blocks(ROOT / "docs" / page) if one.heading == heading]
    return block


def test_the_design_s_command_line_is_the_one_there_is() -> None:
    block = block_of("design.md", "The command line")
    for part in re.split(r"(?=\bedgebench )", block.text):
        if part.startswith("edgebench "):
            _flags(part)


def test_probes_are_named_as_the_page_of_meters_says() -> None:
    for line in block_of("meters.md", "Naming one").text.splitlines():
        for found in examine([line.split()[0]]):
            assert "has no option" not in (found.reason or ""), f"{line}: {found.reason}"


def test_measure_takes_what_the_page_says() -> None:
    page = (ROOT / "docs/probes-python.md").read_text(encoding="utf-8")
    plain = inspect.Signature(
        [
            one.replace(annotation=inspect.Parameter.empty)
            for one in inspect.signature(edgebench_probes.measure).parameters.values()
        ]
    )
    assert f"measure{plain}" in page


def test_the_plug_ins_of_the_docs_are_found(tmp_path: Path) -> None:
    """The example is a distribution of its own: its files, and what installing makes of its entry points."""
    files = {block.file: block.text for block in blocks(ROOT / "docs/extending.md") if block.file is not None}
    groups = tomllib.loads(files.pop("pyproject.toml"))["project"]["entry-points"]
    facts = tmp_path / "acme-1.0.dist-info"
    facts.mkdir()
    files |= {f"{facts.name}/METADATA": "Metadata-Version: 2.1\nName: acme\nVersion: 1.0\n"}
    lines = [
        f"[{group}]\n" + "".join(f"{name} = {what}\n" for name, what in rows.items()) for group, rows in groups.items()
    ]
    files |= {f"{facts.name}/entry_points.txt": "".join(lines)}
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}

    def told(*words: str) -> str:
        command = [sys.executable, "-m", "edgebench", *words]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True, cwd=tmp_path).stdout

    plan = told("suite", "acme-quick", "--probe", "acme_supply", "--dry-run")
    assert "mobilenet_v2-0.35/baseline/mine/fp32" in plan
    (supply,) = json.loads(told("probes", "--probe", "acme_supply", "--json"))["probes"]
    assert (supply["usable"], supply["reading_w"]) == (True, 12.0)


def said() -> str:
    """Return all that our code can say: its strings, with an ellipsis for what is put in."""
    told = []
    for path in (path for package in PACKAGES for path in package.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                parts = [part.value if isinstance(part, ast.Constant) else "…" for part in node.values]
                told.append("".join(map(str, parts)))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                told.append(node.value)
    return "\n".join(told)


def test_the_symptoms_are_what_the_code_says() -> None:
    page, told = (ROOT / "docs/troubleshooting.md").read_text(encoding="utf-8"), said()
    symptoms = re.findall(r"^\|[^|]*?\*([^*|]+)\*", page, re.MULTILINE)
    assert len(symptoms) > 10
    assert [symptom for symptom in symptoms if symptom not in told] == []
