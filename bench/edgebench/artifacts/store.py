"""The artifact store: what was trained, compressed or exported once is found again by the digest of its recipe."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import platformdirs

from edgebench.errors import CompressionError, UsageError
from edgebench.machine.claims import claimed_folder, sweep
from edgebench.measure.ledger import LedgerPhase
from edgebench.plan.digest import digest_of
from edgebench.report.records import ArtifactNotes, ArtifactRecord, PreparedOn

# Raise it when a change of code makes artifacts different that have the same recipe.
STORE_VERSION = 4
META_FILE = "artifact.json"
_BUILDING = ".building-"


def cache_folder() -> Path:
    """Return edgebench's cache folder: ``EDGEBENCH_CACHE``, else the user's cache folder."""
    if given := os.environ.get("EDGEBENCH_CACHE"):
        return Path(given)
    return Path(platformdirs.user_cache_dir("edgebench"))


@dataclass(frozen=True, slots=True)
class Artifact:
    """What a backend loads: `folder` holds `file` (``.`` for a torch checkpoint) and the ledger of its making.

    `digest` is over the content, `key` over the recipe; `notes` are facts for the report, such as where the weights
    came from. `size_bytes` is what the study calls size: the serialised weights, or the files the runtime opens.
    """

    key: str
    folder: Path
    file: str
    format: str
    digest: str
    size_bytes: int
    sparsity: float | None
    ledger: tuple[LedgerPhase, ...]
    notes: Mapping[str, Any]

    @property
    def path(self) -> Path:
        """The file or folder that the backend opens."""
        return self.folder / self.file

    def as_json(self) -> dict[str, Any]:
        """Return it as the JSON that workers and the journal carry."""
        return {
            "key": self.key,
            "folder": str(self.folder),
            "file": self.file,
            "format": self.format,
            "digest": self.digest,
            "size_bytes": self.size_bytes,
            "sparsity": self.sparsity,
            "ledger": msgspec.to_builtins(self.ledger),
            "notes": dict(self.notes),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Artifact:
        """Return the artifact that `as_json` wrote."""
        ledger = msgspec.convert(data["ledger"], tuple[LedgerPhase, ...])
        return cls(**{**data, "folder": Path(data["folder"]), "ledger": ledger})

    @classmethod
    def of_record(cls, record: ArtifactRecord) -> Artifact:
        """Return the artifact of a record."""
        return cls(
            key=record.key,
            folder=Path(record.folder),
            file=record.file,
            format=record.format,
            digest=record.digest,
            size_bytes=record.size_bytes,
            sparsity=record.sparsity,
            ledger=record.ledger,
            notes=msgspec.to_builtins(record.notes),
        )

    def record(self, reference: Artifact | None = None, prepared_on: PreparedOn | None = None) -> ArtifactRecord:
        """Return what the journal says of it."""
        return ArtifactRecord(
            key=self.key,
            folder=str(self.folder),
            file=self.file,
            format=self.format,
            digest=self.digest,
            size_bytes=self.size_bytes,
            sparsity=self.sparsity,
            ledger=self.ledger,
            notes=msgspec.convert(self.notes, ArtifactNotes),
            reference=None if reference is None else str(reference.path),
            prepared_on=prepared_on,
        )


class Store:
    """A folder of artifacts, one subfolder a recipe; finished ones appear by one rename, so none is ever half."""

    def __init__(self, root: Path) -> None:
        self.root = root / "artifacts"
        try:
            self.root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(
                f"the cache folder {root} cannot be made ({error.strerror}): set EDGEBENCH_CACHE to a writable folder"
            ) from None
        sweep(self.root, _BUILDING)

    def find(self, key: str) -> Artifact | None:
        """Return the stored artifact of a recipe if it is there and whole, with its phases marked as cached."""
        folder = self.root / key
        try:
            data = json.loads((folder / META_FILE).read_text(encoding="utf-8"))
            artifact = Artifact.from_json({**data, "folder": folder})
            # The digest is over the content only: what `file` names must be part of it.
            inside = artifact.path.resolve().is_relative_to(folder.resolve()) and artifact.path.exists()
            whole = inside and content_digest(folder) == artifact.digest
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError):
            whole = False
        if whole:
            return artifact
        # Changed or torn on disk: make it again rather than measure something else.
        shutil.rmtree(folder, ignore_errors=True)
        return None

    @contextlib.contextmanager
    def building(self, key: str) -> Iterator[Path]:
        """Give a fresh folder to build in; it becomes the artifact when `commit` was called, else it vanishes."""
        try:
            with claimed_folder(self.root, f"{_BUILDING}{key[:16]}-") as folder:
                yield folder
        except OSError as error:
            if error.errno == errno.ENOSPC:
                raise CompressionError(
                    f"no space left for artifacts in {self.root}: free some, or set EDGEBENCH_CACHE"
                ) from None
            raise

    def commit(
        self,
        folder: Path,
        key: str,
        *,
        file: str,
        format: str,  # noqa: A002  # the report's name for it
        ledger: Sequence[LedgerPhase],
        size_bytes: int | None = None,
        sparsity: float | None = None,
        notes: Mapping[str, Any] | None = None,
    ) -> Artifact:
        """Finish an artifact: digest its content, write its facts, and move it to its place."""
        sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
        target = self.root / key
        artifact = Artifact(
            key=key,
            folder=target,
            file=file,
            format=format,
            digest=content_digest(folder),
            size_bytes=sum(sizes) if size_bytes is None else size_bytes,
            sparsity=sparsity,
            ledger=tuple(ledger),
            notes=notes or {},
        )
        data = artifact.as_json()
        del data["folder"]
        (folder / META_FILE).write_text(json.dumps(data), encoding="utf-8")
        try:
            folder.rename(target)
        except OSError:
            # Another session finished the same recipe first, or a torn one stands there.
            if (found := self.find(key)) is not None:
                return found
            folder.rename(target)
        return artifact


def recipe_key(recipe: Mapping[str, Any], parents: Sequence[Artifact] = ()) -> str:
    """Return the digest of a recipe: what is done, with which versions, to which parents."""
    return digest_of([STORE_VERSION, dict(recipe), [parent.key for parent in parents]])


def content_digest(folder: Path) -> str:
    """SHA-256 over the names and contents of an artifact's files."""
    total = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name != META_FILE:
            with path.open("rb") as stream:
                total.update(f"{path.relative_to(folder)}\0".encode())
                total.update(hashlib.file_digest(stream, "sha256").digest())
    return f"sha256:{total.hexdigest()}"
