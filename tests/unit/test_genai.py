"""OpenVINO GenAI on a folder that is made here: the network's own answers, a tokenizer of bytes, coarser weights."""

from __future__ import annotations

import shutil
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.batches import check_batch
from tests.gguf_files import weights
from tests.unit.records import window

from edgebench.backends.base import LoadSpec
from edgebench.backends.decoder import stamps_for
from edgebench.errors import BackendError
from edgebench.measure.generate import without
from edgebench.measure.messages import TextJob
from edgebench.measure.reading import prompts_of
from edgebench.measure.results import Windows

PROMPT = tuple(b"Alice was beginning to get very tired of sitting by her sister on the bank")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("openvino_genai", reason="openvino-genai is not installed: the extra genai brings it")
    from edgebench.artifacts.convert.genai import write_genai

    made = tmp_path_factory.mktemp("genai")
    write_genai(weights(2), made)
    return made


def opened(folder: Path, precision: str = "fp32") -> Any:
    from edgebench.backends.genai import decoder

    return decoder(LoadSpec(folder, "genai", 1, precision), 256)


def test_it_answers_as_the_network_does_and_stamps_every_token(folder: Path) -> None:
    torch = pytest.importorskip("torch")
    from edgebench_suites.zoo import build

    module, _ = build("byte_llama", num_classes=256, seed=1)
    module.load_state_dict({name: torch.from_numpy(array) for name, array in weights(2).items()})
    request = opened(folder).request((PROMPT,), 16)
    stamps = stamps_for(16)
    (found,) = request.stamped(stamps)
    assert all(earlier < later for earlier, later in pairwise(stamps))
    assert request() == [found]
    assert request.prefill() == [found[0]]
    with torch.inference_mode():
        whole, _ = module(torch.tensor([[*PROMPT, *found[:-1]]]))
    assert found == whole[0, len(PROMPT) - 1 :].argmax(-1).tolist()
    assert len(set(found)) > 4, "an answer that never changes would prove nothing"
    told = request.decoder.logits(PROMPT, 10)
    np.testing.assert_allclose(told, whole[0, 10 : len(PROMPT)].numpy(), atol=1e-3, rtol=1e-3)


def test_a_batch_is_answered_as_its_requests_alone_are_with_a_stamp_a_step(folder: Path) -> None:
    held = opened(folder)
    check_batch(held, 3)
    stamps = stamps_for(12)
    held.request((PROMPT, PROMPT[::-1]), 12).stamped(stamps)
    assert all(earlier < later for earlier, later in pairwise(stamps))


def test_its_tokenizer_is_one_of_bytes(folder: Path) -> None:
    held = opened(folder)
    text = "Curiouser \u2013 and curiouser!"
    assert held.tokens_of(text.encode()) == list(text.encode())
    assert held.begin is None
    assert held.vocabulary == 256
    assert held._pipeline.get_tokenizer().decode(list(text.encode())) == text


@pytest.mark.parametrize(("bits", "most"), [(8, 0.31), (4, 0.22)])
def test_coarser_weights_are_smaller_and_answer_alike(folder: Path, tmp_path: Path, bits: int, most: float) -> None:
    import shutil

    from edgebench.compress.weights import compress_openvino

    made = tmp_path / "made"
    shutil.copytree(folder, made)
    compress_openvino(folder / "openvino_model.xml", made / "openvino_model.xml", bits)
    assert (made / "openvino_model.bin").stat().st_size < most * (folder / "openvino_model.bin").stat().st_size
    held = opened(made, f"int{bits}")
    plain, coarse = (one.logits(PROMPT, 0) for one in (opened(folder), held))
    assert np.corrcoef(plain.ravel(), coarse.ravel())[0, 1] > (0.99 if bits == 8 else 0.9)
    assert len(held.request((PROMPT,), 8)()[0]) == 8


def test_a_folder_that_is_none_and_a_request_that_is_too_long_are_a_sentence(folder: Path, tmp_path: Path) -> None:
    from edgebench.backends.genai import decoder

    with pytest.raises(BackendError, match=r"openvino_model\.xml \(No such file"):
        opened(tmp_path)
    with pytest.raises(BackendError, match="was made for 32768 tokens"):
        decoder(LoadSpec(folder, "genai", 1, "fp32"), 32_769)


def test_a_folder_without_tokenizer_answers_to_token_ids_and_says_why_it_reads_no_text(
    folder: Path, tmp_path: Path
) -> None:
    for file in folder.iterdir():
        if "tokenizer" not in file.name:
            shutil.copy(file, tmp_path)
    held = opened(tmp_path)
    (answer,) = held.request(prompts_of(held, TextJob(), 16, 1, seed=1), 4)()
    assert len(answer) == 4
    with pytest.raises(BackendError, match="the folder has no tokenizer"):
        held.tokens_of(b"a")


def test_generating_is_what_a_request_takes_more_than_reading() -> None:
    whole = Windows(windows=(window("package", 80.0, passes=10, seconds=10.0),), discarded=1)
    prefill = Windows(windows=(window("package", 20.0, passes=10, seconds=2.0),))
    (decode,) = without(whole, prefill).windows
    assert decode.energy_j == pytest.approx(6.0)
    assert decode.seconds == pytest.approx(0.8)
    assert decode.uncertainty_j == pytest.approx(np.hypot(0.8 / 10, 0.2 / 10))
    assert decode.systematic_j == pytest.approx(
        whole.windows[0].systematic_j / 10 - prefill.windows[0].systematic_j / 10
    )
    lost = without(prefill, whole)
    assert lost.windows == ()
    assert "ask for more tokens" in next(iter(lost.failed.values()))
