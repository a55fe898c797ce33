"""A tokenizer of bytes as Hugging Face's files have it: token `n` is byte `n`, and none begins or ends a text."""

from __future__ import annotations

import json
from pathlib import Path

# Byte-level tokenizers write a byte as a letter: printable ones of Latin-1 as themselves, the others from 256 on.
_ITSELF = frozenset([*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)])


def letters() -> list[str]:
    """Return the letter of each byte."""
    others = iter(range(256, 512))
    return [chr(byte if byte in _ITSELF else next(others)) for byte in range(256)]


def write_tokenizer(folder: Path) -> None:
    """Write `tokenizer.json` and `tokenizer_config.json`."""
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    told: dict[str, object] = {
        "version": "1.0",
        "added_tokens": [],
        "normalizer": None,
        "pre_tokenizer": level,
        "post_processor": None,
        "decoder": level,
        "model": {"type": "BPE", "vocab": {letter: byte for byte, letter in enumerate(letters())}, "merges": []},
    }
    (folder / "tokenizer.json").write_text(json.dumps(told, ensure_ascii=False), encoding="utf-8")
    # The class whose rules of bytes these are.
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "GPT2Tokenizer"}), encoding="utf-8")
