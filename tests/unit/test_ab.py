"""`edgebench ab`: environments, pairs and verdicts with scripted runs, and a whole A/A with real workers."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from tests.statistical.spinning import environment
from tests.unit import records

from edgebench.ab import request
from edgebench.ab import runs as ab_runs
from edgebench.ab.ab import run_ab
from edgebench.ab.messages import PlanQuestion, RunQuestion, SideCell, SidePlan
from edgebench.ab.request import Request
from edgebench.ab.runs import Thermal, run_sample
from edgebench.ab.sides import Environment, environment_of
from edgebench.commands.console import captured
from edgebench.commands.main import main
from edgebench.compare.policy import Policy
from edgebench.compare.verdict import Comparison, Verdict
from edgebench.errors import UsageError
from edgebench.measure.messages import Job
from edgebench.measure.results import Agreement, Quality, Windows
from edgebench.render.verdicts.markdown import markdown
from edgebench.render.verdicts.table import verdict_table
from edgebench.session.jobs import JobResult

SUITE = """
name = "one"
idle_s = 0.0
[measure]
warmup_passes = 5
passes = 20
values = 4
energy_windows = 0
[[benchmark]]
kind = "operator"
operator = ["copy-cache"]
backend = ["openvino"]
precision = ["fp32"]
threads = [1]
"""


class Script:
    """Stands for the two environments' processes: `speed` gives the latency of a run by side, cell and number."""

    def __init__(
        self,
        speed: Callable[[str, str, int], float | str],
        cells: int = 6,
        quality: Callable[[str, str], Quality | None] = lambda *_: None,
    ) -> None:
        self.speed, self.cells, self.quality = speed, cells, quality
        self.calls: list[tuple[str, str]] = []

    def __call__(self, side: Environment, question: Job, *_: Any, **__: Any) -> JobResult[Any]:
        if isinstance(question, PlanQuestion):
            cells = tuple(
                SideCell(
                    name=f"cell{index}",
                    params={"model": "m"},
                    threads=1,
                    isa="none",
                    limit_s=60,
                    estimate_s=1.0,
                    size_bytes=1000,
                    job=f"cell{index}",
                )
                for index in range(self.cells)
            )
            clock = records.clock(time.monotonic())
            plan = SidePlan(edgebench="1", python="3", suite_digest="s", seed=1, cells=cells, clock=clock)
            return JobResult(plan, None, 0.0, 0.0, 0.0, plan.clock)
        assert isinstance(question, RunQuestion)
        call = (side.label, question.job)
        self.calls.append(call)
        assert question.first == (self.calls.count(call) == 1)
        assert question.loops == (0 if question.first and side.label == "a" else 7)
        latency = self.speed(*call, len(self.calls))
        if isinstance(latency, str):
            return JobResult(None, latency, 0.0, 0.0, 0.0, None)
        result = records.inference((latency,) * 3, versions={"runtime": side.label}, quality=self.quality(*call))
        return JobResult(result, None, 0.0, 0.0, 0.0, result.clock)


class Quiet:
    def __init__(self) -> None:
        self.told: list[str] = []

    def note(self, text: str) -> None:
        self.told.append(text)


class _Calm:
    reason = None


@pytest.fixture
def judged(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., tuple[Comparison, Quiet]]:
    monkeypatch.setenv("EDGEBENCH_CACHE", str(tmp_path / "cache"))

    def run(script: Script, *, resume: bool = False, disturbed: object = _Calm) -> tuple[Comparison, Quiet]:
        monkeypatch.setattr(request, "check_protocol", lambda _: None)
        monkeypatch.setattr(request, "ask", script)
        monkeypatch.setattr(ab_runs, "ask", script)
        monkeypatch.setattr(ab_runs, "disturbance", lambda *_: disturbed)
        watch = Quiet()
        sides = [Environment(label, Path(label)) for label in "ab"]
        return run_ab(sides[0], sides[1], Request("s", (0,), resume=resume), Policy(), watch), watch

    return run


def noisy(seed: int, factor: Mapping[str, float]) -> Callable[[str, str, int], float]:
    rng = random.Random(seed)  # noqa: S311  # noise, no secret
    return lambda side, cell, _: 0.01 * rng.lognormvariate(0, 0.005) * (factor.get(cell, 1.0) if side == "b" else 1.0)


def test_an_unchanged_suite_passes_after_one_stage(judged: Callable[[Script], tuple[Comparison, Quiet]]) -> None:
    script = Script(noisy(1, {}))
    comparison, watch = judged(script)
    assert comparison.verdict is Verdict.PASS
    assert len(script.calls) == 6 * 2 + 6 * 20
    assert any("10 pairs of 6 benchmarks take about" in line for line in watch.told)
    assert {(entry.field, entry.base, entry.head) for entry in comparison.soft} == {("runtime", "a", "b")}


