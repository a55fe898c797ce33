"""Decoders whose cache is an explicit input and output of one graph: torch, ONNX Runtime and OpenVINO.

The graph takes ``tokens [1, s]`` and ``past [1, rows, heads, p, d]`` and gives ``logits`` and the cache with the new
tokens, as common exports do; the copying of the cache is part of every step.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from edgebench.backends.boundary import check_file, refusals
from edgebench.backends.decoder import Generation
from edgebench.backends.onnxruntime import open_session
from edgebench.backends.openvino import precision_hint, read_model
from edgebench.backends.registry import check_spec
from edgebench.backends.torch import read_module
from edgebench_suites.data.text import BYTES

if TYPE_CHECKING:
    import numpy.typing as npt

    from edgebench.backends.base import LoadSpec

    F32 = npt.NDArray[np.float32]
    # Tokens [1, s] and the cache before them to logits [1, s, vocabulary] and the cache with them.
    Call = Callable[[npt.NDArray[np.int64], Any], tuple[F32, Any]]


@dataclass(slots=True)
class CachedDecoder:
    """A graph and the cache of what it read; see `decoder.Decoder`."""

    call: Call
    empty: Any
    load_s: float
    compile_s: float | None
    settings: dict[str, Any]
    context: int
    vocabulary: int = BYTES
    begin: int | None = None
    _cache: Any = field(default=None, init=False)
    _one: Any = field(default_factory=lambda: np.zeros((1, 1), np.int64), init=False)

    @property
    def cache_bytes(self) -> int:
        """Return the bytes of the cache once the context is full; every step holds it twice."""
        _, rows, heads, _, size = self.empty.shape
        return int(rows * heads * size * self.context * np.dtype(np.float32).itemsize)

    def request(self, prompt: tuple[int, ...], count: int) -> Generation:
        """Return a request that is led token by token."""
        return Generation(self, prompt, count)

    def prefill(self, tokens: Sequence[int]) -> int:
        """Forget all and read the prompt at once; return the most likely token after it."""
        logits, self._cache = self.call(np.array([tokens], dtype=np.int64), self.empty)
        return int(logits[0, -1].argmax())

    def step(self, token: int) -> int:
        """Read one more token; return the most likely one after it."""
        self._one[0, 0] = token
        logits, self._cache = self.call(self._one, self._cache)
        return int(logits[0, -1].argmax())

    def rewind(self, length: int) -> None:
        """Forget all but the first `length` tokens."""
        self._cache = np.ascontiguousarray(np.asarray(self._cache)[:, :, :, :length])

    def logits(self, tokens: Sequence[int], first: int) -> F32:
        """Forget all, read the tokens at once, and return the logits after each from `first` on."""
        found, _ = self.call(np.array([tokens], dtype=np.int64), self.empty)
        return np.array(found[0, first:])

    def tokens_of(self, text: bytes) -> list[int]:
        """Return the bytes of a text: what these graphs read."""
        return list(text)

    def effective(self) -> dict[str, Any]:
        """Return the settings the runtime really uses."""
        return self.settings


def _empty(spec: LoadSpec) -> Any:
    """Return a cache of nothing; the shapes of the model's inputs tell the other sizes."""
    _, rows, heads, _, size = spec.shapes["past"]
    return np.zeros((1, rows, heads, 0, size), np.float32)


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

    return CachedDecoder(call, _empty(spec), time.perf_counter() - begun, None, _settings(spec), context)


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

    return CachedDecoder(call, _empty(spec), load_s, time.perf_counter() - begun, _settings(spec), context)


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

    return CachedDecoder(call, _empty(spec), time.perf_counter() - begun, None, _settings(spec), context)


def _settings(spec: LoadSpec) -> dict[str, Any]:
    return {"device": "CPU", "threads": spec.threads, "cache": "an input and an output of the graph"}
