"""The rows: every backend, kind and variant can be planned anywhere, and what cannot run here says why."""

from __future__ import annotations

import argparse
import inspect
import math
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from tests.tables import DOCS, TABLES, written

from edgebench.backends import registry
from edgebench.backends.base import LoadSpec
from edgebench.backends.families import FAMILIES, FOLDERS, SUFFIXES
from edgebench.backends.fitness import Asked, can_hold, why_not
from edgebench.backends.registry import BACKENDS, PLATFORMS, get_backend, resolve, row_of
from edgebench.commands import export, judging
from edgebench.commands.main import build_parser
from edgebench.compress.steps import STEPS, parse_variant
from edgebench.errors import BackendError
from edgebench.machine.facts import ISA_ENVIRONMENT
from edgebench.plan.estimate import measure_seconds, prepare_seconds, total_seconds, work
from edgebench.plan.kinds import KINDS
from edgebench.plan.load import load_plan
from edgebench.plan.skips import skips
from edgebench.plan.suitefile import Recipe
from edgebench.plan.targets import carried, in_preparing_order, target_of, wanted
from edgebench_suites.zoo import task_of

PRECISIONS = ("auto", "fp32", "fp16", "bf16", "int8")
VARIANTS = ("baseline", *(f"{name}40" if step.takes_percent else name for name, step in STEPS.items()))


