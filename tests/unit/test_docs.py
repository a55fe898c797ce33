"""The docs lead somewhere: links to files and headings that are there, modules and paths that exist."""

from __future__ import annotations

import re
from collections import Counter
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [*(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")), *sorted(ROOT.glob("docs/*.md"))]
PACKAGES = (ROOT / "bench/edgebench", ROOT / "probes/edgebench_probes", ROOT / "suites/edgebench_suites")
# A path is meant from the root, from a package, or from a package's folder; what starts otherwise is somebody else's.
FROM = (ROOT, *PACKAGES, *(package.parent for package in PACKAGES))
# A file of the user's, and groups of entry points: no modules.
NO_MODULES = {"edgebench.toml", "edgebench.probes", "edgebench.suites"}
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
                assert not ours or is_there(word), f"{page.name} names {word}"
            elif re.fullmatch(r"\w+\.py", word):
                found = [path for folder in (*PACKAGES, ROOT / "tests") for path in folder.rglob(word)]
                assert found or (ROOT / word).exists(), f"{page.name} names {word}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_modules_that_are_named_exist(page: Path) -> None:
    for name in MODULE.findall(page.read_text(encoding="utf-8")):
        placeholder = any(part.isupper() for part in name.split("."))
        assert placeholder or name in NO_MODULES or is_defined(name), f"{page.name} names {name}"
