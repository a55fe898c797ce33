"""What a session is asked, and how it tells its progress."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from edgebench.measure.messages import ProbeSettings

if TYPE_CHECKING:
    from edgebench.artifacts.bundle import Bundle
    from edgebench.report.metric import Watts


class Progress(Protocol):
    """What a session tells whoever watches it."""

    def step(self, stage: str, text: str, unit: str = "") -> None:
        """Tell what happens now; `stage` is ``idle``, ``prepare`` or ``measure``, `unit` what `advance` will name."""

    def expect(self, left: Mapping[str, int]) -> None:
        """Tell how many of each unit of work (`plan.estimate.work`) are still to be done."""

    def advance(self, name: str) -> None:
        """Tell that one unit of that name is done, or that there was nothing to do."""

    def meter(self, read: Callable[[], Watts | None]) -> None:
        """Tell where the present power can be read, at any moment."""

    def power(self, watts: Watts) -> None:
        """Tell the power of a run's windows, for probes that only the measuring process may open."""

    def note(self, text: str) -> None:
        """Tell what a person should know now: a failed benchmark, a discarded run."""


@dataclass(frozen=True, slots=True)
class Options:
    """What a session needs besides its plan. `folder` holds the journal, `cpus` are the ones the workers may use.

    With a `bundle` the artifacts come from it, and `data` is its data set. `commit` is that of the user's project,
    `unit` the name of this board among equal ones ("": none), None where nobody gave it one.
    """

    folder: Path
    cache: Path
    cpus: tuple[int, ...]
    probes: ProbeSettings = field(default_factory=ProbeSettings)
    data: Path | None = None
    weights: Path | None = None
    resume: bool = False
    bundle: Bundle | None = None
    commit: str | None = None
    unit: str | None = None
