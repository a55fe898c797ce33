"""GGUF files for tests: the zoo's small Llama with random weights, and one that brings no tokenizer."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from edgebench.compress.quantise_gguf import write_llama

LAYERS, WIDE = 4, 256


def weights(seed: int = 0, *, vocabulary: int = 256, width: int = WIDE) -> Mapping[str, Any]:
    """Random tensors by GGUF's names; likely answers differ from token to token."""
    rng = np.random.default_rng(seed)

    def tensor(*shape: int, scale: float = 0.06) -> Any:
        return (rng.standard_normal(shape) * scale).astype(np.float32)

    # Answers of about one likelihood: what rounding changes of it stays small.
    ends = ("token_embd.weight", "output.weight")
    found: dict[str, Any] = {name: tensor(vocabulary, width, scale=0.02) for name in ends}
    found["output_norm.weight"] = np.ones(width, np.float32)
    for layer in range(LAYERS):
        part = f"blk.{layer}."
        found |= {f"{part}{name}.weight": np.ones(width, np.float32) for name in ("attn_norm", "ffn_norm")}
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
            found[f"{part}{name}.weight"] = tensor(width, width)
        found |= {f"{part}{name}.weight": tensor(3 * width, width) for name in ("ffn_gate", "ffn_up")}
        found[f"{part}ffn_down.weight"] = tensor(width, 3 * width)
    return found


def write_model(path: Path, *, seed: int = 0, width: int = WIDE) -> Path:
    """Write a model of random weights whose tokens are bytes."""
    write_llama(weights(seed, width=width), path)
    return path


def header(tensors: int, entries: int, body: bytes = b"") -> bytes:
    """Return the beginning of a file of so many tensors and entries, as it claims; `body` follows."""
    return struct.pack("<4sIQQ", b"GGUF", 3, tensors, entries) + body


def text(value: str) -> bytes:
    """Return a string as GGUF has it."""
    return struct.pack("<Q", len(value)) + value.encode()


def write_small(
    path: Path,
    *,
    name: str = "llama",
    context: int = 512,
    tokenizer: str = "none",
    elements: int = 1024,
    parts: int = 1,
) -> Path:
    """Write a file that is whole, of a context, with or without tokenizer; its one tensor claims `elements` weights.

    `name` is its architecture's. The data are a hole in the file where that is large. Of `parts` it is the first.
    """
    import gguf

    writer = gguf.GGUFWriter(str(path), name)
    if parts > 1:
        writer.add_uint16("split.no", 0)
        writer.add_uint16("split.count", parts)
    writer.add_context_length(context)
    writer.add_embedding_length(64)
    writer.add_block_count(2)
    writer.add_head_count(4)
    writer.add_vocab_size(256)
    writer.add_tokenizer_model(tokenizer)
    writer.add_tensor_info("token_embd.weight", (elements // 64, 64), np.dtype(np.float32), elements * 4)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    writer.close()
    size = path.stat().st_size
    with path.open("r+b") as stream:
        stream.truncate(-(-size // 32) * 32 + elements * 4)
    return path