def refused(model: str) -> set[str]:
    """The variants that a model's task has no recipe for."""
    return {f"{name}40" if STEPS[name].takes_percent else name for name in task_of(model).refuses}


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A suite of every kind, backend, variant and precision that can be written down."""
    lines = ['name = "everything"', "[measure]", "sustained_s = 10.0"]
    for kind in KINDS.values():
        model = "mobilenet_v2" if kind.passes else "byte_llama"
        subject = f'["{model}"]' if kind.subject == "model" else '["maxpool", "copy-cache"]'
        lines += ["[[benchmark]]", f'kind = "{kind.name}"', f"{kind.subject} = {subject}"]
        lines += [f"backend = {list(BACKENDS)}", f"isa = {list(ISA_ENVIRONMENT)}", f"precision = {list(PRECISIONS)}"]
        variants = [name for name in VARIANTS if name not in refused(model)]
        lines += [f"variant = {variants}"] if kind.subject == "model" else []
    path = tmp_path_factory.mktemp("suite") / "everything.toml"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def test_every_combination_passes_the_dry_run(everything: Path) -> None:
    command = [sys.executable, "-m", "edgebench", "suite", str(everything), "--dry-run"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    told = " ".join(done.stdout.split())
    assert "operators run through torch, openvino, onnxruntime, not onnxruntime-cuda" in told
    assert "onnxruntime runs fp32, fp16, int8, int4, not bf16" in told


def test_the_language_models_of_edgebench_take_less_than_ten_minutes() -> None:
    plan = load_plan("llm", dataset="digits", cores=2)
    assert total_seconds(plan)[1] < 600


def test_every_combination_has_an_estimate_a_target_and_perhaps_a_reason(everything: Path) -> None:
    plan = load_plan(str(everything), dataset="digits", cores=2)
    assert {(cell.kind, cell.params.backend) for cell in plan.benchmarks} == {
        (kind, backend)
        for kind in KINDS
        for backend in BACKENDS
        # Only what is exported and built has a making to measure.
        if (kind != "compress" or FAMILIES[row_of(backend).family].export is not None)
        and (kind == "operator" or row_of(backend).passes if KINDS[kind].passes else row_of(backend).decoder)
    }
    reasons = skips(plan)
    for cell in plan.benchmarks:
        assert 0 < measure_seconds(cell) < math.inf
        assert "\n" not in reasons.get(cell.name, "")
        if cell.params.operator is None:
            assert prepare_seconds(cell) > 0
            assert {wanted(cell)[1], carried(cell)[1]} <= set(FAMILIES)
            assert target_of(cell)
    assert 0 < total_seconds(plan)[0] <= total_seconds(plan)[1]
    assert {name for name in work(plan) if name.startswith("roofs ")} == {
        f"roofs {cell.params.threads}" for cell in plan.benchmarks if cell.kind == "inference"
    }
    # What a longer chain makes on its way is there when a shorter one asks for it.
    chains: dict[tuple[object, ...], list[int]] = {}
    for cell in in_preparing_order(cell for cell in plan.benchmarks if cell.params.operator is None):
        variant, family = wanted(cell)
        key = (cell.params.model, cell.params.width, cell.recipe, family)
        assert key not in chains or key == list(chains)[-1], "a model's chains of a family are made together"
        chains.setdefault(key, []).append(len(parse_variant(variant)))
    assert all(lengths == sorted(lengths, reverse=True) for lengths in chains.values())
    # What no machine can run is among them, whatever is installed here.
    never = {
        name
        for name in reasons
        if name.startswith(("maxpool/litert/", "mobilenet_v2/baseline/onnxruntime/bf16", "copy-cache/torch/bf16"))
    }
    assert len(never) > len(ISA_ENVIRONMENT)


def test_a_runtime_that_answers_one_request_at_a_time_is_skipped_where_a_batch_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(registry._BY_NAME, "onnxruntime", replace(row_of("onnxruntime"), sequences=1))
    path = tmp_path / "batches.toml"
    path.write_text(
        'name = "batches"\n[[benchmark]]\nkind = "generate"\nmodel = ["byte_llama"]\nbatch = [1, 4]\n'
        'backend = ["torch", "onnxruntime"]\nprompt_tokens = [8, 16]\n',
        encoding="utf-8",
    )
    plan = load_plan(str(path), dataset="digits", cores=1)
    names = [cell.name for cell in plan.benchmarks]
    assert len(set(names)) == len(names) == 8
    assert len({cell.group for cell in plan.benchmarks}) == 4, "requests of other sizes are no variants of each other"
    refused = {name: reason for name, reason in skips(plan).items() if "/onnxruntime/fp32/b4/" in name}
    assert set(refused.values()) == {"onnxruntime answers one request at a time, not 4: choose a smaller batch"}
    assert len(refused) == 2
    assert not set(refused) & {cell.name for cell in plan.benchmarks if cell.params.batch == 1}
    for cell in plan.benchmarks:
        assert cell.params.batch == (4 if "/b4/" in cell.name else 1)


@pytest.mark.parametrize("name", BACKENDS)
def test_a_row_and_its_code_say_the_same(name: str, tmp_path: Path) -> None:
    row, backend = row_of(name), get_backend(name)
    assert backend.name == name
    family = FAMILIES[row.family]
    assert family.name in row.formats, "it opens what is made for it"
    assert set(family.steps) <= set(STEPS)
    assert set(family.own) <= {*SUFFIXES.values(), *FOLDERS.values()}
    for need in row.precisions.values():
        assert need.ask is None or callable(resolve(need.ask))
    if row.operators:
        assert callable(resolve(row.operators))
    if backend.unavailable() is None:
        with pytest.raises(BackendError, match="choose another backend"):
            backend.load(LoadSpec(tmp_path, "no such format", 1, "fp32"))
        with pytest.raises(BackendError, match="choose one of these"):
            backend.load(LoadSpec(tmp_path, row.formats[0], 1, "fp4"))


def test_a_quantised_variant_needs_the_familys_tool_and_the_backends_arithmetic() -> None:
    able = {step: [name for name in BACKENDS if can_hold(name, step)] for step in ("prune40", "ptq-dynamic", "fp16")}
    assert able["prune40"] == list(BACKENDS)
    assert able["ptq-dynamic"] == ["torch", "litert", "litert-lm"]
    assert able["fp16"] == [
        "torch-cuda",
        "openvino",
        "onnxruntime",
        "onnxruntime-cuda",
        "litert",
        "llama.cpp",
        "openvino-genai",
        "tensorrt",
    ]


@pytest.mark.parametrize("name", STEPS)
def test_a_step_names_the_work_that_its_place_in_the_chain_calls(name: str) -> None:
    step = STEPS[name]
    given = ["chain", "parent"] if step.final else ["chain", "parent", "family"] if step.lowered else ["task"]
    assert list(inspect.signature(resolve(step.work)).parameters)[: len(given)] == given


def test_a_step_that_trains_names_a_field_of_the_recipe() -> None:
    trains = {name: step.epochs for name, step in STEPS.items() if "training" in step.needs}
    assert trains == {name: step.epochs for name, step in STEPS.items() if step.epochs}
    assert set(trains.values()) <= set(Recipe.model_fields)


def test_a_precision_that_a_ceiling_takes_away_is_known_before() -> None:
    pytest.importorskip("openvino")
    reason = why_not("openvino", Asked("bf16", isa="avx2_vnni"))
    assert reason == "openvino has no bf16 under the ISA ceiling AVX2_VNNI: choose fp32 or lift the ceiling"
    # Halved weights run everywhere, in whatever arithmetic there is.
    assert why_not("openvino", Asked("fp16", holds="fp16", isa="avx2")) is None
    assert why_not("openvino", Asked("fp16", isa="avx2")) is not None


def test_a_precision_that_the_runtime_has_not_here_is_skipped(tmp_path: Path) -> None:
    # Stands where OpenVINO does, and answers as it does on a processor without bf16.
    (tmp_path / "openvino.py").write_text(
        "class Core:\n    def get_property(self, *_):\n        return ['WINOGRAD', 'FP32', 'INT8']\n", encoding="utf-8"
    )
    command = [sys.executable, "-m", "edgebench", "suite", "full", "--dry-run", "--only", "*openvino/*"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path]), "COLUMNS": "200"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "skipped here (1): this CPU has no bf16 arithmetic for openvino: choose precision fp32" in done.stdout
    (line,) = [line for line in done.stdout.splitlines() if line.endswith("skipped")]
    assert line.startswith("mobilenet_v2/baseline/openvino/bf16")


def test_the_command_line_offers_what_the_rows_have() -> None:
    # Written down there, so that --help need not import the rows.
    def choices(command: str, option: str) -> list[str]:
        (commands,) = (action for action in build_parser()._actions if isinstance(action, argparse._SubParsersAction))
        return next(list(one.choices or ()) for one in commands.choices[command]._actions if one.dest == option)

    assert choices("prepare", "platform") == [*PLATFORMS, "any"]
    assert ["none", *choices("suite", "isa")] == list(ISA_ENVIRONMENT)


@pytest.mark.parametrize("name", [*export.FORMATS.values(), *judging.FORMATS.values()])
def test_a_format_names_a_function_of_what_it_shows(name: str) -> None:
    parameters = inspect.signature(resolve(name)).parameters.values()
    assert sum(parameter.default is parameter.empty for parameter in parameters) == 1


@pytest.mark.parametrize("page", TABLES)
def test_the_docs_say_what_the_rows_say(page: str) -> None:
    text = (DOCS / page).read_text(encoding="utf-8")
    assert written(text, TABLES[page]) == text, "python -m tests.tables writes it anew"
