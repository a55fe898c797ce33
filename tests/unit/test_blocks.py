"""Every block of code in the docs is run as far as it can be here, and fails where it lies.

A page's blocks run in order in a folder of files that `reader.furnish` writes. Of a shell's lines

- `edgebench …` is parsed by the real parser, then run: `suite` and `ab` with `--dry-run`, and what would start a
  container, an engine or hours of work up to that point (`CHECKED`). So suites, globs, options, probes and files must
  be right;
- `docker run … edgebench-PLATFORM …` has what follows the image parsed in the same way;
- `python3 install.py …` is parsed by that file's own parser;
- what `blocks.ELSEWHERE` names is left alone, with the reason that stands there.

Python is executed, with what `KNOWN` gives it; TOML is read by the loader of its kind; YAML and JSON are parsed. A
meter that a page names is a recorded one here, an environment the one that runs the tests (`STAND_INS`). Above a block
that cannot be run at all its author writes `<!-- not run: REASON -->`: then it is only parsed. What is no code is
fenced as ```text.
"""

from __future__ import annotations

import argparse
import importlib.util
import itertools
import json
import os
import re
import runpy
import shutil
import sys
import time
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.blocks import ELSEWHERE, PAGES, ROOT, Block, Command, blocks, commands
from tests.simulators.powercap import Options, powercap, unavailable
from tests.unit.reader import furnish

import edgebench_probes
from edgebench.backends import plugins
from edgebench.commands.main import build_parser
from edgebench.commands.run import order_asked
from edgebench.launch.benchfile import chosen, of_platform, read_bench
from edgebench.launch.profile import find_profile
from edgebench.plan.load import load_plan
from edgebench.plan.suites import open_suite
from edgebench_probes.catalogue.discover import examine

yaml: Any = importlib.import_module("yaml")
ALL = [block for page in PAGES for block in blocks(page)]
IMAGE = re.compile(r"(?:[\w.-]+/)*edgebench(?:-(?:n150|pi|jetson))?(?::[\w.-]+)?")
# A verdict is an answer, whatever it is.
CODES = {"compare": {0, 1, 3, 4}}
STAND_INS = {"shizuku:/dev/ttyACM0": "replay:trace.jsonl"}
STAND_INS |= dict.fromkeys(
    ("venv:OLD", "venv:NEW", "venv:/envs/released", "venv:/envs/candidate"), f"venv:{sys.prefix}"
)
# Nobody waits five seconds for idle power in a test.
SHORTER = {"--idle 5 ": "--idle 1 ", "idle_s=5": "idle_s=1"}
# What the examples take for granted.
KNOWN: dict[str, Any] = {
    "edgebench_probes": edgebench_probes,
    "work": lambda: time.sleep(0.3),
    "infer": lambda _: time.sleep(0.3),
    "batch": 0,
    "batches": range(2),
}
AUTHOR = (
    "mend the page, or say above the block why it cannot be run: <!-- not run: REASON --> (tests/unit/test_blocks.py)"
)


@pytest.fixture(scope="module")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return the folder of a page's reader, furnished when it is first asked for."""
    model = tmp_path_factory.mktemp("reader")
    furnish(model)
    folders: dict[str, Path] = {}

    def folder_of(page: str) -> Path:
        if page not in folders:
            folders[page] = shutil.copytree(model, tmp_path_factory.mktemp(Path(page).stem), dirs_exist_ok=True)
        return folders[page]

    return folder_of


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A sysfs with a RAPL of 7 W, or an empty one where none can be mounted."""
    if unavailable() is not None:
        yield tmp_path_factory.mktemp("sys")
        return
    with powercap(tmp_path_factory.mktemp("machine") / "sys", Options(power=7.0, range=262_144.0)) as simulator:
        yield simulator.root


@pytest.fixture
def at(furnished: Callable[[str], Path], machine: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Go to the folder of a page's reader, on a machine of known power."""

    def go(page: str) -> Path:
        folder = furnished(page)
        monkeypatch.chdir(folder)
        for name in [name for name in os.environ if name.startswith("EDGEBENCH_")]:
            monkeypatch.delenv(name)
        monkeypatch.setenv("HOME", str(folder))
        monkeypatch.delenv("XDG_DATA_HOME", raising=False)
        monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
        monkeypatch.setenv("EDGEBENCH_CACHE", str(folder / "cache"))
        monkeypatch.setenv("EDGEBENCH_SYSFS", str(machine))
        monkeypatch.setenv("OPENBLAS_NUM_THREADS", "1")  # as a command sets it; taken back afterwards
        return folder

    return go


