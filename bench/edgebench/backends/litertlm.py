"""LiteRT-LM: `.litertlm` containers, whole requests by its own engine on the processor.

It is asked in text and answers in text; the number of tokens on both sides is its own count. It tells of a token's text
after the step of the *next* token, in the thread that computes, which goes on when it was heard: so each token but the
first is stamped as the one before it is told of (`spread`).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from functools import cached_property, partial
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgebench.backends.boundary import refusals
from edgebench.backends.decoder import Answer, too_long
from edgebench.backends.litertlmfile import graph_of, read_container
from edgebench.backends.textonly import TextBackend
from edgebench.errors import BackendError
from edgebench.machine.advice import extra

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from edgebench.backends.base import LoadSpec
    from edgebench.backends.decoder import Prompts, Stamps

    F32 = npt.NDArray[np.float32]

NAME = "litert-lm"
# What exporters call the graph's inputs, beside the cache's; a mask's closed place is what the engine puts there.
_TOKENS, _PLACES, _MASKS = ("tokens", "token_ids"), ("input_pos", "positions"), ("mask", "attn_mask")
_CACHE, _CLOSED = "kv_cache_", -0.7 * 3.4028235e38


# Opens containers, in the precision that their weights hold.
backend = partial(
    TextBackend,
    NAME,
    "litert_lm",
    ("litert-lm-api", "ai-edge-litert", "litert-torch", "litert-lm-builder"),
    "litert-lm",
)


def decoder(spec: LoadSpec, context: int) -> LiteRtLmAnswerer:
    """Open a container for requests of `context` tokens; raises BackendError with one sentence where that cannot be."""
    backend().check(spec)
    limit = read_container(spec.path).context
    if limit is not None and (reason := too_long(str(spec.path), limit, context)):
        raise BackendError(reason)
    import litert_lm

    # It says on the terminal where in its sources it stood.
    litert_lm.set_min_log_severity(litert_lm.LogSeverity.SILENT)
    begun = time.perf_counter()
    with refusals(NAME, "to open", spec.path):
        engine = litert_lm.Engine(
            str(spec.path),
            backend=litert_lm.Backend.CPU(thread_count=spec.threads),
            max_num_tokens=limit or context,
            # It would write the packed weights beside the file.
            cache_dir=":nocache",
            activation_data_type=litert_lm.ActivationDataType.FLOAT32,
            # Its counts of tokens.
            enable_benchmark=True,
        )
    return LiteRtLmAnswerer(engine, spec.path, spec.threads, time.perf_counter() - begun)


class LiteRtLmAnswerer:
    """An engine; see `decoder.Answerer`. It reads and compiles in one call, so that `load_s` is both."""

    compile_s: float | None = None
    # The engine keeps it to itself.
    cache_bytes: int | None = None

    def __init__(self, engine: Any, path: Path, threads: int, load_s: float) -> None:
        self._engine, self._path, self._threads, self.load_s = engine, path, threads, load_s
        self._texts: dict[tuple[int, ...], str] = {}

    @cached_property
    def begin(self) -> int | None:
        """The token that the engine begins every text with; None where there is none."""
        with refusals(NAME, "to tell how texts begin in", self._path):
            found: int | None = self._engine.bos_token_id
        return found

    @property
    def vocabulary(self) -> int:
        """How many tokens it knows."""
        return self._graph.vocabulary

    @cached_property
    def _graph(self) -> _Steps:
        return _Steps(self._path, self._threads)

    def request(self, prompts: Prompts, count: int) -> Answer:
        """Return a request that the engine leads."""
        return Answer(self, prompts, count)

    def answer(self, prompts: Prompts, count: int, stamps: Stamps) -> list[list[int]]:
        """Read the prompt and generate `count` tokens by the engine's own loop; `spread` says what the stamps are."""
        import litert_lm

        (tokens,) = prompts  # it leads one text at a time
        text = self._text_of(tokens)
        greedy = litert_lm.SamplerConfig(top_k=1, top_p=1.0, temperature=0.0)
        with refusals(NAME, "to answer with", self._path):
            with self._engine.create_session(
                apply_prompt_template=False, sampler_config=greedy, max_output_tokens=count
            ) as session:
                stamps[0] = time.perf_counter_ns()
                session.run_prefill([text])
                read = time.perf_counter_ns()
                pieces = _pieces(session)
                info = session.get_benchmark_info()
            if info.last_prefill_token_count != len(tokens):
                raise BackendError(
                    f"{self._path}: reads {info.last_prefill_token_count} tokens where {len(tokens)} were asked for: "
                    "give another text (--text)"
                )
            if info.last_decode_token_count != count:
                raise BackendError(
                    f"{self._path}: {count} tokens were asked for, and its answer ended after "
                    f"{info.last_decode_token_count}: ask for less (--generate), or give another text (--text)"
                )
            sizes = [len(self._engine.tokenize(piece)) for _, piece in pieces if piece]
            found = self._engine.tokenize("".join(piece for _, piece in pieces))
        for index, at in enumerate(spread(read, pieces, sizes, count), 1):
            stamps[index] = at
        return [[int(token) for token in found]]

    def logits(self, tokens: Sequence[int], first: int) -> F32:
        """Return the logits after each token from `first` on, by LiteRT itself on the same graph, step by step."""
        return self._graph.logits(tokens, first)

    def tokens_of(self, text: bytes) -> list[int]:
        """Return the tokens of a text by the container's tokenizer."""
        with refusals(NAME, "to turn a text into tokens with", self._path):
            return [int(token) for token in self._engine.tokenize(text.decode("utf-8", errors="replace"))]

    def effective(self) -> dict[str, Any]:
        """Return what was asked for; it tells nothing of itself."""
        return {"device": "CPU", "threads": self._threads, "activations": "FLOAT32"}

    def _text_of(self, tokens: tuple[int, ...]) -> str:
        """Return the text whose tokens these are; the engine itself puts the token first that begins a text."""
        if (found := self._texts.get(tokens)) is None:
            own = tokens[1:] if tokens[:1] == (self.begin,) else tokens
            with refusals(NAME, "to turn tokens into a text with", self._path):
                found = self._texts[tokens] = str(self._engine.detokenize(list(own)))
        return found


