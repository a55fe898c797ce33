"""llama.cpp through llama-cpp-python: GGUF files on the processor, by the library's own functions."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Sequence
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgebench.backends.boundary import check_file, refusals
from edgebench.backends.decoder import Generation, Prompts, too_long
from edgebench.backends.gguffile import GgufFacts, read_gguf
from edgebench.backends.llamabatch import Piece
from edgebench.backends.textonly import TextBackend
from edgebench.compress.llama_log import LogLines, log_of
from edgebench.errors import BackendError
from edgebench.machine.advice import extra
from edgebench.machine.memory import free_bytes

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from edgebench.backends.base import LoadSpec

    F32 = npt.NDArray[np.float32]

# Tokens that are read at once, as `llama-bench` does by default.
BATCH, MICRO_BATCH = 2048, 512
# Besides weights and cache: the buffers of the computation, and Python.
_ROOM_BYTES = 150 * 2**20
# Bits a weight of the formats, the smallest last.
_FORMATS = {
    "fp16": 16.0, "q8_0": 8.5, "q6_k": 6.56, "q5_k_m": 5.7, "q4_k_m": 4.85, "q4_0": 4.55, "q3_k_m": 3.9, "q2_k": 3.35,
}  # fmt: skip
SMALLEST = "q2_k"


# Opens .gguf files, in the precision that they hold.
backend = partial(
    TextBackend, "llama.cpp", "llama_cpp", ("llama-cpp-python",), "llama", remark=" (it is compiled: minutes)"
)


@cache
def library() -> tuple[Any, LogLines]:
    """Return the module and its log, with what it multiplies by; BackendError where that is for other processors.

    Where it was compiled for several (the images: containers/llama.cmake), each is a file of its own, and the library
    loads the best that this processor can run. Elsewhere it is there already.
    """
    import llama_cpp

    log = log_of(llama_cpp)
    folder = Path(llama_cpp.__file__).with_name("lib")
    ggml = ctypes.CDLL(str(folder / "libggml.so"))
    if not ggml.ggml_backend_reg_count():
        ggml.ggml_backend_load_all_from_path(ctypes.c_char_p(str(folder).encode()))
    if not ggml.ggml_backend_reg_count():
        raise BackendError(
            f"llama.cpp was compiled for other processors than this one: {extra('llama')} compiles it for this one"
        )
    return llama_cpp, log


def decoder(spec: LoadSpec, context: int) -> LlamaDecoder:
    """Open a file with room for texts of `context` tokens each; BackendError says in one sentence why that cannot be.

    The file's own header is read first: one that is cut off, or larger than this machine's memory, reaches no parser.
    """
    backend().check(spec)
    facts = read_facts(spec.path, context, spec.sequences)
    with refusals("llama.cpp", "to load", spec.path):
        llama, log = library()
        started = time.perf_counter()
        llama.llama_backend_init()
        model_params = llama.llama_model_default_params()
        model_params.n_gpu_layers = 0
        model = llama.llama_model_load_from_file(str(spec.path).encode(), model_params)
        if not model:
            raise BackendError(f"llama.cpp refuses to load {spec.path} ({log.why()}): convert the model again")
        load_s = time.perf_counter() - started
        started = time.perf_counter()
        params = llama.llama_context_default_params()
        params.n_ctx, params.n_batch, params.n_ubatch = context * spec.sequences, BATCH, MICRO_BATCH
        # Each text has cells of its own: what is read of one is never looked at for another.
        params.n_seq_max, params.kv_unified = spec.sequences, False
        params.n_threads = params.n_threads_batch = spec.threads
        params.no_perf = True
        held = llama.llama_init_from_model(model, params)
        if not held:
            llama.llama_model_free(model)
            tokens = context * spec.sequences
            raise BackendError(f"llama.cpp cannot make room for {tokens} tokens of {spec.path} ({log.why()})")
        return LlamaDecoder(llama, model, held, spec.threads, load_s, time.perf_counter() - started, facts)


def read_facts(path: Path, context: int, sequences: int = 1) -> GgufFacts:
    """Return what a file says of itself; BackendError where texts of `context` tokens each cannot be had here."""
    try:
        facts = read_gguf(path)
    except OSError as error:
        raise BackendError(f"cannot open model {path} ({error.strerror}): give the path of a model file") from None
    if facts.context is not None and (reason := too_long(str(path), facts.context, context)):
        raise BackendError(reason)
    if reason := too_large(path, facts, context * sequences):
        raise BackendError(reason)
    check_file(path)
    return facts


def too_large(path: Path, facts: GgufFacts, tokens: int, form: str | None = None) -> str | None:
    """Say that weights and cache take more than this machine has free, naming what would fit; None where they fit.

    The cache is one of `tokens`, of all requests that are made at once. The weights are those of the file, or of what
    it becomes in the format `form` (``q8_0``).
    """
    if (free := free_bytes()) is None:
        return None
    bits = None if form is None else _FORMATS.get(form)
    weights = path.stat().st_size if bits is None else facts.parameters * bits / 8
    cache = facts.cache_bytes(tokens) or 0
    if weights + cache + _ROOM_BYTES <= free:
        return None
    room = min(free - cache - _ROOM_BYTES, weights)
    fits = next((name.upper() for name, bits in _FORMATS.items() if 0 < facts.parameters * bits / 8 < room), None)
    advice = "use a model with fewer weights" if fits is None else f"{fits} of the same model would fit"
    if weights + _ROOM_BYTES <= free:
        advice = "ask for fewer tokens (--batch, --prompt-tokens, --generate)"
    return (
        f"{path}: needs {(weights + cache + _ROOM_BYTES) / 1e9:.2f} GB (weights {weights / 1e9:.2f}, key-value cache "
        f"of {tokens} tokens {cache / 1e9:.2f}), and {free / 1e9:.2f} GB are free: {advice}"
    )


class LlamaDecoder:
    """A model and its context; see `decoder.Decoder`."""

    def __init__(
        self, llama: Any, model: Any, context: Any, threads: int, load_s: float, compile_s: float, facts: GgufFacts
    ) -> None:
        self._llama, self._model, self._context, self._threads = llama, model, context, threads
        self.load_s, self.compile_s, self._facts = load_s, compile_s, facts
        self._memory = llama.llama_get_memory(context)
        self._vocab = llama.llama_model_get_vocab(model)
        self.vocabulary: int = llama.llama_vocab_n_tokens(self._vocab)
        begins = facts.has_tokenizer and llama.llama_vocab_get_add_bos(self._vocab)
        self.begin: int | None = llama.llama_vocab_bos(self._vocab) if begins else None
        self.cache_bytes = facts.cache_bytes(llama.llama_n_ctx(context))
        # A step sends all weights through the caches, so that what comes between two steps runs cold: NumPy's arg-max
        # took 20 microseconds there, the library's own greedy sampler a few.
        self._sampler = llama.llama_sampler_init_greedy()
        self._decode, self._choose = llama.llama_decode, llama.llama_sampler_sample
        self._prompts: Prompts = ()
        self._pieces: list[Piece] = []
        self._step = Piece(llama, [(0, 0)], {0})

    def __del__(self) -> None:
        """Give back the sampler and the context, then the model."""
        self._llama.llama_sampler_free(self._sampler)
        self._llama.llama_free(self._context)
        self._llama.llama_model_free(self._model)

    def request(self, prompts: Prompts, count: int) -> Generation:
        """Return requests that are led token by token."""
        return Generation(self, prompts, count)

    def prefill(self, prompts: Prompts) -> list[int]:
        """Forget all and read the prompts in batches of `BATCH` tokens; return the most likely token after each."""
        if prompts is not self._prompts:
            self._lay_out(prompts)
        self._llama.llama_memory_clear(self._memory, False)  # noqa: FBT003  # the library's own signature
        return [token for piece in self._pieces for token in self._read(piece)]

    def step(self, tokens: Sequence[int]) -> list[int]:
        """Read one more token of each text; return the most likely one after each."""
        self._step.tokens[:] = tokens
        return self._read(self._step)

    def rewind(self, length: int) -> None:
        """Forget all but each text's first `length` tokens; BackendError for an architecture that cannot."""
        if not self._llama.llama_memory_seq_rm(self._memory, -1, length, -1):
            raise BackendError("this architecture cannot go back in its memory: its phases cannot be measured apart")

    def logits(self, tokens: Sequence[int], first: int) -> F32:
        """Forget all, read the tokens at once, and return the logits after each from `first` on."""
        import numpy as np

        llama, count = self._llama, len(tokens)
        llama.llama_memory_clear(self._memory, False)  # noqa: FBT003  # the library's own signature
        batch = llama.llama_batch_init(count, 0, 1)
        try:
            batch.n_tokens = count
            for index, token in enumerate(tokens):
                batch.token[index], batch.pos[index], batch.n_seq_id[index] = token, index, 1
                batch.seq_id[index][0], batch.logits[index] = 0, index >= first
            self._decoded(batch)
            pointer = llama.llama_get_logits(self._context)
            found: F32 = np.ctypeslib.as_array(pointer, shape=(count - first, self.vocabulary)).copy()
        finally:
            llama.llama_batch_free(batch)
        return found

    def tokens_of(self, text: bytes) -> list[int]:
        """Return the tokens of a text; BackendError where the file brings no tokenizer."""
        if not self._facts.has_tokenizer:
            raise BackendError("the file has no tokenizer: a text cannot be read, only token ids (--prompt-tokens)")
        llama, most = self._llama, len(text) + 8
        for _ in range(2):
            array = (llama.llama_token * most)()
            count = llama.llama_tokenize(self._vocab, text, len(text), array, most, False, False)  # noqa: FBT003
            if count >= 0:
                return list(array[:count])
            most = -count  # some vocabularies spell a blank in three tokens
        raise BackendError("llama.cpp cannot turn the text into tokens: use plain text in UTF-8")

    def effective(self) -> dict[str, Any]:
        """Return architecture, weights by type, batch sizes, and the instruction sets that were compiled in."""
        llama = self._llama
        features = llama.llama_print_system_info().decode("utf-8", errors="replace")
        return {
            "device": "CPU",
            "threads": llama.llama_n_threads(self._context),
            "threads_batch": llama.llama_n_threads_batch(self._context),
            "architecture": self._facts.architecture,
            "parameters": self._facts.parameters,
            "weights": dict(self._facts.weights),
            "context": llama.llama_n_ctx(self._context),
            "sequences": llama.llama_n_seq_max(self._context),
            "cache_unified": False,
            "batch": llama.llama_n_batch(self._context),
            "micro_batch": llama.llama_n_ubatch(self._context),
            "cache_type": "F16",
            "flash_attention": "automatic",
            "compiled_for": features.strip()[:400],
        }

    def _lay_out(self, prompts: Prompts) -> None:
        """Cut prompts into batches, a text after the other as `llama-batched-bench` has them."""
        flat = [(token, text) for text, prompt in enumerate(prompts) for token in prompt]
        ends = {len(prompts[0]) * (text + 1) - 1 for text in range(len(prompts))}
        self._pieces = [
            Piece(self._llama, flat[at : at + BATCH], {end - at for end in ends if at <= end < at + BATCH})
            for at in range(0, len(flat), BATCH)
        ]
        self._step = Piece(self._llama, [(0, text) for text in range(len(prompts))], set(range(len(prompts))))
        self._prompts = prompts

    def _read(self, piece: Piece) -> list[int]:
        """Read a batch; return the most likely token after each of its outputs."""
        self._decoded(piece.batch)
        choose, sampler, context = self._choose, self._sampler, self._context
        return [choose(sampler, context, index) for index in piece.outputs]

    def _decoded(self, batch: Any) -> None:
        if code := self._decode(self._context, batch):
            raise BackendError(f"llama.cpp failed to read tokens (code {code}, {log_of(self._llama).why()})")
