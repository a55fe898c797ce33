"""A language model's task: prefill answers a whole prompt, decoding one byte after a cache; scored by the next byte."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edgebench_suites.tasks.base import InputInfo, Task
from edgebench_suites.tasks.networks import LLAMA_HEADS, LLAMA_LAYERS, llama_width

if TYPE_CHECKING:
    import numpy.typing as npt

    F32 = npt.NDArray[np.float32]
    I64 = npt.NDArray[np.int64]

# Of `networks.byte_gpt`: keys and values of six layers, four heads.
CACHE_ROWS, HEADS = 12, 4
_REFUSES = frozenset({"channels", "distil", "prune", "ptq-static", "qat"})


def head_size(width_mult: float) -> int:
    """Return the size of one head at a width."""
    return max(8, round(256 * width_mult / 32) * 8)


def _prefill_inputs(batch: int, size: int, width: float) -> tuple[InputInfo, ...]:
    del width
    return (InputInfo("tokens", (batch, size), "int64", {0: "batch", 1: "sequence"}),)


def _decode_inputs(batch: int, size: int, width: float) -> tuple[InputInfo, ...]:
    return (
        InputInfo("tokens", (batch, 1), "int64", {0: "batch"}),
        InputInfo("past", (batch, CACHE_ROWS, HEADS, size, head_size(width)), free={0: "batch", 3: "past"}),
    )


PREFILL = Task("language", _prefill_inputs, ("logits", "cache"), axis=2, refuses=_REFUSES)
DECODE = Task("language-step", _decode_inputs, ("logits", "cache"), axis=2, refuses=_REFUSES)


def _generation_inputs(batch: int, size: int, width: float) -> tuple[InputInfo, ...]:
    head = llama_width(width) // LLAMA_HEADS
    return (
        InputInfo("tokens", (batch, size), "int64", {0: "batch", 1: "sequence"}),
        InputInfo("past", (batch, 2 * LLAMA_LAYERS, LLAMA_HEADS, size, head), free={0: "batch", 3: "past"}),
    )


# A prompt at once and single steps by one graph, as kind ``generate`` takes it.
GENERATION = Task("generation", _generation_inputs, ("logits", "cache"), axis=2, refuses=_REFUSES)


def next_byte(logits: F32, following: I64) -> tuple[int, int, float]:
    """Score logits [n, s, 256] against the bytes that follow [n, s]: (right, all, mean cross-entropy in nats)."""
    values = logits.astype(np.float64)
    right = int((values.argmax(axis=2) == following).sum())
    shifted = values - values.max(axis=2, keepdims=True)
    picked = np.take_along_axis(shifted, following[:, :, np.newaxis], axis=2)[:, :, 0]
    return right, following.size, float((np.log(np.exp(shifted).sum(axis=2)) - picked).mean())
