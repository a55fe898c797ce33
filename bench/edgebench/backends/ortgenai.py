"""ONNX Runtime GenAI: folders of an ONNX decoder and its `genai_config.json`, led token by token on the processor."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from edgebench.backends.boundary import check_file, refusals
from edgebench.backends.decoder import Generation, Prompts, begins, too_long
from edgebench.backends.ortgenaifile import read_config
from edgebench.backends.textonly import TextBackend
from edgebench.errors import BackendError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from edgebench.backends.base import LoadSpec

    F32 = npt.NDArray[np.float32]


# Opens folders as GenAI has them, in the precision that their weights hold.
backend = partial(
    TextBackend, "onnxruntime-genai", "onnxruntime_genai", ("onnxruntime-genai", "onnxruntime"), "ort-genai"
)


def decoder(spec: LoadSpec, context: int) -> OrtGenaiDecoder:
    """Open a folder with room for `context` tokens; raises BackendError with one sentence where that cannot be."""
    backend().check(spec)
    facts = read_config(spec.path)
    check_file(spec.path / facts.model)
    if (reason := too_long(str(spec.path), facts.context, context)) is not None:
        raise BackendError(reason)
    import onnxruntime_genai

    # It would tell Microsoft what is run here, from threads beside the measurement.
    onnxruntime_genai.disable_telemetry_events()
    begun = time.perf_counter()
    with refusals("onnxruntime-genai", "to load", spec.path):
        config = onnxruntime_genai.Config(str(spec.path))
        config.overlay(f'{{"model": {{"decoder": {{"session_options": {{"intra_op_num_threads": {spec.threads}}}}}}}}}')
        model = onnxruntime_genai.Model(config)
    return OrtGenaiDecoder(model, spec, context, facts.vocabulary, time.perf_counter() - begun)


class OrtGenaiDecoder:
    """A model and the generator of its texts; see `decoder.Decoder`."""

    # It tells nothing of it.
    cache_bytes: int | None = None

    def __init__(self, model: Any, spec: LoadSpec, context: int, vocabulary: int, load_s: float) -> None:
        # The generator does not keep its model alive.
        self._model, self._path, self._threads, self._context = model, spec.path, spec.threads, context
        self.vocabulary, self.load_s, begun = vocabulary, load_s, time.perf_counter()
        self._generator, self._texts = self._made(spec.sequences), spec.sequences
        self.compile_s = time.perf_counter() - begun
        # The tokens that were chosen last, which the generator itself reads next.
        self._chosen: list[int] = []

    @cached_property
    def begin(self) -> int | None:
        """The token that its tokenizer begins every text with; None where there is none."""
        try:
            return begins(self._encoded("a", special=False), self._encoded("a", special=True))
        except BackendError:
            return None  # without a tokenizer no text is read

    @cached_property
    def _tokenizer(self) -> Any:
        import onnxruntime_genai

        with refusals("onnxruntime-genai", "to read the folder's tokenizer"):
            return onnxruntime_genai.Tokenizer(self._model)

    def request(self, prompts: Prompts, count: int) -> Generation:
        """Return requests that are led token by token; several texts cannot go back but to nothing."""
        return Generation(self, prompts, count, goes_back=len(prompts) == 1)

    def prefill(self, prompts: Prompts) -> list[int]:
        """Forget all and read the prompts; return the most likely token after each."""
        self._begin(len(prompts))
        self._read(prompts)
        return self._next()

    def step(self, tokens: Sequence[int]) -> list[int]:
        """Read one more token of each text; return the most likely one after each."""
        if tokens != self._chosen:
            self._read([[token] for token in tokens])
        return self._next()

    def rewind(self, length: int) -> None:
        """Forget all but the first `length` tokens."""
        self._chosen = []
        with refusals("onnxruntime-genai", "to go back"):
            self._generator.rewind_to(length)

    def logits(self, tokens: Sequence[int], first: int) -> F32:
        """Forget all, read the tokens at once, and return the logits after each from `first` on."""
        import numpy as np

        self._begin(1)
        self._read([tokens])
        found: F32 = np.array(self._generator.get_output("logits")[0, first:], np.float32)
        return found

    def tokens_of(self, text: bytes) -> list[int]:
        """Return the tokens of a text by the folder's tokenizer."""
        return self._encoded(text.decode("utf-8", errors="replace"), special=False)

    def effective(self) -> dict[str, Any]:
        """Return what was asked for; it tells nothing of itself."""
        return {"device": "CPU", "threads": self._threads, "cache": "kept by the generator"}

    def _encoded(self, text: str, *, special: bool) -> list[int]:
        tokenizer = self._tokenizer
        with refusals("onnxruntime-genai", "to turn a text into tokens"):
            tokenizer.update_options(add_special_tokens=str(special).lower())
            return [int(token) for token in tokenizer.encode(text)]

    def _made(self, texts: int) -> Any:
        """Return a generator of so many texts: it is made for one number."""
        import onnxruntime_genai

        with refusals("onnxruntime-genai", f"a context of {self._context} tokens of", self._path):
            asked = onnxruntime_genai.GeneratorParams(self._model)
            # Least and most: the token that ends a text is never chosen, so that every answer has the length asked for.
            asked.set_search_options(batch_size=texts, max_length=self._context, min_length=self._context)
            # Whatever else a folder asks for, the likeliest token is taken.
            asked.set_search_options(do_sample=False, num_beams=1, repetition_penalty=1.0, no_repeat_ngram_size=0)
            return onnxruntime_genai.Generator(self._model, asked)

    def _begin(self, texts: int) -> None:
        if texts == self._texts:
            self.rewind(0)
        else:
            self._generator, self._texts, self._chosen = self._made(texts), texts, []

    def _read(self, tokens: Sequence[Sequence[int]]) -> None:
        import numpy as np

        with refusals("onnxruntime-genai", "to read tokens"):
            self._generator.append_tokens(np.array(tokens, np.int32))

    def _next(self) -> list[int]:
        try:
            self._generator.generate_next_token()
        except RuntimeError:  # a context around each step would be measured with it
            with refusals("onnxruntime-genai", "to generate"):
                raise
        self._chosen = self._generator.get_next_tokens().tolist()
        return self._chosen
