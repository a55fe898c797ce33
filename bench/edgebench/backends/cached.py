"""Decoders whose cache is an explicit input and output of one graph: torch, ONNX Runtime and OpenVINO.

The graph takes ``tokens [n, s]`` and ``past [n, rows, heads, p, d]`` of `n` texts and gives ``logits`` and the cache
with the new tokens, as common exports do; the copying of the cache is part of every step.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from edgebench.backends.boundary import check_file, refusals
from edgebench.backends.decoder import Generation, Prompts
from edgebench.backends.onnxruntime import open_session
from edgebench.backends.openvino import precision_hint, read_model
from edgebench.backends.registry import check_spec
from edgebench.backends.torch import read_module
from edgebench_suites.data.text import BYTES

if TYPE_CHECKING:
    import numpy.typing as npt

    from edgebench.backends.base import LoadSpec

    F32 = npt.NDArray[np.float32]
    # Tokens [n, s] and the cache before them to logits [n, s, vocabulary] and the cache with them.
    Call = Callable[[npt.NDArray[np.int64], Any], tuple[F32, Any]]


@dataclass(slots=True)
class CachedDecoder:
    """A graph and the cache of what it read; see `decoder.Decoder`. `shape` is that of a text's cache."""

    call: Call
    shape: tuple[int, int, int]
    load_s: float
    compile_s: float | None
    settings: dict[str, Any]
    context: int
    sequences: int
    vocabulary: int = BYTES
    begin: int | None = None
    _cache: Any = field(default=None, init=False)
    _next: Any = field(default=None, init=False)

    @property
    def cache_bytes(self) -> int:
        """Return the bytes of the cache once the context is full; every step holds it twice."""
        return math.prod(self.shape) * self.context * self.sequences * np.dtype(np.float32).itemsize

    def request(self, prompts: Prompts, count: int) -> Generation:
        """Return requests that are led token by token."""
        return Generation(self, prompts, count)

    def prefill(self, prompts: Prompts) -> list[int]:
        """Forget all and read the prompts at once; return the most likely token after each."""
        self._next = np.zeros((len(prompts), 1), np.int64)
        return self._read(np.array(prompts, dtype=np.int64), self._empty(len(prompts)))

    def step(self, tokens: Sequence[int]) -> list[int]:
        """Read one more token of each text; return the most likely one after each."""
        self._next[:, 0] = tokens
        return self._read(self._next, self._cache)

    def rewind(self, length: int) -> None:
        """Forget all but the first `length` tokens of each text."""
        self._cache = np.ascontiguousarray(np.asarray(self._cache)[:, :, :, :length])

    def logits(self, tokens: Sequence[int], first: int) -> F32:
        """Forget all, read the tokens at once, and return the logits after each from `first` on."""
        found, _ = self.call(np.array([tokens], dtype=np.int64), self._empty(1))
        return np.array(found[0, first:])

    def tokens_of(self, text: bytes) -> list[int]:
        """Return the bytes of a text: what these graphs read."""
        return list(text)

    def effective(self) -> dict[str, Any]:
        """Return the settings the runtime really uses."""
        return self.settings

    def _read(self, tokens: Any, cache: Any) -> list[int]:
        logits, self._cache = self.call(tokens, cache)
        found: list[int] = logits[:, -1].argmax(axis=1).tolist()
        return found

    def _empty(self, texts: int) -> Any:
        """Return a cache of nothing."""
        rows, heads, size = self.shape
        return np.zeros((texts, rows, heads, 0, size), np.float32)


def _opened(call: Call, spec: LoadSpec, context: int, load_s: float, compile_s: float | None = None) -> CachedDecoder:
    """Return a graph as a decoder; the shapes of the model's inputs tell the sizes of its cache."""
    _, rows, heads, _, size = spec.shapes["past"]
    settings = {"device": "CPU", "threads": spec.threads, "cache": "an input and an output of the graph"}
    return CachedDecoder(call, (rows, heads, size), load_s, compile_s, settings, context, spec.sequences)


def in_onnxruntime(spec: LoadSpec, context: int) -> CachedDecoder:
    """Open an ONNX file in ONNX Runtime on the processor."""
    check_spec("onnxruntime", spec)
    check_file(spec.path)
    begun = time.perf_counter()
    with refusals("onnxruntime", "to load", spec.path, "export the model again"):
        session = open_session(spec, {})

    def call(tokens: Any, cache: Any) -> tuple[Any, Any]:
        logits, kept = session.run(None, {"tokens": tokens, "past": cache})
        return logits, kept

    return _opened(call, spec, context, time.perf_counter() - begun)


def in_openvino(spec: LoadSpec, context: int) -> CachedDecoder:
    """Open an IR in OpenVINO on the processor, its lengths free."""
    check_spec("openvino", spec)
    begun = time.perf_counter()
    model = read_model(spec.path)
    load_s, begun = time.perf_counter() - begun, time.perf_counter()
    import openvino

    config = {
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": 1,
        "INFERENCE_NUM_THREADS": spec.threads,
        "INFERENCE_PRECISION_HINT": precision_hint(spec.precision, model),
    }
    with refusals("openvino", "to compile", spec.path):
        request = openvino.Core().compile_model(model, "CPU", config).create_infer_request()

    def call(tokens: Any, cache: Any) -> tuple[Any, Any]:
        # The inputs are read where they are; the outputs are copied, as the next step needs room for its own.
        found = request.infer([tokens, cache], share_inputs=True)
        return found[0], found[1]

    return _opened(call, spec, context, load_s, time.perf_counter() - begun)


def in_torch(spec: LoadSpec, context: int) -> CachedDecoder:
    """Open a checkpoint folder in torch on the processor."""
    check_spec("torch", spec)
    import torch

    begun = time.perf_counter()
    with refusals("torch", "to load", spec.path):
        torch.set_num_threads(spec.threads)
        module, _ = read_module(spec)

    def call(tokens: Any, cache: Any) -> tuple[Any, Any]:
        with torch.inference_mode():
            logits, kept = module(torch.from_numpy(tokens), torch.from_numpy(cache))
        return logits.numpy(), kept.numpy()

    return _opened(call, spec, context, time.perf_counter() - begun)
