"""Tokens of several texts as llama.cpp takes them at once."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any


class Piece:
    """Tokens that are read at once, each of a text, in memory that Python keeps; `outputs` are those answered to.

    No places are given: the library counts them on by text from what its memory holds.
    """

    def __init__(self, llama: Any, tokens: Sequence[tuple[int, int]], outputs: set[int]) -> None:
        count = len(tokens)
        self.tokens = (llama.llama_token * count)(*(token for token, _ in tokens))
        self.outputs = sorted(outputs)
        pointer = ctypes.POINTER(llama.llama_seq_id)
        texts = (llama.llama_seq_id * count)(*(text for _, text in tokens))
        at, size = ctypes.addressof(texts), ctypes.sizeof(llama.llama_seq_id)
        self._texts = texts, (ctypes.c_void_p * count)(*range(at, at + size * count, size))
        self.batch = llama.llama_batch(
            n_tokens=count,
            token=self.tokens,
            n_seq_id=(ctypes.c_int32 * count)(*[1] * count),
            seq_id=ctypes.cast(self._texts[1], ctypes.POINTER(pointer)),
            logits=(ctypes.c_int8 * count)(*(index in outputs for index in range(count))),
        )
