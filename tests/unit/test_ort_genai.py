"""ONNX Runtime GenAI on a folder that is made here: the network's own answers, also after going back, and in 8 bits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.batches import check_batch
from tests.gguf_files import weights

from edgebench.backends.base import LoadSpec
from edgebench.errors import BackendError

PROMPT = tuple(b"Alice was beginning to get very tired of sitting by her sister on the bank")


def opened(folder: Path, precision: str = "fp32", context: int = 200, sequences: int = 1) -> Any:
    from edgebench.backends.ortgenai import decoder

    return decoder(LoadSpec(folder, "ort-genai", 1, precision, sequences=sequences), context)


def test_it_answers_as_the_network_does_again_after_going_back_and_with_coarser_weights(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnxruntime_genai", reason="onnxruntime-genai is not installed: the extra ort-genai brings it")
    from edgebench.artifacts.convert.ortgenai import write_ort_genai
    from edgebench.compress.weights import compress_onnx
    from edgebench_suites.zoo import build

    module, _ = build("byte_llama", num_classes=256, seed=1)
    module.load_state_dict({name: torch.from_numpy(array) for name, array in weights(2).items()})
    with pytest.raises(BackendError, match=r"genai_config\.json \(No such file"):
        opened(tmp_path)
    write_ort_genai(module, tmp_path)
    held = opened(tmp_path)
    text = "Curiouser \u2013 and  curiouser!\r\n"
    assert held.tokens_of(text.encode()) == list(text.encode())
    assert (held.begin, held.vocabulary) == (None, 256)
    request = held.request((PROMPT,), 16)
    (first,) = request()
    request.rewind()
    assert request.decode([first[0]]) == [first]
    assert request() == [first]
    check_batch(opened(tmp_path, sequences=3), 3)
    with torch.inference_mode():
        whole, _ = module(torch.tensor([[*PROMPT, *first[:-1]]]))
    assert first == whole[0, len(PROMPT) - 1 :].argmax(-1).tolist()
    plain = request.decoder.logits(PROMPT, 10)
    np.testing.assert_allclose(plain, whole[0, 10 : len(PROMPT)].numpy(), atol=1e-3, rtol=1e-3)
    size = (tmp_path / "model.onnx").stat().st_size
    compress_onnx(tmp_path / "model.onnx", tmp_path / "model.onnx")
    assert (tmp_path / "model.onnx").stat().st_size < size / 3
    coarse = opened(tmp_path, "int8").logits(PROMPT, 10)
    assert np.corrcoef(plain.ravel(), coarse.ravel())[0, 1] > 0.99
