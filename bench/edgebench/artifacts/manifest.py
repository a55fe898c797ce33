"""The manifest of a bundle, `bundle.json`: what is in it, for whom it was made, and the digest of every file."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec
from pydantic import (
    AfterValidator,
    Field,
    JsonValue,
    PlainSerializer,
    PlainValidator,
    StringConstraints,
    ValidationError,
)

from edgebench import __version__
from edgebench.errors import BundleError
from edgebench.measure.ledger import LedgerPhase
from edgebench.measure.messages import Message
from edgebench.plan.digest import digest_of
from edgebench.report.base import Count, Few, Name, Part, Text
from edgebench.report.origin import PreparedOn
from edgebench.report.records import ArtifactNotes, ArtifactRecord
from edgebench.report.records import PreparedOn as PreparedElsewhere

SCHEMA: Final = "edgebench.bundle/1"
MANIFEST_FILE: Final = "bundle.json"
MAX_BYTES = 64 * 2**20
# What stands before a path inside the bundle in an artifact's record; on the board it becomes a real path again.
PREFIX: Final = "bundle:"


def _inside(path: str) -> str:
    if path.startswith("/") or not path.isprintable() or {"", ".", ".."} & set(path.split("/")):
        raise ValueError("it is no plain path inside the bundle")
    return path


BundlePath = Annotated[str, StringConstraints(min_length=1, max_length=400), AfterValidator(_inside)]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class File(Part):
    """One file of the bundle."""

    sha256: Sha256
    size_bytes: Count


class Data(Part):
    """The data set as a `.npz` of the bundle; `digest` is over its arrays."""

    file: BundlePath
    name: Name
    digest: Sha256
    classes: Count
    train_images: Count
    test_images: Count
    note: Text = ""


class SuiteOf(Part):
    """The suite that the bundle was made for, as the plan has it; `data` is the name of the plan's data set."""

    name: Name
    digest: Sha256
    seed: int
    data: Name


class Reference(Message, frozen=True, kw_only=True):
    """The file of what torch FP32 answers; earlier versions wrote its whole record."""

    path: str


class Bundled(Message, frozen=True, kw_only=True):
    """An artifact's record in a bundle: as the journal has it, but `folder`, `path` and the reference's lie inside.

    Every field is written, as earlier versions of edgebench read all of them.
    """

    key: str
    folder: str
    file: str
    path: str
    format: str
    digest: str
    size_bytes: int
    sparsity: float | None
    ledger: tuple[LedgerPhase, ...]
    notes: ArtifactNotes
    reference: Reference | None = None

    @classmethod
    def of(cls, record: ArtifactRecord, inside: Callable[[str], str]) -> Bundled:
        """Return it of an artifact; `inside` copies a path of the store and says where it lies in the bundle."""
        return cls(
            key=record.key,
            folder=inside(record.folder),
            file=record.file,
            path=inside(str(record.path)),
            format=record.format,
            digest=record.digest,
            size_bytes=record.size_bytes,
            sparsity=record.sparsity,
            # When a phase ran means nothing on another machine.
            ledger=tuple(msgspec.structs.replace(phase, begin_s=None, end_s=None) for phase in record.ledger),
            notes=record.notes,
            reference=None if record.reference is None else Reference(path=inside(record.reference)),
        )

    def record(self, real: Callable[[str], str], prepared_on: PreparedElsewhere) -> ArtifactRecord:
        """Return the artifact as the board has it: `real` paths, its phases marked as cached.

        `real` refuses a path that the manifest does not list.
        """
        real(self.path)
        return ArtifactRecord(
            key=self.key,
            folder=real(self.folder),
            file=self.file,
            format=self.format,
            digest=self.digest,
            size_bytes=self.size_bytes,
            sparsity=self.sparsity,
            ledger=tuple(msgspec.structs.replace(phase, cached=True) for phase in self.ledger),
            notes=self.notes,
            reference=None if self.reference is None else real(self.reference.path),
            prepared_on=prepared_on,
        )

    @property
    def places(self) -> set[str]:
        """The paths and folders inside the bundle that it names."""
        named = {self.folder, self.path} | ({self.reference.path} if self.reference else set())
        return {path.removeprefix(PREFIX) for path in named}


