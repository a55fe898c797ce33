"""The arrows of the design: who may import whom, no circle, and nothing heavy where start-up counts."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = {
    "edgebench": ROOT / "bench" / "edgebench",
    "edgebench_probes": ROOT / "probes" / "edgebench_probes",
    "edgebench_suites": ROOT / "suites" / "edgebench_suites",
}
HEAVY = {
    "torch",
    "torchvision",
    "openvino",
    "nncf",
    "onnx",
    "onnxruntime",
    "sklearn",
    "tensorrt",
    "ai_edge_litert",
    "litert_torch",
}

# Room → the rooms it may import. A room is a folder of the engine, or one of its modules.
ARROWS: dict[str, set[str]] = {
    "edgebench_probes": set(),
    "edgebench_suites": set(),
    "edgebench.errors": set(),
    "edgebench.machine.child": set(),
    "edgebench.machine.facts": set(),
    "edgebench.compare": {"report", "errors", "plan.toml"},
    "edgebench.report": {"errors", "machine", "measure", "plan", "backends", "compress"},
    "edgebench.backends": {"errors", "compress.checkpoint", "compress.half"},
    "edgebench.compress": {"errors"},
    # The suite file's reader names file and line of what is wrong in TOML; profiles do so by it.
    "edgebench.launch": {"errors", "machine", "report", "plan.toml"},
}


def modules() -> dict[str, Path]:
    found = {}
    for package, folder in PACKAGES.items():
        for path in folder.rglob("*.py"):
            parts = [package, *path.relative_to(folder).with_suffix("").parts]
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = modules()


def imports(path: Path, *, top_level_only: bool) -> Iterator[str]:
    """Every module that a file imports for use; imports for type checkers only do not count."""

    def walk(node: ast.AST) -> Iterator[str]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
                continue
            if top_level_only and isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
                continue
            if isinstance(child, ast.Import):
                yield from (alias.name for alias in child.names)
            elif isinstance(child, ast.ImportFrom) and child.module:
                names = [f"{child.module}.{alias.name}" for alias in child.names]
                # `from package import module` uses the module, not what the package's own file defines.
                yield from names if all(name in MODULES for name in names) else [child.module, *names]
            yield from walk(child)

    return walk(ast.parse(path.read_text(encoding="utf-8")))


def room(module: str) -> str | None:
    return next((name for name in ARROWS if module == name or module.startswith(f"{name}.")), None)


@pytest.mark.parametrize("module", sorted(MODULES))
def test_a_room_imports_only_what_its_arrows_allow(module: str) -> None:
    home = room(module)
    if home is None:
        return
    for name in imports(MODULES[module], top_level_only=False):
        if name not in MODULES or room(name) == home:
            continue
        if home in {"edgebench_probes", "edgebench_suites"}:
            assert name.startswith(home), f"{module} imports {name}"
        elif name.startswith("edgebench."):
            allowed = {f"edgebench.{arrow}" for arrow in ARROWS[home]}
            assert any(name == arrow or name.startswith(f"{arrow}.") for arrow in allowed), f"{module} imports {name}"


def test_no_circle_of_imports() -> None:
    graph = {
        module: {name for name in imports(path, top_level_only=True) if name in MODULES and name != module}
        for module, path in MODULES.items()
    }
    TopologicalSorter(graph).prepare()


@pytest.mark.parametrize("module", sorted(MODULES))
def test_no_module_imports_a_runtime_at_its_top(module: str) -> None:
    heavy = {name.partition(".")[0] for name in imports(MODULES[module], top_level_only=True)} & HEAVY
    assert not heavy


def test_the_command_line_starts_without_anything_heavy() -> None:
    code = (
        "import sys, edgebench.cli as c; c.build_parser(); print(*sorted({m.partition('.')[0] for m in sys.modules}))"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {*HEAVY, "numpy", "scipy", "pydantic", "rich", "pyperf", "psutil"} & set(loaded)


def test_only_programs_exit_and_nothing_prints() -> None:
    programs = {
        "cli",
        "__main__",
        "measure.worker",
        "artifacts.prepare",
        "artifacts.compress",
        "report.schema",
    }
    for module, path in MODULES.items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                assert called != "print", f"{module} prints"
                assert called != "sys.exit" or module.removeprefix("edgebench.") in programs, f"{module} exits"
