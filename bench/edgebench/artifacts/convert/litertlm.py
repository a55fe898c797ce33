"""The zoo's small decoder as a container of LiteRT-LM: a `.tflite` that reads and steps, a tokenizer, metadata.

Signatures and names are those that LiteRT's own exporter gives: ``prefill_N`` and ``decode`` over ``tokens``,
``input_pos``, ``mask`` and each layer's ``kv_cache_k_…`` and ``kv_cache_v_…``, which come back with the new tokens.
"""

from __future__ import annotations

import io
import json
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

from edgebench.artifacts.convert.tflite import import_converter
from edgebench.backends.boundary import refusals
from edgebench.compress.quiet import quiet
from edgebench_suites.tasks.networks import LLAMA_EPSILON, LLAMA_HEADS, LLAMA_LAYERS, LLAMA_ROTARY_BASE

# Tokens that one pass reads, as in LiteRT's exporter, and those that the cache has room for: each step looks at all.
READ, CACHE = 128, 512
# Bytes that are a letter of their own: those of a text in ASCII. Each other byte gets one from `_FIRST` on: the engine
# tells of a token only when its text is whole, and single bytes of UTF-8 are no text.
_PLAIN = frozenset([*b"\t\n\r", *range(ord(" "), ord("~") + 1)])
_FIRST = 0x100


def write_graph(module: Any, file: Path) -> None:
    """Write `byte_llama` as FP32 .tflite with a signature that reads READ tokens and one that steps."""
    litert_torch = import_converter()
    import torch

    net, head = _static(module), module.token_embd.weight.shape[1] // LLAMA_HEADS
    cache = {
        f"kv_cache_{kind}_{layer}": torch.zeros(1, LLAMA_HEADS, CACHE, head)
        for layer in range(LLAMA_LAYERS)
        for kind in "kv"
    }

    def sample(count: int) -> dict[str, Any]:
        return {
            "tokens": torch.zeros(1, count, dtype=torch.int32),
            "input_pos": torch.arange(count, dtype=torch.int32),
            "mask": torch.zeros(1, 1, count, CACHE),
            **cache,
        }

    with (
        refusals("litert-torch", "to convert the model to", file),
        quiet(),
        redirect_stdout(io.StringIO()),
        redirect_stderr(io.StringIO()),
        torch.no_grad(),
    ):
        asked = litert_torch.signature(f"prefill_{READ}", net(answers=False), sample_kwargs=sample(READ))
        asked = asked.signature("decode", net(answers=True), sample_kwargs=sample(1))
        asked.convert().export(str(file))


def write_container(graph: Path, file: Path) -> None:
    """Write the container of a graph that `write_graph` made, or of one with its weights in another format."""
    import litert_lm_builder as builder
    from litert_lm_builder.runtime.proto import llm_metadata_pb2

    tokenizer, told = graph.with_name("tokenizer.json"), graph.with_name("metadata.pb")
    alphabet = {chr(byte if byte in _PLAIN else _FIRST + byte): byte for byte in range(256)}
    model = {"type": "BPE", "vocab": alphabet, "merges": []}
    described = {"version": "1.0", "added_tokens": [], "decoder": {"type": "Fuse"}, "model": model}
    parts = dict.fromkeys(("normalizer", "pre_tokenizer", "post_processor"))
    tokenizer.write_text(json.dumps({**described, **parts}), encoding="utf-8")
    metadata = llm_metadata_pb2.LlmMetadata(max_num_tokens=CACHE)
    metadata.llm_model_type.generic_model.SetInParent()
    # It wants a token that ends a text: one that the network never chooses.
    metadata.stop_tokens.add().token_ids.ids.append(256)
    told.write_bytes(metadata.SerializeToString())
    with refusals("litert-lm-builder", "to write", file):
        made = builder.LitertLmFileBuilder()
        made.add_llm_metadata(str(told))
        made.add_hf_tokenizer(str(tokenizer))
        made.add_tflite_model(str(graph), builder.TfLiteModelType.PREFILL_DECODE)
        with file.open("wb") as stream:
            made.build(stream)


def _static(module: Any) -> Any:
    """Return the class of the network over a cache of fixed size, whose weights are the module's."""
    import torch
    from litert_torch.generative.custom_ops.dynamic_update_slice import dynamic_update_slice
    from torch.nn import functional

    width = module.token_embd.weight.shape[1]
    head = width // LLAMA_HEADS
    # Rotary positions turn neighbouring pairs in our network, and halves here: with the rows of queries and keys in
    # another order the scores are the same.
    halves = torch.arange(width).reshape(LLAMA_HEADS, head // 2, 2).transpose(1, 2).flatten()
    rates = LLAMA_ROTARY_BASE ** (-torch.arange(0, head, 2, dtype=torch.float32) / head)

    class Static(torch.nn.Module):
        def __init__(self, *, answers: bool) -> None:
            super().__init__()
            self.whole, self.answers = module, answers

        def forward(self, tokens: Any, input_pos: Any, mask: Any, **cache: Any) -> dict[str, Any]:
            angles = input_pos[:, None].to(torch.float32) * rates[None]
            turn = torch.cat([angles, angles], -1).cos(), torch.cat([angles, angles], -1).sin()
            stream, kept = self.whole.token_embd(tokens), {}
            for index, layer in enumerate(self.whole.blk):
                own = _normed(stream, layer.attn_norm)
                queries, keys = (
                    _turned(_in_heads(functional.linear(own, part.weight[halves])), *turn)
                    for part in (layer.attn_q, layer.attn_k)
                )
                news = {"k": keys, "v": _in_heads(layer.attn_v(own))}
                zero = torch.zeros((), dtype=torch.int32)
                for kind, new in news.items():
                    name = f"kv_cache_{kind}_{index}"
                    kept[name] = dynamic_update_slice(cache[name], new, [zero, zero, input_pos[0], zero])
                past = [kept[f"kv_cache_{kind}_{index}"] for kind in "kv"]
                scores = queries @ past[0].transpose(-1, -2) * head**-0.5 + mask
                mixed = (scores.softmax(-1) @ past[1]).transpose(1, 2).reshape(1, -1, width)
                stream = stream + layer.attn_output(mixed)
                own = _normed(stream, layer.ffn_norm)
                stream = stream + layer.ffn_down(functional.silu(layer.ffn_gate(own)) * layer.ffn_up(own))
            if self.answers:
                kept["logits"] = self.whole.output(_normed(stream, self.whole.output_norm))
            return kept

    def _in_heads(stream: Any) -> Any:
        return stream.reshape(1, -1, LLAMA_HEADS, head).transpose(1, 2)

    def _turned(vectors: Any, cos: Any, sin: Any) -> Any:
        first, second = vectors[..., : head // 2], vectors[..., head // 2 :]
        return vectors * cos + torch.cat([-second, first], -1) * sin

    def _normed(stream: Any, norm: Any) -> Any:
        scaled = stream * torch.rsqrt(stream.pow(2).mean(-1, keepdim=True) + LLAMA_EPSILON)
        return scaled * norm.weight

    return Static
