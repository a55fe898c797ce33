"""A user's folder of ONNX Runtime GenAI, made by the library's own builder: read, opened, refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fuzz.documents import GENAI
from tests.ort_genai_files import BEGIN, CONTEXT, VOCABULARY, build, write_llama

from edgebench.backends.base import LoadSpec
from edgebench.backends.decoder import Generation
from edgebench.backends.describe import read_inputs
from edgebench.backends.ortgenaifile import CONFIG, OrtGenaiFacts, read_config
from edgebench.errors import BackendError, UsageError
from edgebench.plan.own import BringYourOwn, OwnOptions, own_model

TEXT = "Alice was beginning to get very tired \u2013 of sitting by her sister on the bank"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    """A Hugging Face Llama, and the folder with its `fp32` and `int4` forms."""
    pytest.importorskip("onnxruntime_genai", reason="onnxruntime-genai is not installed: the extra ort-genai brings it")
    folder = tmp_path_factory.mktemp("made")
    llama = write_llama(folder / "hf")
    for precision in ("fp32", "int4"):
        build(folder / "hf", folder / precision, precision)
    return llama, folder


def opened(folder: Path, precision: str = "fp32", context: int = 200) -> Any:
    from edgebench.backends.ortgenai import decoder

    return decoder(LoadSpec(folder, "ort-genai", 1, precision), context)


def own(path: Path) -> BringYourOwn:
    return own_model(path, OwnOptions(), read_inputs)


def changed(source: Path, target: Path, change: Callable[[Any], object]) -> Path:
    shutil.copytree(source, target)
    told = json.loads((target / CONFIG).read_bytes())
    change(told)
    (target / CONFIG).write_text(json.dumps(told), encoding="utf-8")
    return target


def test_it_answers_as_the_network_that_it_was_made_of(made: tuple[Any, Path], tmp_path: Path) -> None:
    import torch
    from tokenizers import Tokenizer

    llama, folder = made

    def sampling(told: Any) -> None:
        told["search"] |= {"do_sample": True, "num_beams": 2, "repetition_penalty": 3.0, "no_repeat_ngram_size": 2}
        told["model"]["decoder"]["session_options"]["intra_op_num_threads"] = 2

    for source in (folder / "fp32", changed(folder / "fp32", tmp_path / "sampling", sampling)):
        held = opened(source)
        pieces = Tokenizer.from_file(str(source / "tokenizer.json")).encode(TEXT, add_special_tokens=False).ids
        assert held.tokens_of(TEXT.encode()) == pieces
        assert (held.begin, held.vocabulary) == (BEGIN, VOCABULARY)
        prompt = (held.begin, *pieces)
        request = held.request((prompt,), 24)
        assert isinstance(request, Generation)
        (found,) = request()
        request.rewind()
        assert request.decode([found[0]]) == [found]
        with torch.inference_mode():
            whole = llama(torch.tensor([[*prompt, *found[:-1]]])).logits[0]
        assert found == whole[len(prompt) - 1 :].argmax(-1).tolist()
        assert len(set(found)) > 8, "an answer that repeats itself would prove nothing of what forbids that"
        np.testing.assert_allclose(held.logits(prompt, 5), whole[5 : len(prompt)].numpy(), atol=1e-4, rtol=1e-4)


def test_a_folder_is_known_by_its_graph_its_configuration_and_all_its_files(
    made: tuple[Any, Path], tmp_path: Path
) -> None:
    _, folder = made
    known = {name: own(folder / name) for name in ("fp32", "int4")}
    assert {name: each.precision for name, each in known.items()} == {"fp32": "fp32", "int4": "int4"}
    plain = known["fp32"]
    assert (plain.format, plain.name, plain.context, plain.generates) == ("ort-genai", "fp32", CONTEXT, True)
    assert {CONFIG, "model.onnx", "model.onnx.data", "tokenizer.json"} <= {*plain.beside}
    for name in plain.beside:
        other = tmp_path / name
        shutil.copytree(folder / "fp32", other)
        with (other / name).open("ab") as stream:
            stream.write(b" ")
        assert own(other).digest != plain.digest, name
    (tmp_path / "model.onnx.data" / "model.onnx.data").unlink()
    with pytest.raises(UsageError, match=r"model\.onnx\.data: cannot be read \(No such file"):
        own(tmp_path / "model.onnx.data")
    # Weights in a folder below belong to the model, other files there do not.
    lower = tmp_path / "lower"
    (lower / "onnx").mkdir(parents=True)
    for name in plain.beside:
        shutil.copy(folder / "fp32" / name, lower / ("onnx" if name.startswith("model.") else ".") / name)
    (lower / "onnx" / "other").touch()
    told = json.loads((lower / CONFIG).read_bytes())
    told["model"]["decoder"]["filename"] = "onnx/model.onnx"
    (lower / CONFIG).write_text(json.dumps(told), encoding="utf-8")
    found = own(lower)
    assert {name for name in found.beside if "/" in name} == {"onnx/model.onnx", "onnx/model.onnx.data"}
    assert len(opened(lower).request(((1, 2, 3),), 4)()[0]) == 4


def test_weights_in_8_bits_lie_beside_the_graph_where_they_are_large(
    made: tuple[Any, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edgebench.compress import weights

    _, folder = made
    coarse = changed(folder / "fp32", tmp_path / "coarse", dict.items)
    (coarse / "model.onnx.data").unlink()
    monkeypatch.setattr(weights, "_MOST_INSIDE", 1000)
    weights.compress_onnx(folder / "fp32" / "model.onnx", coarse / "model.onnx")
    assert own(coarse).precision == "int8"
    assert "model.onnx.data" in own(coarse).beside
    plain, found = (opened(path).logits(range(40), 0) for path in (folder / "fp32", coarse))
    assert np.corrcoef(plain.ravel(), found.ravel())[0, 1] > 0.99


def test_what_the_runtime_refuses_is_a_sentence(made: tuple[Any, Path], tmp_path: Path) -> None:
    _, folder = made
    with pytest.raises(BackendError, match=f"was made for {CONTEXT} tokens, and prompt and answer take 513"):
        opened(folder / "fp32", context=CONTEXT + 1)
    cut = changed(folder / "fp32", tmp_path / "cut", dict.items)
    for name, said in (("model.onnx.data", "to load"), ("model.onnx", "to load")):
        (cut / name).write_bytes((cut / name).read_bytes()[:1000])
        with pytest.raises(BackendError, match=said):
            opened(cut)
    (cut / "model.onnx").unlink()
    with pytest.raises(BackendError, match=r"model\.onnx \(No such file"):
        opened(cut)

    def unknown(told: Any) -> None:
        told["model"]["type"] = "no_such_model"

    with pytest.raises(BackendError, match="no_such_model"):
        opened(changed(folder / "fp32", tmp_path / "unknown", unknown))
    bare = changed(folder / "fp32", tmp_path / "bare", dict.items)
    (bare / "tokenizer.json").write_text("{}", encoding="utf-8")
    held = opened(bare)
    assert held.begin is None
    with pytest.raises(BackendError, match="to read the folder's tokenizer"):
        held.tokens_of(TEXT.encode())
    assert len(held.request(((1, 2, 3),), 4)()[0]) == 4, "it still answers to tokens"


CHANGES: dict[str, tuple[Callable[[Any], object], str]] = {
    "no decoder": (lambda told: told["model"].pop("decoder"), "does not tell model.decoder.filename"),
    "a decoder that is a list": (lambda told: told["model"].update(decoder=[]), "does not tell model.decoder.filename"),
    "another folder": (lambda told: told["model"]["decoder"].update(filename="../m.onnx"), "outside the folder"),
    "a number for a file": (lambda told: told["model"]["decoder"].update(filename=3), "names '3' as the decoder's"),
    "no context": (lambda told: told["model"].update(context_length=0), "says '0' for context_length"),
    "true": (lambda told: told["model"].update(vocab_size=True), "says 'True' for vocab_size"),
    "too many tokens": (lambda told: told["model"].update(vocab_size=1 << 40), "for vocab_size, no number of tokens"),
    "another provider": (
        lambda told: told["model"]["decoder"]["session_options"].update(provider_options=[{"cuda": {}}]),
        "asks for the provider 'cuda', and the processor is measured",
    ),
    "another provider of a part": (
        lambda told: told["model"].update(vision={"session_options": {"provider_options": [{"qnn": {}}]}}),
        "asks for the provider 'qnn'",
    ),
    "code": (
        lambda told: told["model"]["decoder"]["session_options"].update(custom_ops_library="ops.so"),
        r"loads code of its own \(custom_ops_library\), which is never opened",
    ),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_configuration_that_is_not_to_be_opened_is_a_sentence(what: str, tmp_path: Path) -> None:
    change, said = CHANGES[what]
    told = json.loads(GENAI)
    change(told)
    (tmp_path / CONFIG).write_text(json.dumps(told), encoding="utf-8")
    with pytest.raises(BackendError, match=said) as caught:
        read_config(tmp_path)
    assert str(caught.value).count("\n") == 0
    with pytest.raises(UsageError, match=said):
        own(tmp_path)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[" * 100_000,
        b"\xff\xfe",
        GENAI[:-1],
        GENAI.replace(b'"head_size"', b'"filename"'),
        b'{"model": {"context_length": ' + b"9" * 5000 + b"}}",
        GENAI + b" " * (1 << 20),
    ],
    ids=["empty", "deep", "no text", "cut off", "twice", "a long number", "large"],
)
def test_damaged_json_is_a_sentence(data: bytes, tmp_path: Path) -> None:
    (tmp_path / CONFIG).write_bytes(data)
    with pytest.raises(BackendError, match=r"genai_config\.json"):
        read_config(tmp_path)


@given(st.data())
def test_any_configuration_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    folder = tmp_path_factory.mktemp("any")
    words = st.sampled_from(["model", "decoder", "filename", "provider_options", "context_length", "vocab_size", "a"])
    tree = st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | words,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=4),
    )
    told = json.loads(GENAI)
    place = data.draw(st.sampled_from([told, told["model"], told["model"]["decoder"]]))
    place[data.draw(words)] = data.draw(tree)
    (folder / CONFIG).write_text(json.dumps(told), encoding="utf-8")
    try:
        found = read_config(folder)
    except BackendError:
        return
    assert isinstance(found, OrtGenaiFacts)
    assert found.context > 0
    assert found.vocabulary > 0
