"""A session's memory: every finished step as a record, in the journal before the next step starts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Literal, TypeVar

import msgspec

from edgebench.errors import ReportError
from edgebench.machine import interrupts
from edgebench.report.records import (
    AnyRecord,
    ArtifactOfRecord,
    ArtifactRecord,
    DiscardedRecord,
    EndRecord,
    FailedRecord,
    IdleRecord,
    LostRecord,
    PreparedRecord,
    ResourcesRecord,
    ResumedRecord,
    RoofRecord,
    RunRecord,
    SkippedRecord,
    StartRecord,
    read_record,
)

if TYPE_CHECKING:
    from edgebench.measure.ledger import IdlePower
    from edgebench.plan.plan import Plan
    from edgebench.report.journal import Journal

R = TypeVar("R", bound=AnyRecord)


class Log:
    """The records of a session, those of its killed predecessor first when it was resumed.

    `after` is told of each record once it is on disk; what it adds itself it is not told of.
    """

    def __init__(self, journal: Journal) -> None:
        """Read the journal's records. Raises ReportError for one that this edgebench does not know."""
        self._journal = journal
        try:
            self.records = [read_record(data) for data in journal.records()]
        except msgspec.ValidationError as error:
            raise ReportError(
                f"The journal {journal.path} holds a record that this edgebench does not read ({error}); "
                "remove it and start again."
            ) from None
        self.after: Callable[[AnyRecord], None] | None = None

    def add(self, record: R) -> R:
        """Append one record; it is on disk when this returns."""
        with interrupts.whole():
            self._journal.append(msgspec.to_builtins(record))
            self.records.append(record)
        if self.after is not None:
            told, self.after = self.after, None
            try:
                told(record)
            finally:
                self.after = told
        return record

    @property
    def start(self) -> StartRecord | None:
        """What was true before anything ran, or None before that."""
        return next(self._of(StartRecord), None)

    @property
    def ends(self) -> list[EndRecord]:
        """The end of each part of the session."""
        return list(self._of(EndRecord))

    @property
    def complete(self) -> bool:
        """Tell whether the last thing that happened is the end of everything planned."""
        last = self.records[-1] if self.records else None
        return isinstance(last, EndRecord) and last.complete

    def idle(self, when: Literal["before", "after"] | None = None) -> list[IdleRecord]:
        """Return the measurements of idle power."""
        return [record for record in self._of(IdleRecord) if when in (None, record.when)]

    def idle_powers(self) -> list[IdlePower]:
        """Return the idle power of every scope, in the order of measuring."""
        return [power for record in self._of(IdleRecord) for power in record.powers]

    def prepared(self) -> list[PreparedRecord]:
        """Return the processes that prepared."""
        return list(self._of(PreparedRecord))

    def artifact(self, cell: str) -> ArtifactRecord | None:
        """Return the artifact of a benchmark."""
        return next((record.artifact for record in self._of(ArtifactOfRecord) if record.cell == cell), None)

    def given_up(self, cell: str) -> FailedRecord | SkippedRecord | None:
        """Return why a benchmark is not measured; what failed before the session was resumed is tried again."""
        found: FailedRecord | SkippedRecord | None = self.skipped(cell)
        for record in self.records:
            if isinstance(record, FailedRecord) and record.cell == cell:
                found = found or record
            elif isinstance(record, ResumedRecord) and isinstance(found, FailedRecord):
                found = None
        return found

    def failed(self, cell: str) -> FailedRecord | None:
        """Return why a benchmark was given up the last time."""
        return next((record for record in reversed([*self._of(FailedRecord)]) if record.cell == cell), None)

    def finished(self, plan: Plan) -> bool:
        """Tell whether nothing of a plan could be resumed: each benchmark has its runs, or has none and is skipped.

        Where a precision is asked for, the fewest of them: measuring has gone on as long as there was something to do.
        """
        done = ((cell, len(self.runs(cell.name))) for cell in plan.benchmarks)
        return all(
            (not runs and self.skipped(cell.name) is not None)
            or (self.given_up(cell.name) is None and runs >= cell.measure.least_runs)
            for cell, runs in done
        )

    def skipped(self, cell: str) -> SkippedRecord | None:
        """Return why a benchmark cannot be measured here."""
        return next((record for record in self._of(SkippedRecord) if record.cell == cell), None)

    def runs(self, cell: str | None = None) -> list[RunRecord]:
        """Return the runs that count, of one benchmark or of all, in the order of measuring."""
        return [record for record in self._of(RunRecord) if cell in (None, record.cell)]

    def discarded(self, cell: str | None = None) -> list[DiscardedRecord]:
        """Return the runs that were measured again."""
        return [record for record in self._of(DiscardedRecord) if cell in (None, record.cell)]

    def measured_s(self, cell: str | None = None) -> float:
        """Return the seconds that runs took, those that were lost or discarded too, of one benchmark or of all."""
        kinds = RunRecord | DiscardedRecord | LostRecord | FailedRecord
        found = (record for record in self.records if isinstance(record, kinds) and cell in (None, record.cell))
        return sum(record.seconds or 0.0 for record in found)

    def roofs(self) -> list[RoofRecord]:
        """Return what the machine can do at most, one a thread count."""
        return list(self._of(RoofRecord))

    def resources(self) -> list[ResourcesRecord]:
        """Return the sampler's records."""
        return list(self._of(ResourcesRecord))

    def _of(self, kind: type[R]) -> Iterator[R]:
        return (record for record in self.records if isinstance(record, kind))
