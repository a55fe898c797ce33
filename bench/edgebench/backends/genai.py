"""OpenVINO GenAI: folders of an IR with its tokenizer, whole requests by GenAI's own pipeline on the processor.

It stamps each token itself, on the clock that Python reads too (CLOCK_MONOTONIC): a callback would be told of a token
only while the next one is computed, and with as many threads as processors after it. The attention asked for is
``SDPA``: with GenAI's default a prompt that was read before is not read again (prefix caching).
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgebench.backends.boundary import check_file, refusals
from edgebench.backends.decoder import Answer, begins, too_long
from edgebench.backends.openvino import precision_hint, read_model
from edgebench.backends.textonly import TextBackend
from edgebench.errors import BackendError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from edgebench.backends.base import LoadSpec
    from edgebench.backends.decoder import Prompts, Stamps

    F32 = npt.NDArray[np.float32]

MODEL, TOKENIZER = "openvino_model.xml", "openvino_tokenizer.xml"
_MOST_JSON = 1 << 20


# Opens folders as GenAI has them, in the precision that their weights hold.
backend = partial(
    TextBackend,
    "openvino-genai",
    "openvino_genai",
    ("openvino-genai", "openvino", "openvino-tokenizers", "nncf"),
    "genai",
)


def decoder(spec: LoadSpec, context: int) -> GenaiAnswerer:
    """Open a folder for requests of `context` tokens; raises BackendError with one sentence where that cannot be."""
    backend().check(spec)
    check_file(spec.path / MODEL)
    if (limit := context_of(spec.path)) is not None and (reason := too_long(str(spec.path), limit, context)):
        raise BackendError(reason)
    hint = precision_hint(spec.precision, read_model(spec.path / MODEL))
    import openvino_genai

    settings = {
        "INFERENCE_PRECISION_HINT": hint,
        "INFERENCE_NUM_THREADS": spec.threads,
        "NUM_STREAMS": 1,
        "PERFORMANCE_HINT": "LATENCY",
    }
    begun = time.perf_counter()
    with refusals("openvino-genai", "to load", spec.path):
        pipeline = openvino_genai.LLMPipeline(spec.path, "CPU", ATTENTION_BACKEND="SDPA", **settings)
    return GenaiAnswerer(pipeline, spec.path, settings, time.perf_counter() - begun)


def context_of(folder: Path) -> int | None:
    """Return for how many tokens a folder's model was made; None where its config does not tell."""
    try:
        with (folder / "config.json").open("rb") as stream:
            told = json.loads(stream.read(_MOST_JSON))["max_position_embeddings"]
    except (OSError, ValueError, LookupError, TypeError):
        return None
    return told if isinstance(told, int) and 0 < told < 1 << 40 else None


class GenaiAnswerer:
    """A pipeline; see `decoder.Answerer`. It reads and compiles in one call, so that `load_s` is both."""

    compile_s: float | None = None
    # The pipeline keeps it to itself.
    cache_bytes: int | None = None

    def __init__(self, pipeline: Any, folder: Path, settings: dict[str, Any], load_s: float) -> None:
        self._pipeline, self._folder, self._settings, self.load_s = pipeline, folder, settings, load_s
        self._configs: dict[int, Any] = {}
        self._reads_texts = (folder / TOKENIZER).is_file()

    @cached_property
    def _graph(self) -> Any:
        """The same graph in OpenVINO itself: the pipeline tells no logits."""
        import openvino

        model = read_model(self._folder / MODEL)
        with refusals("openvino", "to compile", self._folder):
            return openvino.Core().compile_model(model, "CPU", self._settings)

    @property
    def vocabulary(self) -> int:
        """How many tokens it knows."""
        return int(self._graph.output("logits").get_partial_shape()[-1].get_length())

    @cached_property
    def begin(self) -> int | None:
        """The token that its tokenizer begins every text with; None where there is none, or no tokenizer."""
        if not self._reads_texts:
            return None
        return begins(self._encoded("a", special=False), self._encoded("a", special=True))

    def request(self, prompts: Prompts, count: int) -> Answer:
        """Return requests that the pipeline leads."""
        return Answer(self, prompts, count)

    def answer(self, prompts: Prompts, count: int, stamps: Stamps) -> list[list[int]]:
        """Read the prompts and generate `count` tokens of each by the pipeline's own loop, whose stamps are taken."""
        import numpy as np
        import openvino

        if (config := self._configs.get(count)) is None:
            config = self._configs[count] = _greedy(count)
        tokens = openvino.Tensor(np.array(prompts, np.int64))
        with refusals("openvino-genai", "to generate from", self._folder):
            stamps[0] = time.perf_counter_ns()
            found = self._pipeline.generate(tokens, config)
            times_ms = found.perf_metrics.raw_metrics.m_new_token_times
        answers = [list(map(int, answered)) for answered in found.tokens]
        if list(map(len, answers)) != [count] * len(prompts) or len(times_ms) != count:
            came = min(map(len, answers), default=0)
            raise BackendError(f"{self._folder}: {count} tokens were asked for, and {came} came")
        for index, at_ms in enumerate(times_ms, 1):
            stamps[index] = round(at_ms * 1e6)
        return answers

    def logits(self, tokens: Sequence[int], first: int) -> F32:
        """Return the logits after each token from `first` on, by OpenVINO itself on the same graph."""
        import numpy as np

        request, count = self._graph.create_infer_request(), len(tokens)
        places = np.arange(count, dtype=np.int64)[None]
        feeds = {
            "input_ids": np.array([tokens], np.int64),
            "attention_mask": np.ones((1, count), np.int64),
            "position_ids": places,
            "beam_idx": np.zeros(1, np.int32),
        }
        names = {name for port in self._graph.inputs for name in port.names}
        with refusals("openvino", "to read a text with", self._folder):
            request.infer({name: array for name, array in feeds.items() if name in names})
            found: F32 = np.array(request.get_tensor("logits").data[0, first:], np.float32)
        return found

    def tokens_of(self, text: bytes) -> list[int]:
        """Return the tokens of a text by the folder's tokenizer; BackendError where it has none."""
        if not self._reads_texts:
            raise BackendError("the folder has no tokenizer: a text cannot be read, only token ids (--prompt-tokens)")
        return self._encoded(text.decode("utf-8", errors="replace"), special=False)

    def effective(self) -> dict[str, Any]:
        """Return what the pipeline was asked for; it tells nothing of itself."""
        return {"device": "CPU", "attention": "SDPA", **self._settings}

    def _encoded(self, text: str, *, special: bool) -> list[int]:
        with refusals("openvino-genai", "to turn a text into tokens with", self._folder):
            found = self._pipeline.get_tokenizer().encode(text, add_special_tokens=special)
            return [int(token) for token in found.input_ids.data[0]]


def _greedy(count: int) -> Any:
    import openvino_genai

    config = openvino_genai.GenerationConfig()
    config.max_new_tokens, config.ignore_eos, config.do_sample = count, True, False
    return config