@pytest.mark.parametrize(
    ("factor", "verdict", "code", "word"),
    [(1.05, Verdict.REGRESSED, 1, "worse"), (0.95, Verdict.IMPROVED, 0, "better")],
)
def test_only_the_changed_cell_is_measured_again_and_told(
    judged: Callable[[Script], tuple[Comparison, Quiet]], factor: float, verdict: Verdict, code: int, word: str
) -> None:
    script = Script(noisy(2, {"cell3": factor}))
    comparison, watch = judged(script)
    changed = [finding.cell for finding in comparison.findings if finding.verdict is verdict]
    assert changed == ["cell3"]
    assert comparison.exit_code == code
    again = script.calls[6 * 2 + 6 * 20 :]
    assert {cell for _, cell in again} == {"cell3"}
    told = f"1 benchmark looks changed and is measured again on fresh runs: cell3 ({word})"
    assert told in watch.told


def test_runs_that_stayed_disturbed_are_told_where_they_decide(
    judged: Callable[..., tuple[Comparison, Quiet]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ab_runs, "MAX_REPEATS", 0)
    script = Script(noisy(2, {"cell3": 0.8}))

    class Loud:
        """Something else runs beside a few runs of the second stage."""

        @property
        def reason(self) -> str | None:
            return "other programs" if 6 * 22 < len(script.calls) <= 6 * 22 + 3 else None

    comparison, _ = judged(script, disturbed=Loud())
    (finding,) = [one for one in comparison.findings if one.verdict is Verdict.IMPROVED]
    assert (finding.cell, finding.disturbed_runs) == ("cell3", 3)
    runs = (finding.base_runs or 0) + (finding.head_runs or 0)
    assert f"disturbed runs: 3 of {runs}" in captured(verdict_table(comparison))
    assert f"disturbed runs: 3 of {runs}" in markdown(comparison)


def test_runs_alternate_in_blocks_of_four_in_a_random_order(
    judged: Callable[[Script], tuple[Comparison, Quiet]],
) -> None:
    script = Script(noisy(3, {}))
    judged(script)
    blocks = [script.calls[place : place + 4] for place in range(12, len(script.calls), 4)]
    patterns = {"".join(side for side, _ in block) for block in blocks}
    assert patterns == {"abba", "baab"}
    assert all(len({cell for _, cell in block}) == 1 for block in blocks)
    orders = {tuple(block[0][1] for block in blocks[place : place + 6]) for place in range(0, 30, 6)}
    assert len(orders) > 1


def test_a_side_that_cannot_run_a_cell_makes_it_incomparable(
    judged: Callable[[Script], tuple[Comparison, Quiet]],
) -> None:
    rest = noisy(4, {})

    def speed(side: str, cell: str, number: int) -> float | str:
        if side == "b" and cell == "cell1" and number > 30:
            return "the process was ended by SIGSEGV"
        if side == "b" and cell == "cell2":
            return "no such operator"
        return rest(side, cell, number)

    comparison, _ = judged(Script(speed))
    reasons = {finding.cell: finding.reason for finding in comparison.findings if finding.metric == "*"}
    assert reasons == {"cell1": "b: the process was ended by SIGSEGV", "cell2": "b: no such operator"}
    assert comparison.exit_code == 3


@pytest.mark.parametrize("sides", ["b", "ab"])
def test_a_gain_of_a_side_that_answers_otherwise_than_its_model_is_none(
    judged: Callable[[Script], tuple[Comparison, Quiet]], sides: str
) -> None:
    """Of one side it cannot be compared, and is not measured; of both it is no improvement."""
    bad = Quality(agreement=Agreement(cosine=0.2, top1=0.1, answers=32))
    script = Script(
        noisy(6, {"cell1": 0.8, "cell2": 0.8}),
        quality=lambda side, cell: bad if side in sides and cell == "cell1" else None,
    )
    comparison, _ = judged(script)
    assert [finding.cell for finding in comparison.findings if finding.verdict is Verdict.IMPROVED] == ["cell2"]
    if sides == "ab":
        (latency,) = [one for one in comparison.findings if (one.cell, one.metric) == ("cell1", "latency_s")]
        assert latency.verdict is Verdict.PASS
        assert latency.reason == "it answers otherwise than the model on both sides: no gain"
        assert comparison.cautions == ("wrong answers of cell1 (a gain there is none) in base and head",)
        return
    (unable,) = [finding for finding in comparison.findings if finding.cell == "cell1"]
    assert (unable.verdict, unable.metric) == (Verdict.INCOMPARABLE, "*")
    assert (unable.reason or "").startswith("head answers otherwise than the model")
    assert script.calls.count(("a", "cell1")) == 1


def test_what_is_stopped_goes_on_and_ends_as_if_it_had_not_been(
    judged: Callable[..., tuple[Comparison, Quiet]], tmp_path: Path
) -> None:
    whole, _ = judged(Script(noisy(2, {"cell3": 1.05})))
    speed = noisy(2, {"cell3": 1.05})

    def stopped(side: str, cell: str, number: int) -> float:
        if number == 90:
            raise KeyboardInterrupt
        return speed(side, cell, number)

    first, again = Script(stopped), Script(speed)
    with pytest.raises(KeyboardInterrupt):
        judged(first)
    again.calls += first.calls[:-1]  # the one that was stopped has left nothing
    resumed, watch = judged(again, resume=True)
    assert "89 runs are there already" in watch.told
    assert resumed == whole
    assert list((tmp_path / "cache" / "ab").iterdir()) == [], "the verdict is out"


def test_the_processor_is_waited_for_until_it_is_back_at_the_first_temperature() -> None:
    thermal = Thermal()
    slept: list[float] = []
    readings = iter([50.0, 60.0, 56.0, 52.9])
    thermal.wait(lambda: next(readings), slept.append)
    thermal.wait(lambda: next(readings), slept.append)
    assert (thermal.target_c, thermal.waited_s, slept) == (50.0, 2.0, [1.0, 1.0])
    thermal.wait(lambda: 90.0, slept.append)
    assert (thermal.gave_up, thermal.waited_s) == (1, 122.0)
    unknown = Thermal()
    unknown.wait(lambda: None, slept.append)
    unknown.wait(lambda: None, slept.append)
    assert (unknown.target_c, unknown.waited_s) == (None, 0.0)


def test_energy_of_a_run_is_that_of_the_widest_scope_or_the_one_that_was_asked_for() -> None:
    windows = (
        records.window("core", 10.0, passes=10),
        records.window("package", 20.0, passes=10),
        records.window("package", 40.0, passes=10),
    )
    result = records.inference((1.0, 3.0, 2.0), energy=Windows(windows=windows))
    widest, core = run_sample("energy_gross_j", result), run_sample("energy_gross_j.core", result)
    assert widest is not None
    assert (widest.value, widest.scope) == (3.0, "package")
    assert core is not None
    assert (core.value, core.scope) == (1.0, "core")
    assert run_sample("latency_s", result).value == 2.0  # type: ignore[union-attr]  # it is there
    assert run_sample("latency_s.p95", result).value == 0.5  # type: ignore[union-attr]  # it is there
    assert run_sample("power_w", result).value == 30.0  # type: ignore[union-attr]  # it is there
    assert run_sample("energy_gross_j", records.inference()) is None
    assert run_sample("peak_memory_bytes", records.inference()) is None


@pytest.mark.parametrize("spec", ["venv:/nowhere", "/nowhere", "registry.example/edgebench:1", ""])
def test_what_is_no_environment_is_refused(spec: str) -> None:
    with pytest.raises(UsageError, match="environment"):
        environment_of(spec, print)


def test_images_without_an_engine_or_a_name_are_refused_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    assert main(["ab", "image:a", "image:b", "smoke"]) == 2
    assert "no container engine runs here" in capsys.readouterr().err
    assert main(["ab", "image:", "image:b", "smoke"]) == 2
    assert "image:: names no image" in capsys.readouterr().err
    assert main(["ab", "image:a", "image:b", str(tmp_path / "none.toml")]) == 2
    assert "none.toml" in capsys.readouterr().err


def test_too_few_pairs_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ab", "a", "b", str(tmp_path), "--pairs", "5"]) == 2
    assert "fewer than 10 pairs" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.quiet
def test_a_real_environment_against_itself_does_not_regress_and_a_slower_one_does(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    suite = tmp_path / "one.toml"
    suite.write_text(SUITE.replace("copy-cache", "conv3x3"), encoding="utf-8")
    same = environment(tmp_path / "same")
    slow = environment(tmp_path / "slow", operator="conv3x3", share=0.5)
    arguments = [str(suite), "--metric", "latency_s", "--format", "json"]
    assert main(["ab", f"venv:{same}", f"venv:{same}", *arguments]) in {0, 4}
    assert "REGRESSED" not in [one["verdict"] for one in json.loads(capsys.readouterr().out)["findings"]]
    assert main(["ab", f"venv:{same}", f"venv:{slow}", *arguments]) == 1
    (finding,) = json.loads(capsys.readouterr().out)["findings"]
    assert 0.2 < finding["change"] < 1.0


def test_the_dry_run_asks_both_environments_and_runs_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    suite = tmp_path / "one.toml"
    suite.write_text(SUITE, encoding="utf-8")
    same = environment(tmp_path / "same")
    assert main(["ab", f"venv:{same}", f"venv:{same}", str(suite), "--dry-run"]) == 0
    told = capsys.readouterr().err
    assert "10 pairs of 1 benchmark take about" in told
    assert "+2.3 %" in told


MODELS = """
name = "own"
idle_s = 0.0
[measure]
warmup_passes = 2
passes = 8
values = 4
energy_windows = 0
[[benchmark]]
model = ["mobilenet_v2"]
variant = ["baseline", "ptq-static"]
backend = ["onnxruntime"]
"""


def convolutions(path: Path, count: int) -> Path:
    """Write a file of `count` convolutions in a row, whose values stay as large as they are."""
    weights = np.random.default_rng(0).normal(0, 1 / 12, (16, 16, 3, 3))
    weight = onnx.numpy_helper.from_array(weights.astype(np.float32), "w")
    nodes = [
        onnx.helper.make_node("Conv", ["x" if at == 0 else f"y{at - 1}", "w"], [f"y{at}"], pads=[1, 1, 1, 1])
        for at in range(count)
    ]
    ends = [onnx.helper.make_tensor_value_info(name, 1, [1, 16, 64, 64]) for name in ("x", f"y{count - 1}")]
    graph = onnx.helper.make_graph(nodes, "g", ends[:1], ends[1:], [weight])
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=9), path)
    return path


