"""The blocks of code in the docs, and the commands in their shell lines: what tests/unit/test_blocks.py runs."""

from __future__ import annotations

import ast
import re
import shlex
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from markdown_it import MarkdownIt

if TYPE_CHECKING:
    from markdown_it.token import Token

ROOT = Path(__file__).parents[1]
PAGES = (
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "changelog.d/README.md")),
    *sorted(ROOT.glob("docs/*.md")),
)
NOT_RUN = re.compile(r"<!-- not run: (.+?) -->")
NAMES = {"bash": "sh", "console": "sh", "shell": "sh", "": "", "py": "python", "yml": "yaml"}
# Programs that the docs call and no test can, or should, and why not. What is neither here nor in OURS is no shell's.
ELSEWHERE = {
    "sudo": "it needs root",
    "docker": "it needs an engine: tests/container",
    "kubectl": "it needs a cluster",
    "curl": "it needs a network",
    "git": "it needs a network",
    "ssh": "it needs another machine",
    "scp": "it needs another machine",
    "ls": "it looks at a board's hardware",
    "openssl": "it is somebody else's",
    "sed": "it is somebody else's",
    ".": "it changes the reader's shell",
    "cd": "it stands for the reader's own folder",
    "tox": "it takes long: .ci/run",
    "pytest": "it takes long: .ci/run",
    "ruff": "it takes long: .ci/run",
    "mypy": "it takes long: .ci/run",
    "pre-commit": "it changes the checkout",
    ".ci/release/prepare": "it changes the checkout: tests/unit/test_release.py",
    ".ci/release/latest": "it needs a registry",
    "gh": "it needs a network",
    "pipx": "it installs for a user",
    "uv": "it installs for a user",
}
OURS = ("edgebench", "python3")


@dataclass(frozen=True, slots=True)
class Block:
    """A block of code; `line` is that of its first line in the page, `not_run` the reason that its author gives."""

    page: str
    line: int
    heading: str
    language: str
    text: str
    not_run: str | None

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def file(self) -> str | None:
        """The name of the file that the block is, where its first line is a comment that begins with one."""
        found = re.match(r"# ([\w.-]+\.(?:py|toml|yaml))\b", self.text)
        return found[1] if found else None


@dataclass(frozen=True, slots=True)
class Command:
    """One command of a shell line: its words, what is set for it, and where its output goes."""

    words: tuple[str, ...]
    environment: dict[str, str]
    output: str | None

    def __str__(self) -> str:
        return shlex.join(self.words)

    @property
    def program(self) -> str:
        """The name of the program that it calls; empty where it only sets variables."""
        return self.words[0].removeprefix(".venv/bin/") if self.words else ""


def blocks(page: Path) -> list[Block]:
    """Return a page's blocks in order."""
    tokens = MarkdownIt("commonmark").parse(page.read_text(encoding="utf-8"))
    name, heading, found = str(page.relative_to(ROOT)), "", []
    for before, token in zip([None, *tokens], tokens, strict=False):
        if before is not None and before.type == "heading_open":
            heading = token.content
        if token.type in ("fence", "code_block") and token.map is not None:
            line = token.map[0] + (2 if token.type == "fence" else 1)
            language = token.info.strip().lower()
            language = NAMES.get(language, language) or guessed(token.content)
            found.append(Block(name, line, heading, language, token.content, _reason(before)))
    return found


def _reason(before: Token | None) -> str | None:
    """Return why the block after this token is not run, where a comment there says so."""
    if before is None or before.type != "html_block":
        return None
    found = NOT_RUN.search(before.content)
    return found[1] if found else None


def guessed(text: str) -> str:
    """Return the language of a block that names none: sh, toml or python; empty where it is none of these."""
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        pass
    else:
        return "toml"
    try:
        ast.parse(text)
    except SyntaxError:
        return "sh" if _is_shell(text) else ""
    return "python"


def _is_shell(text: str) -> bool:
    try:
        first = next(commands(text), None)
    except ValueError:
        return False
    return first is not None and first.program in (*OURS, *ELSEWHERE)


def commands(text: str) -> Iterator[Command]:
    """Yield the commands of shell text, one by one; ValueError where a shell would not read it."""
    kept = ""
    for line in text.splitlines():
        kept += f"{line}\n"
        if line.endswith("\\"):
            kept = kept[:-2]
            continue
        try:
            tokens = _tokens(kept)
        except ValueError:  # a quotation goes on in the next line
            continue
        kept = ""
        yield from _commands(tokens)
    if kept.strip():
        raise ValueError(f"a quotation is not closed: {kept.strip()[:80]}")


def _tokens(text: str) -> list[str]:
    lexer = shlex.shlex(text, posix=True, punctuation_chars="();<>|&")
    lexer.whitespace_split = True
    return list(lexer)


def _commands(tokens: list[str]) -> Iterator[Command]:
    words: list[str] = []
    output, redirected = None, False
    for token in [*tokens, ";"]:
        if token in {"&&", "||", ";", "|", "&"}:
            if words:
                yield _command(words, output)
            words, output = [], None
        elif token in {">", ">>", "<"}:
            redirected = True
        elif redirected:
            output, redirected = token, False
        else:
            words.append(token)


def _command(words: list[str], output: str | None) -> Command:
    environment = {}
    while words and (found := re.fullmatch(r"([A-Z_]+)=(.*)", words[0])):
        environment[found[1]] = found[2]
        words = words[1:]
    return Command(tuple(words), environment, output)


def spans(page: Path) -> list[str]:
    """Return the command lines of edgebench in a page's prose: what stands in backticks and has an argument."""
    tokens = MarkdownIt("commonmark").enable("table").parse(page.read_text(encoding="utf-8"))
    inside = [child for token in tokens for child in token.children or () if child.type == "code_inline"]
    return [child.content for child in inside if re.match(r"edgebench [a-z]", child.content)]
