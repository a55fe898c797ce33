"""What a runtime offers that generates text: read prompts, give one token of each after the other, greedily."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from array import array
from collections.abc import Callable, Mapping, MutableSequence, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from edgebench.errors import BackendError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from edgebench.backends.base import Array, Layer, TensorSpec

    F32 = npt.NDArray[np.float32]


def too_long(name: str, limit: int, asked: int) -> str | None:
    """Say that a request of `asked` tokens is longer than a model was made for, with what to do, or None."""
    if asked <= limit:
        return None
    return (
        f"{name}: was made for {limit} tokens, and prompt and answer take {asked}: "
        "ask for less (--prompt-tokens, --generate)"
    )


def begins(plain: Sequence[int], whole: Sequence[int]) -> int | None:
    """Return the token that a tokenizer begins every text with, told from one text without and with such tokens."""
    return whole[0] if len(whole) > len(plain) and whole[0] != plain[0] else None


class Reader(Protocol):
    """A language model that is open; what it gives is its most likely next token, so that runs repeat."""

    @property
    def load_s(self) -> float:
        """Seconds spent reading the file."""

    @property
    def compile_s(self) -> float | None:
        """Seconds spent making it executable, the room for its cache among them; None as of `base.LoadedModel`."""

    @property
    def vocabulary(self) -> int:
        """How many tokens it knows."""

    @property
    def begin(self) -> int | None:
        """The token that every text begins with, None where there is none."""

    @property
    def cache_bytes(self) -> int | None:
        """The bytes of the key-value cache that it holds room for, of all its texts; None where nobody tells."""

    def logits(self, tokens: Sequence[int], first: int) -> F32:
        """Forget all, read the tokens, and return the logits [n - first, vocabulary] after each from `first` on."""

    def tokens_of(self, text: bytes) -> list[int]:
        """Return the tokens of a text, without one that begins it; raises BackendError where there is no tokenizer."""

    def effective(self) -> dict[str, Any]:
        """Return the settings the runtime really uses, JSON-ready."""

    def request(self, prompts: Prompts, count: int) -> Request:
        """Return the requests, made at once, that read a prompt each and generate `count` tokens each.

        Of as many prompts as the file was opened for (`LoadSpec.sequences`), or of one.
        """


class Decoder(Reader, Protocol):
    """A model that is led token by token, each of its texts by one."""

    def prefill(self, prompts: Prompts) -> list[int]:
        """Forget all, read the prompts, and return the token after each."""

    def step(self, tokens: Sequence[int]) -> list[int]:
        """Read one more token of each text and return the one after it."""

    def rewind(self, length: int) -> None:
        """Forget all but the first `length` tokens of each text."""


class Answerer(Reader, Protocol):
    """A model whose runtime leads it itself and only tells each token as it comes."""

    def answer(self, prompts: Prompts, count: int, stamps: Stamps) -> list[list[int]]:
        """Forget all, read the prompts and generate `count` tokens of each; return those of each.

        `stamps` gets the beginning and each step's time, in nanoseconds of `time.perf_counter_ns`.
        """


# Of one length, a text each.
Prompts = tuple[tuple[int, ...], ...]
# The beginning of a request and the moment of each step, in nanoseconds of `time.perf_counter_ns`.
Stamps = MutableSequence[int]


def stamps_for(count: int) -> Stamps:
    """Return room for the stamps of a request that generates `count` tokens."""
    return array("q", bytes(8 * (count + 1)))


@dataclass(frozen=True, slots=True)
class Request(ABC):
    """Requests made at once, again and again: `prompts` are read, then `count` tokens of each are generated.

    The first token comes from reading. `goes_back`: it can go back to the prompts' ends and generate again. It is the
    loaded model that its worker takes it for, and a pass of it (`base.LoadedModel`).
    """

    decoder: Reader
    prompts: Prompts
    count: int
    goes_back: bool = False

    @property
    def length(self) -> int:
        """The tokens of each prompt."""
        return len(self.prompts[0])

    @property
    def inputs(self) -> Sequence[TensorSpec]:
        """None that random data could be fed to."""
        return ()

    @property
    def load_s(self) -> float:
        """Seconds spent reading the file."""
        return self.decoder.load_s

    @property
    def compile_s(self) -> float | None:
        """Seconds spent making it executable."""
        return self.decoder.compile_s

    def bind(self, feeds: Mapping[str, Array]) -> Callable[[], object]:
        """Return the request itself."""
        del feeds
        return self

    def run(self, feeds: Mapping[str, Array]) -> list[Array]:
        """Refuse: what a request answers are tokens."""
        del feeds
        raise BackendError("a generating model has no outputs as arrays")

    def layers(self) -> list[Layer]:
        """Return none: no runtime that generates tells them."""
        return []

    def effective(self) -> dict[str, Any]:
        """Return the settings the runtime really uses."""
        return self.decoder.effective()

    def __call__(self) -> list[list[int]]:
        """Make the requests; return the generated tokens of each."""
        return self.stamped(stamps_for(self.count))

    @abstractmethod
    def stamped(self, stamps: Stamps) -> list[list[int]]:
        """Make the requests, their beginning and steps stamped; return the generated tokens of each."""

    @abstractmethod
    def prefill(self) -> list[int]:
        """Forget all and read the prompts; return the first generated token of each."""


@dataclass(frozen=True, slots=True)
class Generation(Request):
    """Requests that are led token by token, so that most can go back to the prompts' ends."""

    decoder: Decoder
    goes_back: bool = True

    def stamped(self, stamps: Stamps) -> list[list[int]]:
        """Make the requests, their beginning and steps stamped; return the generated tokens of each."""
        step, clock = self.decoder.step, time.perf_counter_ns
        stamps[0] = clock()
        tokens = self.prefill()
        stamps[1] = clock()
        found = [tokens]
        for index in range(2, self.count + 1):
            tokens = step(tokens)
            found.append(tokens)
            stamps[index] = clock()
        return _by_text(found)

    def prefill(self) -> list[int]:
        """Forget all and read the prompts; return the first generated token of each."""
        return self.decoder.prefill(self.prompts)

    def decode(self, tokens: list[int]) -> list[list[int]]:
        """Generate the other tokens after the first ones."""
        step = self.decoder.step
        return _by_text([tokens, *(tokens := step(tokens) for _ in range(self.count - 1))])

    def rewind(self) -> None:
        """Go back to the ends of the prompts."""
        self.decoder.rewind(self.length)


def _by_text(steps: Sequence[list[int]]) -> list[list[int]]:
    """Return the tokens of each text, of those of each step."""
    return [list(tokens) for tokens in zip(*steps, strict=True)]


@dataclass(frozen=True, slots=True)
class Answer(Request):
    """Requests that the runtime leads itself: it always reads the prompts first."""

    decoder: Answerer

    def stamped(self, stamps: Stamps) -> list[list[int]]:
        """Make the requests, their beginning and steps stamped; return the generated tokens of each."""
        return self.decoder.answer(self.prompts, self.count, stamps)

    def prefill(self) -> list[int]:
        """Read the prompts; return the first generated token of each."""
        return [tokens[0] for tokens in self.decoder.answer(self.prompts, 1, stamps_for(1))]
