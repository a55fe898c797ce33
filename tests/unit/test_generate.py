"""Generating with llama.cpp: the library's own tokens and perplexity, phases apart, and joules of a request."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.batches import check_batch
from tests.gguf_files import weights, write_model
from tests.unit.records import window

from edgebench.backends.base import LoadSpec
from edgebench.backends.decoder import Generation
from edgebench.backends.llamacpp import decoder, library
from edgebench.compress.quantise_gguf import quantise_gguf
from edgebench.measure.generate import joined
from edgebench.measure.messages import ReadJob, TextJob
from edgebench.measure.reading import WINDOW, Answers, prompts_of, read, save_answers
from edgebench.measure.results import Windows
from edgebench_suites.data.text import test_text as book

pytest.importorskip("gguf")
NEEDS = "llama-cpp-python is not installed: python3 install.py --extras llama compiles it"
PROMPT = tuple(b"Alice was beginning to get very tired of sitting by her sister on the bank")


@pytest.fixture(scope="module")
def llama() -> Any:
    pytest.importorskip("llama_cpp", reason=NEEDS)
    return library()[0]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory, llama: Any) -> Path:  # noqa: ARG001  # skips first
    return write_model(tmp_path_factory.mktemp("gguf") / "model.gguf", seed=2)


def opened(path: Path, context: int = 512, sequences: int = 1) -> Any:
    return decoder(LoadSpec(path, "gguf", 1, "fp32", sequences=sequences), context)


def test_greedy_tokens_are_those_of_the_library_and_repeat_after_going_back(model: Path, llama: Any) -> None:
    request = Generation(opened(model), (PROMPT,), 24)
    (first,) = request()
    own = llama.Llama(str(model), n_ctx=512, n_threads=1, verbose=False)
    theirs = []
    for token in own.generate(list(PROMPT), temp=0.0, top_k=1):
        theirs.append(token)
        if len(theirs) == 24:
            break
    assert first == theirs
    assert len(set(first)) > 4, "an answer that never changes would prove nothing"
    assert request() == [first]
    request.rewind()
    assert request.decode([first[0]]) == [first]


@pytest.mark.parametrize("at_once", [2048, 40])
def test_a_batch_is_answered_as_its_requests_alone_are_also_where_it_is_read_in_parts(
    model: Path, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr("edgebench.backends.llamacpp.BATCH", at_once)
    held = opened(model, 64 + 16, 3)
    told = held.effective()
    assert (told["sequences"], told["cache_unified"]) == (3, False)
    assert told["context"] >= 3 * 80
    assert held.cache_bytes >= 3 * 80 * 2 * 2 * 4 * 256, "keys and values of four layers in FP16"
    check_batch(held, 3, 64, opened(model, 64 + 16))


@pytest.mark.parametrize("step", ["", "q8_0", "q4_k_m"])
def test_perplexity_and_agreement_are_the_librarys_own(model: Path, llama: Any, tmp_path: Path, step: str) -> None:
    file = model
    if step:
        file = tmp_path / f"{step}.gguf"
        quantise_gguf(model, file, step, 1)
        assert file.stat().st_size < model.stat().st_size / 3
    reference = tmp_path / "reading.npz"
    tokens = list(book()[: 2 * WINDOW])
    expected, tops = library_reading(llama, file, tokens)
    plain, plain_tops = library_reading(llama, model, tokens)
    save_answers(reference, Answers(np.array(tokens).reshape(2, WINDOW), plain_tops))
    job = ReadJob(text=TextJob(as_bytes=True), tokens=2 * WINDOW, reference=str(reference))
    found = read(opened(file), job)
    assert math.exp(found.nll) == pytest.approx(math.exp(expected), rel=1e-3)
    assert found.same == pytest.approx((tops == plain_tops).mean(), abs=1e-3)
    assert found.scored == 2 * (WINDOW // 2 - 1)
    assert (expected == plain) == (not step)


def library_reading(llama: Any, file: Path, tokens: list[int]) -> tuple[float, Any]:
    """Mean negative log-likelihood and likeliest tokens by llama-cpp-python's own batch and log-softmax.

    As `llama-perplexity` does, it asks for the second half's answers: with more rows at once rounding would differ.
    """
    own = llama.Llama(str(file), n_ctx=WINDOW, n_threads=1, logits_all=True, flash_attn=True, verbose=False)
    half, losses, tops = WINDOW // 2, [], []
    for at in range(0, len(tokens), WINDOW):
        part = tokens[at : at + WINDOW]
        own._ctx.kv_cache_clear()
        own._batch.set_batch(batch=part, n_past=0, logits_all=True)
        for index in range(half):
            own._batch.batch.logits[index] = False
        own._ctx.decode(own._batch)
        scores = np.ctypeslib.as_array(own._ctx.get_logits(), shape=(half, own.n_vocab()))[:-1].copy()
        logs = llama.Llama.logits_to_logprobs(scores)
        losses += [-logs[index, token] for index, token in enumerate(part[half + 1 :])]
        tops.append(scores.argmax(axis=1))
    return float(np.mean(losses)), np.stack(tops)


def test_the_torch_network_and_its_gguf_file_are_one_model(tmp_path: Path, llama: Any) -> None:  # noqa: ARG001
    torch = pytest.importorskip("torch")
    from edgebench_suites.zoo import build

    module, _ = build("byte_llama", num_classes=256, seed=1)
    state = {name: torch.from_numpy(array) for name, array in weights(7).items()}
    module.load_state_dict(state)
    with torch.inference_mode():
        whole, cache = module(torch.tensor([PROMPT]))
        _, head = module(torch.tensor([PROMPT[:50]]))
        rest, _ = module(torch.tensor([PROMPT[50:]]), head)
    assert cache.shape == (1, 8, 4, len(PROMPT), 64)
    torch.testing.assert_close(rest, whole[:, 50:], rtol=1e-4, atol=1e-4)
    found = opened(write_model(tmp_path / "same.gguf", seed=7)).logits(PROMPT, 0)
    # llama.cpp keeps keys and values in FP16.
    np.testing.assert_allclose(found, whole[0].numpy(), atol=0.02)


def test_a_prompt_has_the_length_that_is_asked_for(model: Path, tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("ab", encoding="utf-8")
    held = opened(model)
    assert prompts_of(held, TextJob(path=str(text), as_bytes=True), 5, 1, 0) == ((97, 98, 97, 98, 97),)
    assert prompts_of(held, TextJob(as_bytes=True), 3, 2, 0) == (tuple(book()[:3]), tuple(book()[3:6]))
    held.begin = 1
    assert prompts_of(held, TextJob(path=str(text), as_bytes=True), 3, 2, 0) == ((1, 97, 98),) * 2


def test_joules_of_a_request_are_those_of_its_two_phases() -> None:
    prefill = Windows(windows=(window("package", 20.0, passes=10, seconds=2.0),))
    decode = Windows(windows=(window("package", 30.0, passes=5, seconds=4.0),))
    (whole,) = joined(prefill, decode).windows
    assert whole.energy_j == pytest.approx(2 + 6)
    assert whole.pass_s == pytest.approx(0.2 + 0.8)
    assert whole.uncertainty_j == pytest.approx(math.hypot(0.2 / 10, 0.3 / 5))
    assert joined(prefill, Windows(failed={"rapl:package": "it froze"})).windows == ()


@pytest.mark.parametrize("backend", ["torch", "onnxruntime", "openvino"])
def test_a_graph_with_an_explicit_cache_answers_as_the_network_does(tmp_path: Path, backend: str) -> None:
    torch = pytest.importorskip("torch")
    pytest.importorskip(backend)
    from edgebench.artifacts.convert.export import to_onnx, to_openvino
    from edgebench.backends.registry import resolve, row_of
    from edgebench.compress.checkpoint import CheckpointSpec, save_checkpoint
    from edgebench_suites.tasks.language import GENERATION
    from edgebench_suites.zoo import build

    module, _ = build("byte_llama", num_classes=256, seed=1)
    module.load_state_dict({name: torch.from_numpy(array) for name, array in weights(2).items()})
    inputs, path = GENERATION.inputs(1, 16, 1.0), tmp_path
    if backend == "torch":
        save_checkpoint(path, module, CheckpointSpec("byte_llama", 256, 1.0))
    else:
        path = tmp_path / ("model.xml" if backend == "openvino" else "model.onnx")
        (to_openvino if backend == "openvino" else to_onnx)(module.eval(), inputs, path, GENERATION.outputs)
    row = row_of(backend)
    spec = LoadSpec(path, row.family, 1, "fp32", GENERATION.shapes(1, 64))
    request = Generation(resolve(row.decoder)(spec, 128), (PROMPT,), 16)
    assert (request.compile_s is None) == (backend != "openvino"), "missing is never zero"
    (first,) = request()
    request.rewind()
    assert request.decode([first[0]]) == [first]
    several = resolve(row.decoder)(LoadSpec(path, row.family, 1, "fp32", GENERATION.shapes(3, 64), 3), 128)
    assert several.cache_bytes == 3 * resolve(row.decoder)(spec, 128).cache_bytes
    check_batch(several, 3)
    with torch.inference_mode():
        whole, _ = module(torch.tensor([[*PROMPT, *first[:-1]]]))
    assert first == whole[0, len(PROMPT) - 1 :].argmax(-1).tolist()
    np.testing.assert_allclose(
        request.decoder.logits(PROMPT, 10), whole[0, 10 : len(PROMPT)].numpy(), atol=1e-3, rtol=1e-3
    )