@pytest.mark.slow
def test_a_model_is_held_against_another_whatever_they_are_called(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    suite = tmp_path / "own.toml"
    suite.write_text(MODELS, encoding="utf-8")
    short, long = convolutions(tmp_path / "short.onnx", 2), convolutions(tmp_path / "long.onnx", 20)
    asked = [str(suite), "--metric", "latency_s", "--format", "json", "--threads", "1"]
    assert main(["ab", f"model:{short}", f"model:{long}", *asked]) == 1
    told = capsys.readouterr()
    (finding,) = json.loads(told.out)["findings"]
    assert (finding["cell"], finding["verdict"]) == ("model/onnxruntime", "REGRESSED")
    assert finding["change"] > 2
    assert "would be found" in told.err


@pytest.mark.parametrize(
    ("sides", "extra", "told"),
    [
        (("model:{0}", "{1}"), (), "a model is held against a model"),
        (("{1}", "{1}"), ("--shape", "1x3"), "--shape and --input are of models"),
        (("model:{0}", "model:{0}/none.onnx"), (), "cannot be read"),
        (("model:{0}", "model:{0}"), ("--shape", "1x2"), "has 2 sizes"),
    ],
)
def test_models_that_cannot_be_compared_are_refused_before_anything_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], sides: tuple[str, str], extra: tuple[str, ...], told: str
) -> None:
    suite = tmp_path / "own.toml"
    suite.write_text(MODELS, encoding="utf-8")
    file = convolutions(tmp_path / "short.onnx", 1)
    names = [side.format(file, sys.executable) for side in sides]
    assert main(["ab", *names, str(suite), *extra]) == 2
    assert told in capsys.readouterr().err


