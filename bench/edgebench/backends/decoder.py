"""What a runtime offers that generates text: read a prompt, give one token after the other, greedily."""

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
        """The bytes of the key-value cache that it holds room for; None where the runtime does not tell."""

    def logits(self, tokens: Sequence[int], first: int) -> F32:
        """Forget all, read the tokens, and return the logits [n - first, vocabulary] after each from `first` on."""

    def tokens_of(self, text: bytes) -> list[int]:
        """Return the tokens of a text, without one that begins it; raises BackendError where there is no tokenizer."""

    def effective(self) -> dict[str, Any]:
        """Return the settings the runtime really uses, JSON-ready."""

    def request(self, prompt: tuple[int, ...], count: int) -> Request:
        """Return the request that reads a prompt and generates `count` tokens."""


class Decoder(Reader, Protocol):
    """A model that is led token by token."""

    def prefill(self, tokens: Sequence[int]) -> int:
        """Forget all, read the prompt, and return the token after it."""

    def step(self, token: int) -> int:
        """Read one more token and return the one after it."""

    def rewind(self, length: int) -> None:
        """Forget all but the first `length` tokens."""


class Answerer(Reader, Protocol):
    """A model whose runtime leads it itself and only tells each token as it comes."""

    def answer(self, tokens: Sequence[int], count: int, stamps: Stamps) -> list[int]:
        """Forget all, read the prompt and generate `count` tokens; `stamps` gets the beginning and each token's time.

        In nanoseconds of `time.perf_counter_ns`.
        """


# The beginning of a request and the moment of each token, in nanoseconds of `time.perf_counter_ns`.
Stamps = MutableSequence[int]


def stamps_for(count: int) -> Stamps:
    """Return room for the stamps of a request that generates `count` tokens."""
    return array("q", bytes(8 * (count + 1)))


@dataclass(frozen=True, slots=True)
class Request(ABC):
    """One request, again and again: `prompt` is read, then `count` tokens are generated, the first by reading.

    It is the loaded model that its worker takes it for, and a pass of it (`base.LoadedModel`).
    """

    decoder: Reader
    prompt: tuple[int, ...]
    count: int

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

    def __call__(self) -> list[int]:
        """Make a request; return the generated tokens."""
        return self.stamped(stamps_for(self.count))

    @abstractmethod
    def stamped(self, stamps: Stamps) -> list[int]:
        """Make a request whose beginning and tokens are stamped; return the generated tokens."""

    @abstractmethod
    def prefill(self) -> int:
        """Forget all and read the prompt; return the first generated token."""


@dataclass(frozen=True, slots=True)
class Generation(Request):
    """A request that is led token by token, so that it can go back to the prompt's end and generate again."""

    decoder: Decoder

    def stamped(self, stamps: Stamps) -> list[int]:
        """Make a request whose beginning and tokens are stamped; return the generated tokens."""
        step, clock = self.decoder.step, time.perf_counter_ns
        stamps[0] = clock()
        token = self.prefill()
        stamps[1] = clock()
        found = [token]
        for index in range(2, self.count + 1):
            token = step(token)
            found.append(token)
            stamps[index] = clock()
        return found

    def prefill(self) -> int:
        """Forget all and read the prompt; return the first generated token."""
        return self.decoder.prefill(self.prompt)

    def decode(self, token: int) -> list[int]:
        """Generate the other tokens after the first one."""
        step = self.decoder.step
        return [token, *(token := step(token) for _ in range(self.count - 1))]

    def rewind(self) -> None:
        """Go back to the end of the prompt."""
        self.decoder.rewind(len(self.prompt))


@dataclass(frozen=True, slots=True)
class Answer(Request):
    """A request that the runtime leads itself: it always reads the prompt first."""

    decoder: Answerer

    def stamped(self, stamps: Stamps) -> list[int]:
        """Make a request whose beginning and tokens are stamped; return the generated tokens."""
        return self.decoder.answer(self.prompt, self.count, stamps)

    def prefill(self) -> int:
        """Read the prompt; return the first generated token."""
        return self.decoder.answer(self.prompt, 1, stamps_for(1))[0]