def _bundled(data: object) -> Bundled:
    try:
        record = msgspec.convert(data, Bundled)
    except msgspec.ValidationError as error:
        raise ValueError(str(error)) from None
    if record.path != str(Path(record.folder, record.file)):
        raise ValueError("its path is not that of its file")
    return record


class Target(Part):
    """One artifact: `target` is what benchmarks ask for (model, variant, family, recipe …), `artifact` its record."""

    target: JsonValue
    benchmark: Name
    artifact: Annotated[Bundled, PlainValidator(_bundled), PlainSerializer(msgspec.to_builtins)]
    prepared_on: PreparedOn

    def record(self, real: Callable[[str], str]) -> ArtifactRecord:
        """Return the artifact as the board has it."""
        on = self.prepared_on
        made = PreparedElsewhere(cpu=on.cpu, architecture=on.architecture, os=on.os, software=on.software)
        return self.artifact.record(real, made)


class Failure(Part):
    """A target that could not be made, and why."""

    target: JsonValue
    benchmark: Name
    reason: Text


class Manifest(Part):
    """The whole manifest; `digest` is over all other fields and names the bundle."""

    schema_: Literal["edgebench.bundle/1"] = Field(default=SCHEMA, alias="schema")
    digest: Sha256 = "0" * 64
    edgebench: Name
    created: Name
    platform: Name
    suite: SuiteOf
    data: Data | None = None
    targets: Few[Target]
    failed: Few[Failure] = ()
    files: Annotated[dict[BundlePath, File], Field(max_length=100_000)]

    def sealed(self) -> Manifest:
        """Return it with its digest."""
        return self.model_copy(update={"digest": _own_digest(self.model_dump(mode="json"))})

    def text(self) -> str:
        """Return the file's content."""
        return json.dumps(self.model_dump(mode="json"), indent=1, sort_keys=True) + "\n"


def target_json(target: tuple[Any, ...]) -> Any:
    """Return what `targets.target_of` gives as plain JSON, equal on every machine."""
    dumped = [part.model_dump(mode="json") if hasattr(part, "model_dump") else part for part in target]
    return json.loads(json.dumps(dumped))


def compatible(version: str) -> bool:
    """Tell whether a bundle of that version of edgebench can be measured by this one: major and minor are equal."""
    return version.split(".")[:2] == __version__.split(".")[:2]


def read_manifest(folder: Path) -> Manifest:
    """Read and check a bundle's manifest (not its files); BundleError says in one sentence what is wrong."""
    path = folder / MANIFEST_FILE
    try:
        with path.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        raise BundleError(f"{folder} is no bundle (no {MANIFEST_FILE}): make one with 'edgebench prepare'") from None
    except OSError as error:
        raise BundleError(f"{path}: cannot be read ({error.strerror}): check its permissions") from None
    if len(content) > MAX_BYTES:
        raise BundleError(f"{path}: is larger than the {MAX_BYTES >> 20} MiB of a manifest: make the bundle again")
    try:
        data = json.loads(content.decode("utf-8"))
    except (ValueError, RecursionError):
        raise BundleError(f"{path}: is cut off or changed, as it is not JSON: copy the bundle again") from None
    schema = data.get("schema") if isinstance(data, dict) else None
    if not isinstance(schema, str) or not schema.startswith("edgebench.bundle/"):
        raise BundleError(f"{path}: is no manifest of a bundle: make one with 'edgebench prepare'")
    version = str(data.get("edgebench"))[:40]
    if schema != SCHEMA or not compatible(version):
        raise BundleError(
            f"{folder}: was made by edgebench {version!r} ({schema[:40]!r}), this is {__version__} ({SCHEMA}): "
            "prepare it again with this version"
        )
    try:
        manifest = Manifest.model_validate(data)
        whole = manifest.digest == _own_digest(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(str(part)[:60] for part in first["loc"]) or "the whole"
        raise BundleError(f"{path}: {where} is wrong ({first['msg'].lower()[:200]}): copy the bundle again") from None
    except (RecursionError, ValueError):
        raise BundleError(f"{path}: is nested too deeply for a manifest: make the bundle again") from None
    if not whole:
        raise BundleError(f"{path}: was changed after it was made (its digest differs): copy the bundle again")
    return manifest


def _own_digest(data: Mapping[str, Any]) -> str:
    return digest_of({key: value for key, value in data.items() if key != "digest"})
