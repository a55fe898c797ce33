"""Language models by the command line: known power by the token, one answer whatever happens, reasons in a sentence."""

from __future__ import annotations

import json
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.gguf_files import write_model, write_small
from tests.session.conftest import Edgebench
from tests.session.kills import records, start, until

pytest.importorskip("gguf")
pytest.importorskip("llama_cpp", reason="llama-cpp-python is not installed: install.py --extras llama")
pytestmark = pytest.mark.session

SUITE = """
name = "own-llm"
idle_s = 1.0
resources_hz = 0.0
[measure]
processes = 3
requests = 2
quality_tokens = 512
energy_window_s = 1.0
[[benchmark]]
kind = "generate"
model = ["byte_llama"]
variant = ["baseline", "q8_0"]
backend = ["llama.cpp"]
threads = [1]
prompt_tokens = [48]
generate = 24
"""


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    path = tmp_path / "own-llm.toml"
    path.write_text(SUITE, encoding="utf-8")
    return path


def only(report: dict[str, Any]) -> dict[str, Any]:
    (cell,) = report["benchmarks"]
    assert cell["status"] == "ok", cell
    found: dict[str, Any] = cell
    return found


@pytest.mark.quiet
@pytest.mark.parametrize(("width", "batch"), [(128, 1), (256, 1), (512, 1), (256, 4)])
def test_at_seven_watts_a_token_of_each_phase_costs_seven_joules_a_second(
    edgebench: Edgebench, seven_watts: Path, suite: Path, tmp_path: Path, width: int, batch: int
) -> None:
    model = write_model(tmp_path / "model.gguf", seed=width, width=width)
    asked = ("--processes", 1, "--only", "*/baseline/*", "--batch", batch)
    done = edgebench("suite", suite, "--model", model, "--sysfs", seven_watts, *asked)
    cell = only(done.report)
    metrics, phases = cell["metrics"], {"prompt": 48 * batch, "generated": 23 * batch}
    assert cell["params"]["batch"] == cell["generated"]["batch"] == batch
    assert cell["generated"]["repeats"]
    for phase, tokens in phases.items():
        name = f"energy_per_{phase}_token_j"
        figure = metrics[f"{name}.package"]
        seconds = [one for run in figure["pass_s"] for one in run]
        joules = [one for run in figure["runs"] for one in run]
        assert joules == pytest.approx([7.0 * one for one in seconds], rel=0.01)
        assert metrics[name] == figure
        net = name.replace("_j", "_net_j")
        # At rest it draws the same 7 W, so that nothing is left above: a figure that says so, or is withheld.
        assert net in metrics or "withheld" in cell["missing"][net]["reason"]
        assert tokens * figure["median"] < metrics["energy_gross_j"]["median"]
    assert metrics["energy_gross_j"]["median"] == pytest.approx(
        sum(tokens * metrics[f"energy_per_{phase}_token_j"]["median"] for phase, tokens in phases.items()), rel=0.01
    )
    # Tokens a second are of all requests, a step is one token of each.
    for time, rate, tokens in (
        ("time_to_first_token_s", "prefill_tokens_per_s", 48 * batch),
        ("time_per_token_s", "decode_tokens_per_s", batch),
    ):
        pairs = zip(metrics[time]["runs"][0], metrics[rate]["runs"][0], strict=True)
        assert [one * other for one, other in pairs] == pytest.approx([tokens] * 2)
    assert metrics["decode_power_w"]["median"] == pytest.approx(7.0, rel=0.01)
    assert metrics["peak_memory_bytes"]["median"] > metrics["peak_memory_without_cache_bytes"]["median"] > 0