@pytest.mark.parametrize("block", ALL, ids=str)
def test_a_block_does_what_its_page_says(block: Block, at: Callable[[str], Path]) -> None:
    assert block.language in LANGUAGES, (
        f"{block}: this block is no shell line, TOML or Python: fence it with its language, or as ```text. "
        "A program that no test may call is named in tests/blocks.py"
    )
    if "rapl" in block.text and "measure" in block.text and unavailable() is not None:
        pytest.skip(unavailable() or "")
    at(block.page)
    try:
        LANGUAGES[block.language](block)
    except Exception as error:
        error.add_note(f"{block}: {AUTHOR}")
        raise


def _nothing(_: Block) -> None:
    """Prose, drawings and diagrams."""


def _sh(block: Block) -> None:
    for command in commands(_standing_in(block.text)):
        _command(command, run=block.not_run is None)


def _standing_in(text: str) -> str:
    for name, other in (STAND_INS | SHORTER).items():
        text = text.replace(name, other)
    return text


def _command(command: Command, *, run: bool) -> None:
    """Run one command, or parse it; what belongs to somebody else is left alone."""
    words = [os.path.expanduser(word) for word in command.words]  # noqa: PTH111  # as a shell does, a word that is no path too
    name = command.program
    if name == "sudo" and (rest := Command(command.words[1:], {}, None)).program in ("edgebench", "docker"):
        words, name = words[1:], rest.program
    if name == "edgebench":
        arguments = build_parser().parse_args(words[1:])
        if run:
            code = _carried_out(arguments, words[1:])
            assert code in CODES.get(words[1], {0}), f"'{command}' ended with exit code {code}"
    elif name == "docker":
        _docker(words)
    elif name == "python3" and words[1] == "install.py":
        _install(words[2:])
    elif name == "python3" and words[1] == "-m":
        assert importlib.util.find_spec(words[2]) is not None, f"'{command}': there is no module {words[2]}"
    elif name:
        assert name in ELSEWHERE, f"'{command}': nobody knows the program {name}: {AUTHOR}"


def _carried_out(arguments: argparse.Namespace, words: list[str]) -> int:
    """Do what a command says, short of what needs an engine, another machine or more than seconds."""
    if words[:1] == ["suite"]:
        arguments.dry_run = arguments.probe_optional = True
    name = words[1] if words[:2] == ["probes", "serve"] else words[0]
    if name in CHECKED and CHECKED[name](arguments):
        return 0
    code: int = arguments.command(arguments)
    return code


def _serve(arguments: argparse.Namespace) -> bool:
    return bool(examine(arguments.probe))


def _prepare(arguments: argparse.Namespace) -> bool:
    return arguments.check is None and bool(open_suite(arguments.suite))


def _run(arguments: argparse.Namespace) -> bool:
    order = order_asked(arguments, tuple(arguments.probe or ()))
    if arguments.board:
        of_platform(read_bench(arguments.boards), arguments.board, order.profile.platform, arguments.boards)
    return bool(arguments.printed != "kubernetes")


def _boards(arguments: argparse.Namespace) -> bool:
    return bool(chosen(read_bench(arguments.boards), arguments.names, arguments.boards))


def _image(arguments: argparse.Namespace) -> bool:
    return "platform" not in arguments or bool(find_profile(arguments.platform))


def _ab(arguments: argparse.Namespace) -> bool:
    """Revisions are installed and images started before anything is known of them."""
    arguments.dry_run = True
    return any(side.startswith(("rev:", "image:")) for side in (arguments.base, arguments.head))


