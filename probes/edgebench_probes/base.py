"""What every energy source is to its users: a probe with marks, and windows whose energy has an uncertainty."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import TracebackType
from typing import Literal, Self


class Scope(StrEnum):
    """What the joules of a source cover; never add or compare across scopes."""

    CORE = "core"
    UNCORE = "uncore"
    PACKAGE = "package"
    DRAM = "dram"
    PSYS = "psys"
    MODULE = "module"
    BOARD_DC = "board_dc"
    WALL_AC = "wall_ac"
    GPU = "gpu"


class ProbeError(Exception):
    """A source cannot be used: `reason` says why, `fix` what to do about it; the text is one sentence of both."""

    def __init__(self, reason: str, fix: str | None = None) -> None:
        super().__init__(f"{reason}; {fix}" if fix else reason)
        self.reason = reason
        self.fix = fix


class WindowInvalid(ProbeError):  # noqa: N818 - says what is so; the window is measured again, nothing broke
    """This window has no energy (reset, failed read, frozen counter, vanished zone, suspend): measure it again."""


@dataclass(frozen=True, slots=True)
class ProbeInfo:
    """What a source is.

    `resolution` is in J for a counter and in W for sampled power; `refresh_s` is the time between two new values;
    `accuracy` is the relative systematic error of a data sheet, 0 where none is published.
    """

    name: str
    source: str
    scope: Scope
    kind: Literal["counter", "power"]
    resolution: float
    refresh_s: float
    accuracy: float = 0.0


@dataclass(frozen=True, slots=True)
class Mark:
    """One edge of a window: `t_ns` on CLOCK_MONOTONIC; `state` belongs to the probe that made it."""

    t_ns: int
    state: object


@dataclass(frozen=True, slots=True)
class WindowEnergy:
    """The energy of one window.

    `uncertainty_j` is one standard deviation of the random error, `parts` its independent components (J, one sigma
    each). `systematic_j` comes from the data sheet and stands beside it. For a counter `samples` is 2, `max_gap_s` the
    whole window and `coverage` 1, as the counter itself integrates.
    """

    energy_j: float
    seconds: float
    uncertainty_j: float
    parts: Mapping[str, float]
    systematic_j: float
    samples: int
    max_gap_s: float
    coverage: float

    @property
    def power_w(self) -> float:
        """Mean power of the window."""
        return self.energy_j / self.seconds


class Probe(ABC):
    """A source of energy for one scope: open it, mark both edges of a window, ask for the energy between them."""

    @property
    @abstractmethod
    def info(self) -> ProbeInfo:
        """What this source is; the resolution may become finer known once the probe is open."""

    @abstractmethod
    def open(self) -> None:
        """Take the handles this source needs; raises ProbeError."""

    @abstractmethod
    def close(self) -> None:
        """Give everything back; harmless when nothing is open."""

    @abstractmethod
    def mark(self, *, sync: bool = True) -> Mark:
        """Mark an edge: `sync` waits for the source's next refresh. Raises WindowInvalid when the read fails."""

    @abstractmethod
    def energy(self, start: Mark, end: Mark) -> WindowEnergy:
        """Energy between two marks of this probe; raises WindowInvalid when it cannot be known."""

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()