INSTALL = """
import pathlib, sys
venv = pathlib.Path(sys.argv[sys.argv.index("--venv") + 1])
print("asked for", sys.argv[sys.argv.index("--extras") + 1])
if not pathlib.Path(__file__).with_name("works").exists():
    sys.exit("no space left")
(venv / "bin").mkdir(parents=True)
(venv / "bin" / "python").symlink_to(sys.executable)
"""


def test_the_environment_of_a_revision_is_made_once_by_its_own_installer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clone = tmp_path / "clone"
    (clone / "bench" / "edgebench").mkdir(parents=True)
    (clone / "bench" / "edgebench" / "__init__.py").touch()
    (clone / "install.py").write_text(INSTALL, encoding="utf-8")
    monkeypatch.chdir(clone)
    monkeypatch.setenv("EDGEBENCH_CACHE", str(tmp_path / "cache"))
    git = ("git", "-c", "user.name=t", "-c", "user.email=t@example.org")
    for arguments in (("init", "-q"), ("add", "."), ("commit", "-qm", "one"), ("tag", "broken")):
        subprocess.run((*git, *arguments), check=True)
    (clone / "works").touch()
    for arguments in (("add", "."), ("commit", "-qm", "two")):
        subprocess.run((*git, *arguments), check=True)
    told: list[str] = []
    side = environment_of("rev:HEAD", told.append)
    assert side.python.is_file()
    assert told[1:] == ["asked for x86"]
    told.clear()
    assert environment_of("rev:HEAD", told.append) == side
    assert told == []
    with pytest.raises(UsageError, match=r"rev:broken: does not install \(the process failed: no space left\)"):
        environment_of("rev:broken", told.append)
    with pytest.raises(UsageError, match="rev:nowhere: git does not find it here"):
        environment_of("rev:nowhere", told.append)
