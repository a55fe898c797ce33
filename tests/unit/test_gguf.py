"""GGUF files: what their headers say, hostile and damaged ones in one sentence, and what cannot be had here."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.gguf_files import WIDE, header, text, write_model, write_small

from edgebench.backends.gguffile import read_gguf
from edgebench.backends.llamacpp import read_facts, too_large
from edgebench.commands.main import main
from edgebench.errors import BackendError
from edgebench.machine.memory import free_bytes
from edgebench.plan.own import BringYourOwn, why_not_own

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


def test_a_model_larger_than_memory_is_refused_before_it_is_opened_and_what_fits_is_measured(tmp_path: Path) -> None:
    free = free_bytes()
    assert free is not None
    elements = free // 2  # four bytes each: twice what is free, and half of it in eight bits
    file = write_small(tmp_path / "large.gguf", elements=elements // 64 * 64)
    with pytest.raises(BackendError, match=r"GB are free: (Q8_0|Q6_K) of the same model would fit"):
        read_facts(file, 128)
    own = BringYourOwn(file, "gguf", "digest", gguf=read_gguf(file))
    assert "would fit" in str(why_not_own(own, "gguf", "baseline", 128))
    assert why_not_own(own, "gguf", "q4_0", 128) is None
    assert too_large(file, read_gguf(file), 128, "fp16") is not None


def test_a_batch_whose_caches_are_larger_than_memory_is_refused(tmp_path: Path) -> None:
    file = write_small(tmp_path / "small.gguf", context=512)
    free, each = free_bytes(), read_gguf(file).cache_bytes(512)
    assert free is not None
    assert each is not None
    assert read_facts(file, 512).context == 512
    with pytest.raises(BackendError, match=r"GB are free: ask for fewer tokens \(--batch"):
        read_facts(file, 512, free // each + 1)


def test_a_context_longer_than_the_models_is_refused(tmp_path: Path) -> None:
    file = write_small(tmp_path / "short.gguf", context=512)
    with pytest.raises(BackendError, match="was made for 512 tokens, and prompt and answer take 513: ask for less"):
        read_facts(file, 513)
    assert read_facts(file, 512).context == 512


def holding(content: bytes) -> Callable[[Path], object]:
    """Return what writes a file of this content."""
    return lambda path: path.write_bytes(content)


def first_of_two(path: Path) -> None:
    write_small(path, parts=2)
    write_small(path.with_name("model-00002-of-00002.gguf"), parts=2)


_KEY = text("general.architecture")
REFUSED: dict[str, tuple[Callable[[Path], object], str]] = {
    "empty": (holding(b""), "no whole GGUF file"),
    "magic": (holding(b"GGUF"), "no whole GGUF file"),
    "other": (holding(b"PK\3\4" + bytes(100)), "it does not begin with GGUF"),
    "new": (holding(b"GGUF" + struct.pack("<IQQ", 9, 1, 1)), "is GGUF version 9"),
    "no-weights": (holding(header(0, 0)), "it holds no weights"),
    "tensors": (holding(header(1 << 63, 0)), "it claims 9223372036854775808 tensors"),
    "entries": (holding(header(1, (1 << 64) - 1)), "and 18446744073709551615 entries"),
    "key": (holding(header(1, 1, struct.pack("<Q", 1 << 62))), "a name of 4611686018427387904 bytes"),
    "value": (holding(header(1, 1, _KEY + struct.pack("<IQ", 8, 1 << 62))), "its header ends early"),
    "names": (holding(header(1, 1, _KEY + struct.pack("<IIQ", 9, 8, 1 << 62))), "a list of 4611686018427387904 names"),
    "numbers": (holding(header(1, 1, _KEY + struct.pack("<IIQ", 9, 4, 1 << 62))), "its header ends early"),
    "nested": (holding(header(1, 1, _KEY + struct.pack("<IIQ", 9, 9, 1))), "an array of type 9"),
    "rank": (holding(header(1, 0, text("t") + struct.pack("<I", 1 << 31))), "has 2147483648 dimensions"),
    "shape": (holding(header(1, 0, text("t") + struct.pack("<IqIQ", 1, -1, 0, 0))), "has an impossible shape"),
    "offset": (holding(header(1, 0, text("t") + struct.pack("<IQIQ", 1, 8, 0, 1 << 62))), "its weights are missing"),
    "cut": (lambda path: path.write_bytes(write_model(path).read_bytes()[:-1000]), "1000 bytes of its weights"),
    "part": (lambda path: write_small(path, parts=2), "holds one part of a model in 2 files"),
    "parts": (first_of_two, "holds one part of a model in 2 files"),
    "huge": (lambda path: write_small(path, elements=1 << 40), "GB are free: use a model with fewer weights"),
    "folder": (Path.mkdir, "is no file"),
    "pipe": (os.mkfifo, "is no file"),
    "missing": (Path.exists, "No such file"),
    "loop": (lambda path: path.symlink_to(path), "Too many levels of symbolic links"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_the_command_line_refuses_a_file_that_is_none(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    make, words = REFUSED[name]
    file = tmp_path / "model-00001-of-00002.gguf"
    make(file)
    assert main(["suite", "llm-own", "--model", str(file), "--dry-run"]) == 2
    told = capsys.readouterr().err
    assert words in told
    assert str(file) in told
    assert told.count("\n") == 1


@pytest.mark.parametrize("make", [os.mkfifo, Path.mkdir])
def test_a_text_that_is_no_file_is_refused(
    make: Callable[[Path], None], model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make(tmp_path / "text")
    assert main(["suite", "llm-own", "--model", str(model), "--text", str(tmp_path / "text"), "--dry-run"]) == 2
    assert "is no file: give the path of a text" in capsys.readouterr().err


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
