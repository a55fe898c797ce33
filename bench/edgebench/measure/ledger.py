"""What the making of a file costs, and what probes say of themselves and of an idle machine: facts for the journal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from edgebench.measure.messages import Message
from edgebench.measure.results import RunAnswer


class Absence(Message, frozen=True):
    """Why something is not there, and what would bring it."""

    reason: str
    fix: str | None = None


class PhaseEnergy(Message, frozen=True, kw_only=True):
    """Gross energy of a phase in one scope, with 1 sigma (random)."""

    energy_j: float
    uncertainty_j: float
    probe: str


class LedgerPhase(Message, frozen=True, kw_only=True):
    """One phase of making a file: seconds, peak memory of its process, joules by the label of a probe.

    `begin_s` and `end_s` place it in the session that ran it; in a later one (`cached`) they mean nothing.
    """

    phase: str
    seconds: float
    begin_s: float | None = None
    end_s: float | None = None
    peak_memory_bytes: int | None = None
    energy: Mapping[str, PhaseEnergy] = {}
    missing: Mapping[str, Absence] = {}
    cached: bool = False
    note: str | None = None


class MadePhase(Message, frozen=True, kw_only=True):
    """A phase that was run to be measured; `cpu_s` is its processor time."""

    cost: LedgerPhase
    cpu_s: float


class CompressResult(RunAnswer, frozen=True, kw_only=True, tag="compress"):
    """One making of a file from nothing, phase by phase, and what came out."""

    phases: tuple[MadePhase, ...]
    digest: str
    size_bytes: int
    format: str

    @property
    def values(self) -> tuple[float]:
        """The seconds of all phases together: one value a run."""
        return (sum(phase.cost.seconds for phase in self.phases),)


class ProbeFacts(Message, frozen=True, kw_only=True):
    """An open probe: `resolution` in J (counter) or W (power), `overhead_s` the seconds of one read.

    `accuracy` is relative, from the data sheet that `accuracy_source` cites.
    """

    name: str
    source: str
    scope: str
    kind: Literal["counter", "power"]
    resolution: float
    refresh_s: float
    overhead_s: float
    accuracy: float | None = None
    accuracy_source: str | None = None
    notes: Mapping[str, str] = {}


class MissingProbe(Message, frozen=True, kw_only=True):
    """A source of energy that could not be used."""

    name: str
    reason: str
    fix: str | None = None


class IdlePower(Message, frozen=True, kw_only=True):
    """Mean idle power of one scope over `windows` windows, with their standard deviation."""

    probe: str
    scope: str
    power_w: float
    stdev_w: float | None = None
    seconds: float
    windows: int
    when: Literal["before", "after"]