def test_a_batch_is_a_benchmark_of_its_own_and_its_requests_get_the_tokens_that_they_get_alone(
    edgebench: Edgebench, no_energy: Path, suite: Path, tmp_path: Path
) -> None:
    model, target = write_model(tmp_path / "model.gguf", seed=2), tmp_path / "batches.json"
    common = ("suite", suite, "--model", model, "--sysfs", no_energy, "--processes", 1, "--only", "*/baseline/*")
    assert edgebench(*common, "--batch", "1,3", "-o", target).code == 0
    cells = {cell["params"]["batch"]: cell for cell in read(target)["benchmarks"]}
    alone, batch = cells[1], cells[3]
    assert batch["name"] == alone["name"].replace("/t1/", "/b3/t1/")
    assert batch["generated"]["tokens"] == alone["generated"]["tokens"], "the same prompt comes first"
    assert batch["generated"]["alone"] == [24, 24, 24]
    assert [len(tokens) for tokens in batch["generated"]["others"]] == [24, 24]
    assert "alone" not in alone["generated"]
    assert batch["metrics"]["perplexity"]["value"] == alone["metrics"]["perplexity"]["value"]
    room = [cell["metrics"]["kv_cache_bytes"]["value"] for cell in (alone, batch)]
    assert room[1] == 3 * room[0]
    shown = edgebench("show", target, "--all").stdout
    assert "model in 2 settings" in shown, "which model it is stands above the groups"
    assert "batch 3" in shown
    assert "latency and gross energy are of 3 requests at once; tokens a second" in " ".join(shown.split())
    assert "of a batch, requests are made at once" in " ".join(shown.split())
    planned = edgebench(*common, "--batch", "3", "--dry-run").stdout
    assert "1 benchmark, text alice" in planned
    assert "3 x (48 + 24 tokens)" in planned
    again = tmp_path / "other.json"
    other = read(target)
    other["benchmarks"][0]["params"]["batch"] = 2
    again.write_text(json.dumps(other), encoding="utf-8")
    verdict = edgebench("compare", target, again, "--metric", "decode_tokens_per_s")
    assert "batch differs: 1 and 2" in verdict.stdout
    many = edgebench(*common, "--batch", "257", "--dry-run")
    assert "llama.cpp answers 256 requests at a time at most, not 257" in " ".join(many.stdout.split())
    wrong = edgebench("suite", "smoke", "--batch", "4", "--dry-run")
    assert (wrong.code, wrong.stderr.count("\n")) == (2, 1)
    assert "--batch is about language models" in wrong.stderr


def test_the_same_tokens_and_perplexity_in_every_run_and_across_resume(
    edgebench: Edgebench, environment: dict[str, str], suite: Path, tmp_path: Path
) -> None:
    model, target = write_model(tmp_path / "model.gguf", seed=2), tmp_path / "killed.json"
    process = start(suite, target, environment, "--model", model)
    until(lambda: len(records(tmp_path)) >= 2)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    empty = suite.parent / "sysfs"
    arguments = ("suite", suite, "--model", model, "--sysfs", empty)
    assert edgebench(*arguments, "-o", target, "--resume").code == 0
    fresh = edgebench(*arguments, "-o", tmp_path / "fresh.json")
    assert fresh.code == 0, fresh.stderr
    assert "decode_tokens_per_s" in edgebench("export", target, "--format", "csv").stdout
    cells = [{cell["name"]: cell for cell in read(path)["benchmarks"]} for path in (target, tmp_path / "fresh.json")]
    for name, cell in cells[0].items():
        assert cell["status"] == "ok", cell
        other = cells[1][name]
        assert cell["generated"]["repeats"], "every request of every run"
        assert cell["generated"]["tokens"] == other["generated"]["tokens"]
        assert len(cell["generated"]["tokens"]) == 24
        assert cell["metrics"]["perplexity"]["value"] == other["metrics"]["perplexity"]["value"]
        assert "no energy source" in cell["missing"]["energy_per_generated_token_j"]["reason"]
    quantised = next(cell for name, cell in cells[0].items() if "q8_0" in name)
    assert 0.5 < quantised["metrics"]["agreement_top1"]["value"] <= 1
    assert [phase["phase"] for phase in quantised["artifact"]["ledger"]] == ["quantise"]
    assert edgebench("compare", target, tmp_path / "fresh.json", "--metric", "perplexity").code in (0, 4)
    page = tmp_path / "page.html"
    shown = " ".join(edgebench("show", target).stdout.split())
    assert "tokens/s" in shown
    assert "% of tokens as the highest precision." in shown, "what it lost stands beside what it won"
    assert edgebench("show", target, "--html", page).code == 0
    assert "Language models" in page.read_text(encoding="utf-8")
    told = {
        "pyperf": "/generate",
        "bencher": "decode_tokens_per_s",
        "github-action-benchmark": "time_to_first_token_s",
        "openmetrics": "decode_tokens",
    }
    for form, word in told.items():
        exported = edgebench("export", target, "--format", form)
        assert exported.code == 0, exported.stderr
        assert word in exported.stdout
    folder = tmp_path / "reports"
    folder.mkdir()
    for path in (target, tmp_path / "fresh.json"):
        shutil.copy(path, folder)
    trend = edgebench("trend", folder, "--metric", "decode_tokens_per_s", "--format", "json")
    assert trend.code == 0, trend.stderr
    assert "q8_0" in trend.stdout