def _pieces(session: Any) -> list[tuple[int, str]]:
    """Return the pieces of the answer, each with the moment it came; the last one may be empty."""
    from litert_lm import _ffi  # its own loop over the pieces stamps in the thread that waits for them

    lib, told, ended = session._lib, [], threading.Event()  # noqa: SLF001  # the same
    wrong: list[str] = []

    def heard(_: int, chunk: int) -> None:
        at = time.perf_counter_ns()
        error = lib.litert_lm_stream_chunk_get_error(chunk)
        # So it ends where the room for tokens does.
        if error and b"Max number of tokens reached" not in error:
            wrong.append(error.decode("utf-8", errors="replace"))
        text = b"" if error else lib.litert_lm_stream_chunk_get_text(chunk) or b""
        told.append((at, text.decode("utf-8", errors="replace")))
        if error or lib.litert_lm_stream_chunk_is_final(chunk):
            ended.set()

    callback = _ffi.STREAM_CALLBACK_TYPE(heard)
    if lib.litert_lm_session_run_decode_async(session._ptr, callback, None) != 0:  # noqa: SLF001  # the same
        raise BackendError("the engine does not begin to answer")
    ended.wait()
    if wrong:
        raise BackendError(wrong[0])
    return told


def spread(read_ns: int, pieces: Sequence[tuple[int, str]], sizes: Sequence[int], count: int) -> list[int]:
    """Return the moments of `count` tokens after a prompt that was read at `read_ns`.

    `pieces` of text came at their moments, `sizes` are the tokens of those that are not empty. The engine gives a piece
    when the token behind it is there, and the last one at the end: what ends with token `n` came when token `n + 1`
    did. Moments that it does not tell, the first token's among them, lie evenly between those it tells.
    """
    known, released = {0: read_ns}, 0
    for at, size in zip((at for at, piece in pieces if piece), sizes, strict=True):
        released += size
        known.setdefault(min(released + 1, count), at)
    if released != count:
        known = {0: read_ns, count: pieces[-1][0]}
    found: list[int] = []
    for (before, start), (after, end) in pairwise(sorted(known.items())):
        found += [
            start + round((end - start) * (place - before) / (after - before)) for place in range(before + 1, after + 1)
        ]
    return found


class _Steps:
    """The graph's own step in LiteRT, as the engine gives no logits."""

    def __init__(self, path: Path, threads: int) -> None:
        if find_spec("ai_edge_litert") is None:
            raise BackendError(f"ai-edge-litert is needed to read a text with {path}: {extra('litert')}")
        from ai_edge_litert.interpreter import Interpreter

        self._path = path
        with refusals("litert", "to open the graph of", path):
            # The runner does not keep the bytes alive.
            self._data = graph_of(path)
            self._interpreter = Interpreter(model_content=self._data, num_threads=threads)
            self._runner = self._interpreter.get_signature_runner("decode")
            self._inputs, outputs = self._runner.get_input_details(), self._runner.get_output_details()
            self.vocabulary = int(outputs["logits"]["shape"][-1])
        known = {name: kind for kind in (_TOKENS, _PLACES, _MASKS) for name in kind}
        self._names = {known[name]: name for name in self._inputs if name in known}
        strange = [name for name in self._inputs if name not in known and not name.startswith(_CACHE)]
        if strange or {*self._names} != {_TOKENS, _PLACES, _MASKS}:
            raise BackendError(
                f"{path}: its graph takes {', '.join(sorted(self._inputs))[:200]}: no text is read with it"
            )

    def logits(self, tokens: Sequence[int], first: int) -> F32:
        """Return the logits after each token from `first` on."""
        import numpy as np

        mask = self._inputs[self._names[_MASKS]]
        room = int(mask["shape"][-1])
        if len(tokens) > room:
            raise BackendError(f"{self._path}: has room for {room} tokens, and a text is read {len(tokens)} at a time")
        closed = False if mask["dtype"] is np.bool_ else _CLOSED
        seen = np.full(mask["shape"], closed, mask["dtype"])
        cache = {
            name: np.zeros(each["shape"], each["dtype"])
            for name, each in self._inputs.items()
            if name.startswith(_CACHE)
        }
        found: F32 = np.empty((len(tokens) - first, self.vocabulary), np.float32)
        with refusals("litert", "to read a text with", self._path):
            for place, token in enumerate(tokens):
                seen[..., place] = mask["dtype"] is np.bool_
                feeds = {
                    self._names[_TOKENS]: np.array([[token]], np.int32),
                    self._names[_PLACES]: np.array([place], np.int32),
                    self._names[_MASKS]: seen,
                }
                out = self._runner(**feeds, **cache)
                cache = {name: out[name] for name in cache}
                if place >= first:
                    found[place - first] = out["logits"].reshape(-1)
        return found
