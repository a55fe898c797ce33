"""What a session is asked, and how it tells its progress."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from edgebench.measure.messages import ProbeSettings

if TYPE_CHECKING:
    from edgebench.artifacts.bundle import Bundle


class Progress(Protocol):
    """What a session tells whoever watches it."""

    def step(self, stage: str, text: str) -> None:
        """Tell what happens now; `stage` is ``idle``, ``prepare`` or ``measure``."""

    def advance(self, name: str) -> None:
        """Tell that one run or artifact of that name is done."""

    def spare(self, name: str) -> None:
        """Tell that one run or artifact of that name needs no doing: it is done already, or cannot be had."""

    def power(self, watts: float, scope: str) -> None:
        """Tell the latest power of a scope."""

    def note(self, text: str) -> None:
        """Tell what a person should know now: a failed benchmark, a discarded run."""


@dataclass(frozen=True, slots=True)
class Options:
    """What a session needs besides its plan. `folder` holds the journal, `cpus` are the ones the workers may use.

    With a `bundle` the artifacts come from it, and `data` is its data set.
    """

    folder: Path
    cache: Path
    cpus: tuple[int, ...]
    probes: ProbeSettings = field(default_factory=ProbeSettings)
    data: Path | None = None
    weights: Path | None = None
    resume: bool = False
    bundle: Bundle | None = None
