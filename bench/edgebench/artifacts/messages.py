"""What the preparer and the maker are asked and what they answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias

from edgebench.backends.feeds import Calibration, Feed
from edgebench.backends.inputs import ModelInput
from edgebench.measure.ledger import MadePhase
from edgebench.measure.messages import Answer, EvaluateJob, Job, Message, ProbeSettings, ReadJob
from edgebench.measure.results import Quality
from edgebench.report.records import ArtifactRecord
from edgebench_suites.data.dataset import DataChoice

# What a field of a suite file's recipe holds; `plan.suitefile.Recipe` says which are right.
RecipeValue: TypeAlias = bool | int | float | str | tuple[str, ...]


# What the preparer says on standard output once the trained model is there that its artifact starts from.
BASE_MADE = "edgebench: the trained model is there"


class OwnModel(Job, frozen=True, kw_only=True):
    """A user's model file; `beside` are its other files, relative to its folder.

    `feeds` has every input with its shape and what it is fed, `calibration` the user's samples for quantisers.
    """

    path: str
    format: str
    digest: str
    feeds: tuple[Feed, ...]
    beside: tuple[str, ...] = ()
    calibration: Calibration | None = None


class LookJob(Job, frozen=True):
    """Asks which inputs a user's model declares."""

    path: str
    cpus: tuple[int, ...]


class Seen(Answer, frozen=True, kw_only=True, tag="seen"):
    """The inputs of a model."""

    inputs: tuple[ModelInput, ...]


class PrepareJob(Job, frozen=True, kw_only=True):
    """One artifact; `parent` is what a bundle holds of it, `shapes` are those an engine is built for.

    `read` is there where a model generates: what its highest precision reads.
    """

    model: str
    width: float
    variant: str
    family: str
    recipe: Mapping[str, RecipeValue]
    shapes: tuple[tuple[int, ...], ...]
    seed: int
    cpus: tuple[int, ...]
    cache: str
    data: str | None
    choice: DataChoice
    weights: str | None
    own: OwnModel | None
    parent: ArtifactRecord | None
    probes: ProbeSettings
    read: ReadJob | None = None


class Prepared(Answer, frozen=True, kw_only=True, tag="prepared"):
    """The artifact that was made or found."""

    artifact: ArtifactRecord


class PhaseJob(Job, frozen=True, kw_only=True):
    """One phase of making a file from the torch checkpoint `base`, in the folder `scratch`.

    The `last` one tells of the file, and of its quality where `evaluate` asks for it. `size` is the training size.
    """

    phase: Literal["export", "build"]
    step: str | None
    last: bool
    base: str
    scratch: str
    model: str
    width: float
    backend: str
    family: str
    precision: str
    threads: int
    cpus: tuple[int, ...]
    seed: int
    size: int
    shapes: tuple[tuple[int, ...], ...]
    engine_int8: str
    calibration_images: int
    data: str | None
    choice: DataChoice
    probes: ProbeSettings
    evaluate: EvaluateJob | None = None


class MadeFile(Message, frozen=True, kw_only=True):
    """The file that the last phase left."""

    size_bytes: int
    digest: str
    format: str
    versions: Mapping[str, str]
    quality: Quality | None = None


class PhaseMade(Answer, frozen=True, kw_only=True, tag="phase"):
    """What a phase cost, and the file where it was the last."""

    phase: MadePhase
    file: MadeFile | None = None
