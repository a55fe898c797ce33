"""llama.cpp in the images: compiled for several processors, it takes what the one it runs on has, and measures."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgebench.report.io import parse_report
from tests.container.engine import N150, PI, docker, run
from tests.gguf_files import write_model

pytestmark = pytest.mark.container

ARM64 = ("--platform=linux/arm64", "--init", "--network=none")
FEATURES = "from edgebench.backends.llamacpp import library; print(library()[0].llama_print_system_info().decode())"


def compiled_for(image: str, *options: str) -> str:
    return docker("run", "--rm", *options, "--entrypoint=python3", image, "-c", FEATURES).stdout


def test_a_pi_5s_processor_multiplies_with_dot_products_and_one_of_older_boards_with_what_it_has() -> None:
    """As QEMU knows them: all that arm64 has, where nothing is said."""
    assert "DOTPROD = 1" in compiled_for(PI, *ARM64)
    x86 = compiled_for(N150)
    assert "SSE3 = 1" in x86
    assert ("AVX2 = 1" in x86) == (" avx2 " in Path("/proc/cpuinfo").read_text(encoding="utf-8"))


def test_a_pi_4_measures_a_model_of_ones_own_and_quantises_it(tmp_path: Path) -> None:
    """Its processor has no dot products: wrong instructions would end the process."""
    write_model(tmp_path / "tiny.gguf", seed=1, width=128)
    # Of the book it would read 2048 tokens, minutes of emulation; and two threads would wait for each other.
    (tmp_path / "text").write_text("A board reads this text, and it is asked what comes next. " * 9, encoding="utf-8")
    given = ("--volume", f"{tmp_path}:/given:ro", "--env=QEMU_CPU=cortex-a72", "--tmpfs=/cache", "--cpuset-cpus=0")
    model = ("--model=/given/tiny.gguf", "--text=/given/text", "--only=*/q4_0/*")
    few = ("--processes=1", "--threads=1", "--prompt-tokens=16", "--generate=4")
    code, report, progress = run(PI, "suite", "llm-own", *model, *few, options=(*ARM64, *given), timeout_s=590)
    assert code == 0, progress
    parse_report(json.dumps(report).encode(), "stdout")
    (cell,) = [cell for cell in report["benchmarks"] if cell["status"] == "ok"]
    assert cell["generated"]["repeats"]
    assert cell["metrics"]["agreement_top1"]["value"] > 0.1, "of random weights in four bits; chance is 0.004"
    assert cell["metrics"]["decode_tokens_per_s"]["median"] > 0
    assert "DOTPROD" not in cell["settings"]["compiled_for"]
    assert [phase["phase"] for phase in cell["artifact"]["ledger"]] == ["quantise"]
    assert "emulated" in [warning["code"] for warning in cell["warnings"]]


def test_a_suite_whose_models_the_image_lacks_says_where_they_come_from() -> None:
    """CI's image holds those of `smoke` alone; a release's also those of `full` and `llm`."""
    code, report, said = run(PI, "suite", "llm", options=ARM64)
    assert (code, report) == (2, None)
    (line,) = said.splitlines()
    assert line == (
        "edgebench: /opt/edgebench/bundles: holds bundles of smoke, none of 'llm': make one where torch is, with "
        "'edgebench prepare llm -o DIR', and name it with --bundle DIR"
    )
