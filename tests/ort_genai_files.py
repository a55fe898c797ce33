"""A folder as users of ONNX Runtime GenAI have it: a small Hugging Face Llama through the library's own builder."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import Any

import pytest

from edgebench_suites.data import text as book

VOCABULARY, CONTEXT = 400, 512
BEGIN, END = 0, 1


def write_llama(folder: Path) -> Any:
    """Write a Llama of random weights with a tokenizer trained on the book, whose texts begin with a token; return it.

    It is a Hugging Face folder, without anything of edgebench's in it.
    """
    transformers = _transformers()
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

    pieces = Tokenizer(models.BPE())
    pieces.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    pieces.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY, special_tokens=["<s>", "</s>"], initial_alphabet=alphabet, show_progress=False
    )
    pieces.train_from_iterator([book.test_text().decode()], trainer)
    pieces.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", BEGIN)])
    ends = {"bos_token": "<s>", "eos_token": "</s>"}
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=pieces, **ends)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = transformers.LlamaForCausalLM(
            transformers.LlamaConfig(
                vocab_size=VOCABULARY,
                hidden_size=64,
                intermediate_size=128,
                num_hidden_layers=2,
                num_attention_heads=4,
                num_key_value_heads=2,
                max_position_embeddings=CONTEXT,
                bos_token_id=BEGIN,
                eos_token_id=END,
            )
        )
        torch.nn.init.normal_(model.lm_head.weight, std=0.3)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return model.eval()


def build(source: Path, folder: Path, precision: str) -> None:
    """Make a folder of ONNX Runtime GenAI from a Hugging Face folder, by the library's builder for the processor."""
    _transformers()
    builder: Any = pytest.importorskip("onnxruntime_genai.models.builder")
    cache = str(source / "cache")
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        options = builder.parse_extra_options(None, str(source), str(folder), precision, "cpu", cache, [])
        builder.create_model(None, str(source), str(folder), precision, "cpu", cache, **options)


def _transformers() -> Any:
    """Return the package; it imports torchvision, which the zoo knows how to."""
    from edgebench_suites.vision import import_torchvision

    import_torchvision()
    return pytest.importorskip("transformers", reason="transformers is not installed: the extra tflite brings it")
