"""What the highest precision of a language model answers to a text, made once beside its artifacts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgebench.artifacts.chain import Content
from edgebench.backends.base import LoadSpec
from edgebench.backends.registry import resolve, rows
from edgebench.compress.checkpoint import load_checkpoint
from edgebench.errors import BackendError
from edgebench.measure.phases import phase
from edgebench.measure.reading import FILE, WINDOW, Answers, answers, save_answers, text_of, tokens_of, windows_of
from edgebench_suites.data.text import text_digest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgebench.artifacts.chain import Chain, Ledger
    from edgebench.backends.decoder import Reader
    from edgebench.measure.messages import ReadJob
    from edgebench.report.records import ArtifactRecord


class _TorchReader:
    """As much of a decoder as reading needs: logits of the torch model."""

    begin: int | None = None

    def __init__(self, module: Any) -> None:
        self._module = module

    def logits(self, tokens: Sequence[int], first: int) -> Any:
        """Return the logits after each token from `first` on."""
        import torch

        with torch.inference_mode():
            found, _ = self._module(torch.tensor([list(tokens)]))
            return found[0, first:].numpy()

    def tokens_of(self, text: bytes) -> list[int]:
        """Return the bytes of a text."""
        return list(text)


def reading(chain: Chain, parent: ArtifactRecord) -> ArtifactRecord | None:
    """Return what a torch model of the zoo answers to the text."""

    def reader() -> Any:
        module, _ = load_checkpoint(parent.path)
        return _TorchReader(module)

    return _link(chain, parent, reader)


def reading_in(chain: Chain, parent: ArtifactRecord) -> ArtifactRecord | None:
    """Return what a user's file as it is answers in the runtime that opens it; None where it reads no text."""

    def reader() -> Any:
        row = next(row for row in rows().values() if row.decoder and parent.format in row.formats)
        spec = LoadSpec(parent.path, parent.format, len(chain.job.cpus), "fp32")
        found: Reader = resolve(row.decoder)(spec, WINDOW)
        return found

    try:
        return _link(chain, parent, reader)
    except BackendError:
        return None  # the benchmark itself says why it cannot be read


def _link(chain: Chain, parent: ArtifactRecord, reader: Any) -> ArtifactRecord | None:
    asked: ReadJob | None = chain.job.read
    if asked is None:
        return None
    facts = {"text": text_digest(text_of(asked.text)), "tokens": asked.tokens, "window": WINDOW}

    def work(folder: Path, ledger: Ledger) -> Content:
        with phase("reading", ledger, chain.probes):
            decoder = reader()
            windows = windows_of(decoder, tokens_of(decoder, asked.text), asked.tokens)
            top = np.stack([best for _, best in answers(decoder, windows)])
            save_answers(folder / FILE, Answers(windows, top))
        return Content()

    return chain.link("reading", parent.format, parent, facts, work, file=FILE, form="reading")
