"""GGUF files: what their headers say, hostile and damaged ones in one sentence, and what cannot be had here."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.gguf_files import WIDE, write_model, write_small

from edgebench.backends.gguffile import read_gguf
from edgebench.backends.llamacpp import read_facts, refuse_larger
from edgebench.errors import BackendError
from edgebench.machine.memory import free_bytes

pytest.importorskip("gguf")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("gguf") / "model.gguf")


def test_a_header_says_what_the_model_is(model: Path) -> None:
    facts = read_gguf(model)
    assert (facts.architecture, facts.vocabulary, facts.precision) == ("llama", 256, "fp32")
    assert facts.has_tokenizer
    # Two embeddings, four layers of four square and three 1:3 matrices, and nine norms.
    assert facts.parameters == 2 * 256 * WIDE + 4 * 13 * WIDE * WIDE + 9 * WIDE
    # Keys and values of four layers, 256 numbers of two bytes each a token.
    assert facts.cache_bytes(100) == 2 * 4 * 256 * 2 * 100


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_header_is_one_sentence_or_read_within_bounds(
    model: Path, tmp_path: Path, data: st.DataObject
) -> None:
    whole = model.read_bytes()[:8192]
    if data.draw(st.booleans()):
        changed = whole[: data.draw(st.integers(0, len(whole)))]
    else:
        at = data.draw(st.integers(0, 4096))
        changed = whole[:at] + data.draw(st.binary(min_size=1, max_size=16)) + whole[at + 1 :]
    file = tmp_path / "damaged.gguf"
    file.write_bytes(changed)
    told = ""
    try:
        read_gguf(file)  # weights of kinds that nobody knows may be of any size
    except BackendError as error:
        told = str(error)
    assert told == "" or str(file) in told
    assert "\n" not in told


def test_a_file_without_weights_is_none(model: Path, tmp_path: Path) -> None:
    file = tmp_path / "empty.gguf"
    file.write_bytes(model.read_bytes()[:8] + bytes(8) + model.read_bytes()[16:])
    with pytest.raises(BackendError, match="it holds no weights"):
        read_gguf(file)


def test_a_file_cut_off_in_its_weights_says_how_much_is_missing(model: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(model.read_bytes()[:-1000])
    with pytest.raises(BackendError, match="1000 bytes of its weights are missing"):
        read_gguf(cut)


def test_a_model_larger_than_memory_is_refused_before_it_is_opened_with_what_fits(tmp_path: Path) -> None:
    free = free_bytes()
    assert free is not None
    elements = free // 2  # four bytes each: twice what is free, and half of it in eight bits
    file = write_small(tmp_path / "large.gguf", elements=elements // 64 * 64)
    with pytest.raises(BackendError, match=r"GB are free: (Q8_0|Q6_K) of the same model would fit"):
        refuse_larger(file, read_gguf(file), 128)


def test_a_context_longer_than_the_models_is_refused(tmp_path: Path) -> None:
    file = write_small(tmp_path / "short.gguf", context=512)
    with pytest.raises(BackendError, match="was made for 512 tokens, and prompt and answer take 513: ask for less"):
        read_facts(file, 513)
    assert read_facts(file, 512).context == 512


@pytest.mark.parametrize(("content", "words"), [(b"", "no whole GGUF file"), (b"GGUF", "no whole GGUF file")])
def test_the_command_line_refuses_a_file_that_is_none(tmp_path: Path, content: bytes, words: str) -> None:
    file = tmp_path / "none.gguf"
    file.write_bytes(content)
    done = edgebench("suite", "llm-own", "--model", str(file), "--dry-run")
    assert done.returncode == 2
    assert words in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_request_longer_than_the_context_is_refused_when_it_is_planned(tmp_path: Path, model: Path) -> None:
    file = write_small(tmp_path / "short.gguf", context=512)
    asked = ("suite", "llm-own", "--model", str(file), "--dry-run", "--prompt-tokens")
    done = edgebench(*asked, "64,500", "--generate", "13")
    assert done.returncode == 2
    assert f"--model {file}: was made for 512 tokens, and prompt and answer take 513: ask for less" in done.stderr
    assert done.stderr.count("\n") == 1
    assert edgebench(*asked, "64,500", "--generate", "12").returncode == 0
    assert edgebench("suite", "llm", "--prompt-tokens", "32768", "--dry-run").returncode == 2
    assert edgebench("suite", "llm-own", "--model", str(model), "--prompt-tokens", "600", "--dry-run").returncode == 0


def test_a_suite_of_single_passes_names_the_one_that_measures_gguf(model: Path) -> None:
    done = edgebench("suite", "smoke", "--model", str(model), "--dry-run")
    assert done.returncode == 2
    assert "'edgebench suite llm-own --model model.gguf' does" in done.stderr


def edgebench(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "edgebench", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, env=os.environ)