# What is checked of commands that cannot run here, and whether that is all.
CHECKED: dict[str, Callable[[argparse.Namespace], bool]] = {
    "prepare": _prepare,
    "run": _run,
    "boards": _boards,
    "image": _image,
    "serve": _serve,
    "ab": _ab,
}


def _docker(words: list[str]) -> None:
    """Parse what an image of ours is told, and look whether the files that a build names are there."""
    if words[1] == "run":
        place = next((place for place, word in enumerate(words) if IMAGE.fullmatch(word)), None)
        assert place is not None, f"{' '.join(words)}: no image of ours is named"
        build_parser().parse_args(words[place + 1 :] or ["suite", "full"])
    for option, file in itertools.pairwise(words):
        assert option not in {"-f", "--file"} or (ROOT / file).is_file(), f"there is no {file}"


def _install(words: list[str]) -> None:
    parser = runpy.run_path(str(ROOT / "install.py"))["make_parser"]()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = parser.parse_args(words).extras
    unknown = {extra for extra in asked.split(",") if extra} - set(project["optional-dependencies"])
    assert not unknown, f"pyproject.toml has no extra {unknown}"


_namespaces: dict[str, dict[str, Any]] = {}
_executed: dict[str, list[Block]] = {}


def _python(block: Block) -> None:
    """Execute a block after those before it on its page, once each; one that is a file is imported as that."""
    executed = _executed.setdefault(block.page, [])
    before = [other for other in ALL if (other.page, other.language) == (block.page, block.language)]
    for one in before[: before.index(block) + 1]:
        if one not in executed:
            _execute(one)
            executed.append(one)


def _execute(block: Block) -> None:
    text = _standing_in(block.text)
    code = compile("\n" * (block.line - 1) + text, block.page, "exec")
    if block.not_run is not None:
        return
    if block.file is not None:
        Path(block.file).write_text(text, encoding="utf-8")
    space = _namespaces.setdefault(block.page, {"results": [], **KNOWN})
    exec(code, {**space, "__file__": block.file} if block.file else space)  # noqa: S102  # our own docs


def _toml(block: Block) -> None:
    """Read a file of ours with the loader that reads it for users."""
    found = tomllib.loads(block.text)
    kind = next((name for name in TOML if any(key in found for key in TOML[name])), None)
    assert kind is not None, f"{block}: is this a suite, a bench file, a budget file or a package's entry points?"
    path = Path(block.file or f"{kind}.toml")
    path.write_text(block.text if kind != "suite" else _whole_suite(found, block.text), encoding="utf-8")
    if block.not_run is not None:
        return
    if kind == "suite":
        load_plan(str(path), dataset="digits", cores=2)
    elif kind == "boards":
        read_bench(path)
    elif kind == "edgebench":
        arguments = build_parser().parse_args(["compare", "base.json", "head.json", "--config", str(path)])
        assert arguments.command(arguments) in CODES["compare"]
    else:
        groups = set(found["project"].get("entry-points", {}))
        assert groups <= {"edgebench.probes", plugins.BACKENDS, plugins.FAMILIES, plugins.SUITES}, groups


TOML = {
    "suite": ("benchmark", "recipe", "measure"),
    "boards": ("board",),
    "edgebench": ("compare", "budget", "session_sd"),
    "pyproject": ("project",),
}


def _whole_suite(found: dict[str, Any], text: str) -> str:
    """Return a suite with what an example leaves out."""
    head = "" if "name" in found else 'name = "example"\n'
    tail = "" if "benchmark" in found else '[[benchmark]]\nmodel = ["mobilenet_v2"]\nbackend = ["torch"]\n'
    return f"{head}{text}\n{tail}"


LANGUAGES: dict[str, Callable[[Block], Any]] = {
    "sh": _sh,
    "python": _python,
    "toml": _toml,
    "yaml": lambda block: list(yaml.safe_load_all(block.text)),
    "json": lambda block: json.loads(block.text),
    "text": _nothing,
    "mermaid": _nothing,
}
