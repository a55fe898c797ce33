"""How well a language model foresees a text: perplexity as `llama-perplexity` takes it, and agreement token by token.

The text is cut into windows that follow each other, each read from nothing; the tokens of a window's second half are
scored, so that every one has at least half a window before it. Where the model begins texts with a token of its own,
that stands in the place of a window's first.
"""

from __future__ import annotations

import math
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgebench.errors import BackendError
from edgebench.measure.results import DataFacts, Reading
from edgebench_suites.data import text as book

if TYPE_CHECKING:
    import numpy.typing as npt

    from edgebench.backends.decoder import Prompts, Reader
    from edgebench.measure.messages import ReadJob, TextJob

    I64 = npt.NDArray[np.int64]
    F32 = npt.NDArray[np.float32]

WINDOW = 256
FILE = "reading.npz"
MAX_BYTES = 256 * 2**20


@dataclass(frozen=True, slots=True)
class Answers:
    """Windows of a text [n, w] and the most likely token after each of their second halves [n, w // 2 - 1]."""

    windows: I64
    top: I64


def text_of(job: TextJob) -> bytes:
    """Return the text; BackendError where a user's file cannot be read or is no text."""
    if job.path is None:
        return book.test_text()
    path = Path(job.path)
    try:
        with path.open("rb") as stream:
            text = stream.read(book.MAX_TEXT_BYTES + 1)
    except OSError as error:
        raise BackendError(f"--text {path}: cannot be read ({error.strerror}): check name and permissions") from None
    if reason := book.why_no_text(text):
        raise BackendError(f"--text {path}: {reason}")
    return text


def tokens_of(decoder: Reader, job: TextJob) -> list[int]:
    """Return the text's tokens; BackendError for a file without tokenizer."""
    text = text_of(job)
    return list(text) if job.as_bytes else decoder.tokens_of(text)


def prompts_of(decoder: Reader, job: TextJob, length: int, count: int, seed: int) -> Prompts:
    """Return prompts of exactly `length` tokens: the text's first ones, then those that follow, `count` times.

    Where the text is short it begins again. Without a tokenizer and without a text that was asked for: seeded tokens,
    the same in every run.
    """
    try:
        tokens = tokens_of(decoder, job)
    except BackendError:
        if job.path is not None:
            raise
        tokens = [
            int(token) for token in np.random.default_rng(seed).integers(0, decoder.vocabulary, size=length * count)
        ]
    if not tokens:
        which = "the text that ships" if job.path is None else f"--text {job.path}"
        raise BackendError(f"{which}: the model's tokenizer makes no token of it: give another text (--text)")
    begin = () if decoder.begin is None else (decoder.begin,)
    text = cycle(tokens)
    return tuple((*begin, *islice(text, length - len(begin))) for _ in range(count))


def windows_of(decoder: Reader, tokens: Sequence[int], most: int) -> I64:
    """Return the windows [n, WINDOW] of the first `most` tokens; BackendError for a text shorter than one."""
    count = min(len(tokens), max(most, WINDOW)) // WINDOW
    if not count:
        raise BackendError(f"the text has {len(tokens)} tokens, and perplexity takes {WINDOW}: give a longer one")
    found: I64 = np.array(tokens[: count * WINDOW], dtype=np.int64).reshape(count, WINDOW)
    if decoder.begin is not None:
        found[:, 0] = decoder.begin
    return found


def scored(logits: F32, window: I64) -> tuple[float, I64]:
    """Return the summed negative log-likelihood of a window's second half, and the most likely tokens there.

    `logits` [w - w // 2, vocabulary] are those after each token from the middle on; the last foresees nothing in it.
    """
    wide = logits[:-1].astype(np.float64)
    wide -= wide.max(axis=1, keepdims=True)
    following = window[len(window) // 2 + 1 :]
    picked = wide[np.arange(len(wide)), following]
    return float((np.log(np.exp(wide).sum(axis=1)) - picked).sum()), wide.argmax(axis=1)


def answers(decoder: Reader, windows: I64) -> Iterator[tuple[float, I64]]:
    """Yield of each window what `scored` gives."""
    for window in windows:
        yield scored(decoder.logits([int(token) for token in window], WINDOW // 2), window)


def read(decoder: Reader, job: ReadJob) -> Reading:
    """Return how well a model foresees the text of a job, and how often it answers as its highest precision does."""
    windows = windows_of(decoder, tokens_of(decoder, job.text), job.tokens)
    found = list(answers(decoder, windows))
    top = np.stack([best for _, best in found])
    nll = sum(total for total, _ in found) / top.size
    if not math.isfinite(nll):
        raise BackendError("the model's outputs are not finite")
    same: float | None = None
    why_not: str | None = "there is no answer of a higher precision to compare with"
    if job.reference is not None:
        known = read_answers(Path(job.reference))
        if np.array_equal(known.windows, windows):
            same, why_not = float((known.top == top).mean()), None
        else:
            why_not = "the highest precision read another text"
    return Reading(nll=nll, scored=int(top.size), data=_facts(job.text, windows), same=same, why_not=why_not)


def _facts(job: TextJob, windows: I64) -> DataFacts:
    text = text_of(job)
    of = book.NOTE if job.path is None else "a text of your own"
    return DataFacts(
        name=book.NAME if job.path is None else Path(job.path).name[:100],
        digest=f"sha256:{book.text_digest(text)}",
        classes=0,
        train_images=0,
        test_images=len(windows),
        note=f"{of}; test_images counts windows of {WINDOW} tokens",
    )


def save_answers(path: Path, found: Answers) -> None:
    """Write what a model answers to a text, as NumPy arrays without pickles."""
    np.savez_compressed(path, allow_pickle=False, windows=found.windows, top=found.top)


def read_answers(path: Path) -> Answers:
    """Read what `save_answers` wrote; BackendError in one sentence where it is missing or damaged."""
    again = "prepare the artifact again"
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > MAX_BYTES:
                raise BackendError(f"{path}: holds more than {MAX_BYTES >> 20} MiB: {again}")
        with np.load(path, allow_pickle=False) as stored:
            arrays: dict[str, Any] = {name: stored[name] for name in ("windows", "top")}
        return Answers(arrays["windows"], arrays["top"])
    except (OSError, ValueError, KeyError, EOFError, TypeError, zipfile.BadZipFile, zlib.error):
        raise BackendError(f"{path}: is no file of a model's answers to a text: {again}") from None