def test_a_bundle_brings_one_file_and_the_board_quantises_it(
    edgebench: Edgebench, suite: Path, no_energy: Path, tmp_path: Path
) -> None:
    pytest.importorskip("torch", reason="torch makes the model: python3 install.py --extras torch")
    bundle = tmp_path / "bundle"
    recipe = "[recipe.default]\ntrain_size = 64\npretrain_epochs = 0\nepochs = 0\n[[benchmark]]"
    suite.write_text(SUITE.replace("[[benchmark]]", recipe), encoding="utf-8")
    done = edgebench("prepare", suite, "--platform", "pi", "-o", bundle, "--sysfs", no_energy)
    assert done.code == 0, done.stderr
    assert len(list(bundle.rglob("*.gguf"))) == 1
    done = edgebench("suite", suite, "--bundle", bundle, "--processes", 1, "--sysfs", no_energy)
    assert done.code == 0, done.stderr
    cells = {cell["params"]["variant"]: cell for cell in done.report["benchmarks"]}
    ledgers = {
        name: [(phase["phase"], phase["cached"]) for phase in cell["artifact"]["ledger"]]
        for name, cell in cells.items()
    }
    assert ledgers["q8_0"] == [*ledgers["baseline"], ("quantise", False)]
    assert all(cached for _, cached in ledgers["baseline"])
    sizes = {name: cell["metrics"]["size_bytes"]["value"] for name, cell in cells.items()}
    assert sizes["q8_0"] < sizes["baseline"] / 3
    assert cells["q8_0"]["metrics"]["agreement_top1"]["value"] > 0.5, "beside what torch answered on the workstation"
    assert cells["q8_0"]["artifact"]["prepared_on"]["software"]["torch"]


def read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def test_what_cannot_be_had_is_a_sentence_in_the_report(edgebench: Edgebench, no_energy: Path, tmp_path: Path) -> None:
    model = write_small(tmp_path / "mute.gguf", name="mystery")
    text = tmp_path / "text.txt"
    text.write_text("some text", encoding="utf-8")
    common = ("suite", "llm-own", "--model", model, "--sysfs", no_energy, "--only", "*/baseline/*", "--processes", 1)
    done = edgebench(*common, "--prompt-tokens", 500, "--generate", 13)
    assert done.code == 2
    assert "was made for 512 tokens, and prompt and answer take 513" in done.stderr
    done = edgebench(*common, "--generate", 13)
    (cell,) = done.report["benchmarks"]
    assert (done.code, cell["status"]) == (1, "failed")
    assert "llama.cpp refuses to load" in cell["reason"]
    assert "(unknown model architecture: 'mystery'): convert the model again" in cell["reason"]
    done = edgebench(*common, "--generate", 1)
    assert (done.code, done.stderr.count("\n")) == (2, 1)
    assert "argument --generate: '1' is not a whole number from 2 to 1000000" in done.stderr
    assert edgebench(*common, "--text", tmp_path / "none.txt").code == 2
    for content, why in ((b" \n", "is empty: give a text"), (b"\xff\xfe\x80", "is no text in UTF-8")):
        text.write_bytes(content)
        done = edgebench(*common, "--text", text)
        assert (done.code, done.stderr.count("\n")) == (2, 1)
        assert why in done.stderr
