"""The house: which room may import which, no circle, no arrow back up, and nothing heavy where start-up counts.

An import inside a function and one for type checkers only bind two rooms as much as any other: all of them count.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = {
    "edgebench": ROOT / "bench" / "edgebench",
    "edgebench_probes": ROOT / "probes" / "edgebench_probes",
    "edgebench_suites": ROOT / "suites" / "edgebench_suites",
}
# Distributions of their own that are kept here: nobody imports them, and each may import the rooms named.
PLUGINS = {path.name: path for path in (ROOT / "bench" / "plugins").glob("*/edgebench_*") if path.is_dir()}
FOR_PLUGINS = frozenset(["artifacts", "report", "measure", "backends", "machine", "compress", "suites", "errors"])
# The rooms from the top floor down, each with the rooms that it may import: all of them stand below it.
ARROWS = {
    "commands": "ab render session history compare launch artifacts report measure plan machine probes suites version "
    "errors",
    "ab": "session compare launch artifacts report measure plan machine compress probes suites version errors",
    "render": "history compare artifacts report plan backends probes suites errors",
    "session": "artifacts report measure plan backends machine suites version errors",
    "history": "compare report machine errors",
    "compare": "report plan errors",
    "launch": "report plan probes version errors",
    "artifacts": "report measure plan backends machine compress probes suites version errors",
    "report": "measure plan machine probes version errors",
    "measure": "backends machine probes suites errors",
    "plan": "backends machine compress suites errors",
    "backends": "machine compress suites errors",
    "machine": "probes",
    "compress": "suites errors",
    "probes": "",
    "suites": "",
    "version": "",
    "errors": "",
}
# Modules of the project that a function imports, each with what that buys; in `commands` it is always the start-up.
LATE: dict[tuple[str, str], str] = {
    ("edgebench.ab.entry", "edgebench.ab.rerun"): "a side that is asked for its plan measures nothing",
    ("edgebench.measure.worker", "edgebench.backends.operators.operators"): "a worker that runs a model",
    ("edgebench.measure.worker", "edgebench.measure.quality"): "every run but the one that is scored",
    ("edgebench.measure.worker", "edgebench.measure.reading"): "every run but those of a language model",
    ("edgebench.ab.entry", "edgebench.ab.side"): "pydantic, in a run that is measured",
    ("edgebench_probes.catalogue.power", "edgebench_probes.meters"): "meters, where none is looked for",
    ("edgebench.backends.torch", "edgebench.compress.checkpoint"): "NumPy, when a backend is only chosen",
    ("edgebench.backends.torch", "edgebench_suites.zoo"): "NumPy, when a backend is only chosen",
}
# Longer than a file should be, still.
LONG: frozenset[str] = frozenset()
# What a process that does not need it must not pay for.
RUNTIMES = frozenset(
    [
        "torch",
        "torchvision",
        "openvino",
        "nncf",
        "onnx",
        "onnxruntime",
        "sklearn",
        "tensorrt",
        "ai_edge_litert",
        "litert_lm",
        "litert_lm_builder",
        "litert_torch",
        "llama_cpp",
        "gguf",
        "onnxruntime_genai",
        "openvino_genai",
        "openvino_tokenizers",
        "ncnn",
        "pnnx",
        "executorch",
    ]
)
SLOW_TO_IMPORT = RUNTIMES | frozenset(
    ["numpy", "scipy", "pydantic", "rich", "jinja2", "pyperf", "psutil", "docker", "paramiko"]
)
PROGRAMS = frozenset(
    [
        "__main__",
        "commands.main",
        "measure.worker",
        "measure.roofs",
        "artifacts.look",
        "artifacts.prepare",
        "artifacts.compress",
        "report.schema",
        "launch.node",
    ]
)


@dataclass(frozen=True, slots=True)
class Import:
    """One import of `name`, as a module where it is one; `late` stands in a function, `typing` for type checkers."""

    name: str
    line: int
    late: bool
    typing: bool


def modules(packages: Mapping[str, Path]) -> dict[str, Path]:
    found = {}
    for package, folder in packages.items():
        for path in folder.rglob("*.py"):
            parts = [package, *path.relative_to(folder).with_suffix("").parts]
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = modules(PACKAGES)
PLUGIN_MODULES = modules(PLUGINS)


@cache
def tree(module: str) -> ast.Module:
    return ast.parse((MODULES | PLUGIN_MODULES)[module].read_text(encoding="utf-8"))


def imports(module: str) -> Iterator[Import]:
    """Every import of a module, wherever it stands."""

    def walk(node: ast.AST, *, late: bool, typing: bool) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                for alias in child.names:
                    yield Import(alias.name, child.lineno, late, typing)
            elif isinstance(child, ast.ImportFrom) and child.module:
                for alias in child.names:
                    # `from package import module` uses the module, not what the package's own file defines.
                    whole = f"{child.module}.{alias.name}"
                    yield Import(whole if whole in MODULES else child.module, child.lineno, late, typing)
            yield from walk(
                child,
                late=late or isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda),
                typing=typing or (isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)),
            )

    return walk(tree(module), late=False, typing=False)


def room(module: str) -> str:
    """Return the room of a module: a folder of the engine, or one of the other two packages whole."""
    package, *inside = module.split(".")
    if package != "edgebench":
        return package.removeprefix("edgebench_")
    if inside in ([], ["_version"]):  # the second is written by a build
        return "version"
    return "commands" if inside == ["__main__"] else inside[0]


def inner(module: str) -> list[Import]:
    return [found for found in imports(module) if found.name in MODULES and found.name != module]


def circle(graph: dict[str, set[str]]) -> list[str]:
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_every_module_belongs_to_a_room_and_every_room_has_modules() -> None:
    assert {room(module) for module in MODULES} == set(ARROWS)
    assert len(ARROWS) <= 18


def test_arrows_are_the_picture_and_all_of_them_are_used() -> None:
    used: dict[str, dict[str, str]] = {name: {} for name in ARROWS}
    for module in MODULES:
        for found in inner(module):
            if room(found.name) != room(module):
                used[room(module)][room(found.name)] = f"{module}:{found.line} imports {found.name}"
    for name, allowed in ARROWS.items():
        unwanted = [why for target, why in used[name].items() if target not in allowed.split()]
        assert not unwanted, f"{name} has no arrow there: {unwanted}"
        assert set(allowed.split()) <= set(used[name]), f"arrows of {name} that nobody uses"


def test_the_picture_in_the_docs_has_the_same_arrows() -> None:
    text = (ROOT / "docs" / "design.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \|[^|]+\| ([^|]+) \|$", text, re.MULTILINE)
    assert [(name, " ".join(re.findall(r"\w+", below))) for name, below in rows] == list(ARROWS.items())


def test_no_arrow_goes_back_up() -> None:
    floor = {name: number for number, name in enumerate(ARROWS)}
    for name, allowed in ARROWS.items():
        assert all(floor[target] > floor[name] for target in allowed.split()), f"{name} has an arrow back up"
    # The table reads from the top down: within a row, too.
    assert all(floor[a] < floor[b] for row in ARROWS.values() for a, b in pairwise(row.split()))


def test_no_circle_of_modules() -> None:
    assert not circle({module: {found.name for found in inner(module)} for module in MODULES})


def test_a_late_import_of_our_own_buys_something() -> None:
    late = {
        (module, found.name)
        for module in MODULES
        if room(module) != "commands"
        for found in inner(module)
        if found.late and not found.typing
    }
    assert late == set(LATE)


def test_a_file_is_read_without_scrolling_for_long() -> None:
    every = MODULES | PLUGIN_MODULES
    lines = {module: len(path.read_text(encoding="utf-8").splitlines()) for module, path in every.items()}
    assert {module for module, count in lines.items() if count > 300} == LONG


@pytest.mark.parametrize("plugin", sorted(PLUGINS))
def test_a_plugin_imports_what_plugins_may_and_nobody_imports_it(plugin: str) -> None:
    own = {module for module in PLUGIN_MODULES if module.partition(".")[0] == plugin}
    for module in own:
        for found in imports(module):
            unwanted = found.name in MODULES and room(found.name) not in FOR_PLUGINS
            assert not unwanted, f"{module}:{found.line} imports {found.name}"
    assert not circle({module: {found.name for found in imports(module)} & own for module in own})
    for module in (MODULES | PLUGIN_MODULES).keys() - own:
        assert plugin not in {found.name.partition(".")[0] for found in imports(module)}, f"{module} imports {plugin}"


@pytest.mark.parametrize("module", sorted(MODULES | PLUGIN_MODULES))
def test_no_module_imports_a_runtime_at_its_top(module: str) -> None:
    top = {found.name.partition(".")[0] for found in imports(module) if not found.late and not found.typing}
    assert not top & RUNTIMES


def loaded_by(code: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; {code}; print(*sorted({{m.partition('.')[0] for m in sys.modules}}))"],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.split())


@pytest.mark.parametrize(
    ("code", "unwanted"),
    [
        ("import edgebench.commands.main as m; m.build_parser()", SLOW_TO_IMPORT),
        ("import edgebench.machine.sampling, edgebench_probes.sampling.process", SLOW_TO_IMPORT),
        ("import edgebench.measure.worker", RUNTIMES | {"pydantic", "scipy", "rich", "jinja2"}),
    ],
    ids=["command line", "samplers", "worker"],
)
def test_a_process_starts_without_what_it_does_not_need(code: str, unwanted: frozenset[str]) -> None:
    assert not unwanted & loaded_by(code)


def test_only_programs_exit_and_nothing_prints() -> None:
    for module in MODULES | PLUGIN_MODULES:
        for node in ast.walk(tree(module)):
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                assert called != "print", f"{module} prints"
                assert called != "sys.exit" or module.removeprefix("edgebench.") in PROGRAMS, f"{module} exits"
