"""A language model asked without a pause on a board that throttles: known power by the token, cold and hot."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.gguf_files import write_model
from tests.session.conftest import Edgebench
from tests.session.live import Session, board, series
from tests.simulators import powercap as simulator

pytest.importorskip("gguf")
pytest.importorskip("llama_cpp", reason="llama-cpp-python is not installed: install.py --extras llama")
pytestmark = [pytest.mark.session, pytest.mark.quiet]

SUITE = """
name = "asked-without-a-pause"
idle_s = 0.0
resources_hz = 4.0
[measure]
processes = 1
sustained_s = 16.0
# A quarter of sixteen seconds has four short requests with marks of their own: a real load has sixty.
energy_limit = 1.0
[[benchmark]]
kind = "sustained"
model = ["byte_llama"]
backend = ["llama.cpp"]
threads = [1]
prompt_tokens = [256]
generate = 96
"""


@pytest.fixture
def throttling(tmp_path: Path) -> Iterator[tuple[Path, Path, dict[str, Path]]]:
    """A board with heat, clock, throttle counter and a live energy counter at 7 W: its root, the meter, its files."""
    if (reason := simulator.unavailable()) is not None:
        pytest.skip(reason)
    root = tmp_path / "sys"
    files = board(root)
    with simulator.powercap(tmp_path / "meter", simulator.Options(power=7.0, range=262_144.0)) as tree:
        (root / "class/powercap").symlink_to(tree.root / "class/powercap")
        yield root, tree.root / "control", files


def test_a_board_that_throttles_costs_more_joules_a_token_when_hot(
    edgebench: Edgebench,
    environment: dict[str, str],
    throttling: tuple[Path, Path, dict[str, Path]],
    tmp_path: Path,
) -> None:
    root, meter, files = throttling
    model = write_model(tmp_path / "model.gguf", seed=3)
    session = Session(tmp_path, SUITE, environment, "--model", model, "--sysfs", root)
    session.worker()
    time.sleep(9)
    meter.write_text("power 10", encoding="ascii")
    for name, value in {"core_throttle_count": 9, "temp": 95_000, "scaling_cur_freq": 2_400_000}.items():
        files[name].write_text(f"{value}\n", encoding="ascii")
    report = session.report()
    (cell,) = report["benchmarks"]
    (run,) = cell["sustained"]
    metrics = cell["metrics"]
    assert cell["name"] == "model/baseline/llama.cpp/fp32/t1/p256-g96/sustained"
    assert cell["params"]["sustained_s"] == 16
    assert (cell["params"]["prompt_tokens"], cell["params"]["generate"]) == (256, 96)
    assert run["verdict"] == "throttled"
    assert metrics["onset_s"]["mean"] == run["onset_s"]
    heat = series(run, "temperature_c")
    assert (heat[0][1], heat[-1][1]) == (45, 95)

    # A request is what it reads and what it generates; whole requests only, each with the same tokens.
    assert cell["generated"]["repeats"]
    assert len(cell["generated"]["tokens"]) == 96
    for phase in ("", ".cold", ".hot"):
        reading_s = 256 / metrics[f"prefill_tokens_per_s{phase}"]["mean"]
        generating_s = 95 / metrics[f"decode_tokens_per_s{phase}"]["mean"]
        request_s = 1 / metrics[f"throughput_per_s{phase}"]["mean"]
        assert 0.5 * request_s < reading_s + generating_s < 1.05 * request_s, "beside it: reading the meter"
    rates = series(run, "decode_tokens_per_s")
    assert [at for at, _ in rates] == [at for at, _ in series(run, "prefill_tokens_per_s")]
    assert min(rate for _, rate in rates) <= metrics["decode_tokens_per_s"]["mean"] <= max(rate for _, rate in rates)

    # Joules of each token are its seconds at the power that the meter had then.
    for phase, watts in (("cold", 7), ("hot", 10)):
        assert metrics[f"power_w.{phase}"]["mean"] == pytest.approx(watts, rel=0.02)
        for name in ("energy_per_prompt_token_j", "energy_per_generated_token_j"):
            joules = metrics[f"{name}.package.{phase}"]
            assert joules == metrics[f"{name}.{phase}"]
            seconds = joules["pass_s"][0]
            expected = watts * sum(seconds) / len(seconds)
            assert joules["mean"] == pytest.approx(expected, abs=4 * joules["uncertainty"], rel=0.02)
    changes = run["hot_over_cold"]
    for name in ("energy_per_prompt_token_j", "energy_per_generated_token_j", "energy_gross_j"):
        assert changes[f"{name}.package"]["uncertainty"] > 0
    assert changes["decode_tokens_per_s"]["ratio"] == pytest.approx(
        metrics["decode_tokens_per_s.hot"]["mean"] / metrics["decode_tokens_per_s.cold"]["mean"]
    )
    assert "prefill_tokens_per_s" in changes

    assert " tokens/s hot, " in edgebench("show", session.target).stdout
    shown = edgebench("show", session.target, "--all").stdout
    assert "throttled from" in shown
    assert "generating" in shown
    page = tmp_path / "page.html"
    assert edgebench("show", session.target, "--html", page).code == 0
    drawn = page.read_text(encoding="utf-8")
    assert all(f"{panel}, tokens" in drawn for panel in ("Reading the prompt", "Generating"))
    assert edgebench("validate", session.target).code == 0
    compared = edgebench("compare", session.target, session.target, "--metric", "decode_tokens_per_s.hot")
    assert compared.code == 3, "quarters of one run are no runs"
    assert "one run tells nothing of how runs differ" in compared.stdout


def test_the_load_that_ships_is_for_language_models(edgebench: Edgebench, no_energy: Path, tmp_path: Path) -> None:
    model = write_model(tmp_path / "model.gguf", width=64)
    suite = tmp_path / "short.toml"
    done = edgebench("suite", "--print", "llm-sustained")
    assert done.code == 0, done.stderr
    text = done.stdout.replace("sustained_s = 600.0", "sustained_s = 8.0").replace("rest_s = 120.0", "rest_s = 0.0")
    suite.write_text(text, encoding="utf-8")
    planned = edgebench("suite", suite, "--model", model, "--dry-run")
    assert "p128-g64/sustained" in planned.stdout
    assert "openvino-genai" not in planned.stdout, "it opens no such file"
    done = edgebench("suite", suite, "--model", model, "--sysfs", no_energy, "--threads", 1, "--generate", 8)
    assert done.code == 0, done.stderr
    (cell,) = done.report["benchmarks"]
    assert cell["metrics"]["decode_tokens_per_s.hot"]["mean"] > 0
    assert "perplexity" not in cell["metrics"], "a load reads no text beside its requests"
    assert "no energy source" in cell["missing"]["energy_per_generated_token_j"]["reason"]
    refused = edgebench("suite", "sustained", "--model", model, "--dry-run")
    assert refused.code == 2
    assert "measures no such file: 'edgebench suite llm-own --model model.gguf' does" in refused.stderr
