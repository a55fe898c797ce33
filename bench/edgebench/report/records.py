"""The records of a session's journal, one frozen type each, and what they hold of artifacts; checked where read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, TypeAlias, TypeVar

import msgspec

from edgebench.machine.facts import ImageFacts, MachineFacts
from edgebench.machine.readers import SeriesInfo, Why
from edgebench.machine.sampling import SamplerClock
from edgebench.machine.state import State
from edgebench.measure.courses import SustainedResult
from edgebench.measure.ledger import CompressResult, IdlePower, LedgerPhase, MissingProbe, ProbeFacts
from edgebench.measure.messages import Clock, Message, RunClock, Shapes
from edgebench.measure.results import InferenceResult
from edgebench.measure.roof_messages import RoofResult

RunResult: TypeAlias = InferenceResult | SustainedResult | CompressResult
R = TypeVar("R", InferenceResult, SustainedResult, CompressResult)


class PreparedOn(Message, frozen=True, kw_only=True):
    """The other machine that made an artifact, and the packages that decide what it made."""

    cpu: str
    architecture: str
    os: str | None = None
    software: Mapping[str, str] = {}


class ArtifactNotes(Message, frozen=True, kw_only=True):
    """Where an artifact's weights came from, and whether they were trained.

    `shapes` are those of a user's own model, `macs_224` the multiply-accumulates of one pass at 224 pixels, `gpu` and
    `compute_capability` what an engine was built for.
    """

    weights: str | None = None
    trained: bool | None = None
    shapes: Shapes | None = None
    macs_224: int | None = None
    gpu: str | None = None
    compute_capability: str | None = None


class ArtifactRecord(Message, frozen=True, kw_only=True):
    """An artifact: `folder` holds `file`; `digest` is over its content, `key` over the recipe.

    `reference` is the file of what torch FP32 answers with its weights. `prepared_on` is there when another machine
    made it: the ledger is then that machine's.
    """

    key: str
    folder: str
    file: str
    format: str
    digest: str
    size_bytes: int
    sparsity: float | None = None
    ledger: tuple[LedgerPhase, ...] = ()
    notes: ArtifactNotes = ArtifactNotes()
    reference: str | None = None
    prepared_on: PreparedOn | None = None

    @property
    def path(self) -> Path:
        """The file or folder that the backend opens."""
        return Path(self.folder, self.file)


class BundleFacts(Message, frozen=True, kw_only=True):
    """The bundle that the artifacts came from."""

    digest: str
    platform: str
    edgebench: str
    created: str


class PhaseSpan(Message, frozen=True, kw_only=True):
    """When a phase of preparing ran."""

    phase: str
    begin_s: float
    end_s: float


class Record(Message, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of the journal's records; `cell` is the name of a benchmark, `turn` the number of its run."""


class StartRecord(Record, frozen=True, kw_only=True, tag="start"):
    """What is true before anything runs.

    `weights` is the digest of the state dict that was brought along, `commit` that of the user's project.
    """

    id: str
    created: str
    suite: str
    machine: MachineFacts
    state: State
    image: ImageFacts | None = None
    probes: tuple[ProbeFacts, ...] = ()
    probes_missing: tuple[MissingProbe, ...] = ()
    bundle: BundleFacts | None = None
    edgebench: str | None = None
    weights: str | None = None
    commit: str | None = None


class IdleRecord(Record, frozen=True, kw_only=True, tag="idle"):
    """Idle power; `failed` gives the reason of each scope without a figure."""

    when: Literal["before", "after"]
    powers: tuple[IdlePower, ...]
    failed: Mapping[str, str]
    clock: Clock


class PreparedRecord(Record, frozen=True, kw_only=True, tag="prepared"):
    """A process that prepared, or why it could not; `start_s` of its `seconds` went to starting and ending it."""

    cell: str
    seconds: float
    start_s: float
    error: str | None = None
    clock: Clock | None = None
    phases: tuple[PhaseSpan, ...] = ()


class ArtifactOfRecord(Record, frozen=True, kw_only=True, tag="artifact"):
    """The artifact that a benchmark measures."""

    cell: str
    artifact: ArtifactRecord


class LostRecord(Record, frozen=True, kw_only=True, tag="lost"):
    """A run that failed; it is measured again once."""

    cell: str
    turn: int
    reason: str
    seconds: float


class FailedRecord(Record, frozen=True, kw_only=True, tag="failed"):
    """A benchmark that is given up, its finished runs stay; `seconds` of the run that failed, None of preparing."""

    cell: str
    reason: str
    seconds: float | None = None


class SkippedRecord(Record, frozen=True, kw_only=True, tag="skipped"):
    """A benchmark that cannot be measured here."""

    cell: str
    reason: str


class DiscardedRecord(Record, frozen=True, kw_only=True, tag="discarded"):
    """A run that something disturbed; it was measured again."""

    cell: str
    turn: int
    reason: str
    seconds: float
    clock: RunClock


class RunRecord(Record, frozen=True, kw_only=True, tag="run"):
    """A run that counts; `place` is its number in the session's order, `disturbed` what disturbed it all the same."""

    cell: str
    turn: int
    place: int
    seconds: float
    start_s: float
    before: State
    after: State
    result: RunResult
    disturbed: str | None = None


class RoofRecord(Record, frozen=True, kw_only=True, tag="roof"):
    """What the machine can do at most with so many threads, measured at `created` (UTC), or why nobody knows."""

    threads: int
    created: str | None = None
    result: RoofResult | None = None
    error: str | None = None


class ResourcesRecord(Record, frozen=True, kw_only=True, tag="resources"):
    """Samples since the last step, each of its monotonic second and a value a series; `ended`: the sampler is gone."""

    rate_hz: float
    ended: bool
    series: tuple[SeriesInfo, ...] = ()
    missing: Mapping[str, Why] = {}
    samples: tuple[tuple[float | None, ...], ...] = ()
    clock: SamplerClock | None = None


class ResumedRecord(Record, frozen=True, kw_only=True, tag="resumed"):
    """A stopped session goes on: what had failed is tried again."""


class EndRecord(Record, frozen=True, kw_only=True, tag="end"):
    """The end of a session or of a stopped part of it."""

    seconds: float
    resumed: bool
    complete: bool
    temperature_c: float | None = None


AnyRecord: TypeAlias = (
    StartRecord
    | IdleRecord
    | PreparedRecord
    | ArtifactOfRecord
    | LostRecord
    | FailedRecord
    | SkippedRecord
    | DiscardedRecord
    | RunRecord
    | RoofRecord
    | ResourcesRecord
    | ResumedRecord
    | EndRecord
)


def read_record(data: object) -> AnyRecord:
    """Return the record that a line of the journal holds. Raises msgspec.ValidationError for anything else."""
    record: AnyRecord = msgspec.convert(data, AnyRecord)
    return record


def of_kind(runs: Sequence[RunRecord], kind: type[R]) -> list[R]:
    """Return the results of these runs that are of a kind: all of them, as the runs are of one benchmark."""
    return [run.result for run in runs if isinstance(run.result, kind)]
