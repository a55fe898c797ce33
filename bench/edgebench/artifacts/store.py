"""The artifact store: what was trained, compressed or exported once is found again by the digest of its recipe."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import platformdirs

from edgebench.errors import CompressionError, UsageError
from edgebench.machine.claims import claimed_folder, sweep
from edgebench.plan.digest import digest_of
from edgebench.report.records import ArtifactRecord

# Raise it when a change of code makes artifacts different that have the same recipe.
STORE_VERSION = 3
META_FILE = "artifact.json"
_BUILDING = ".building-"


def cache_folder() -> Path:
    """Return edgebench's cache folder: ``EDGEBENCH_CACHE``, else the user's cache folder."""
    if given := os.environ.get("EDGEBENCH_CACHE"):
        return Path(given)
    return Path(platformdirs.user_cache_dir("edgebench"))


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

    def find(self, key: str) -> ArtifactRecord | None:
        """Return the stored artifact of a recipe if it is there and whole."""
        folder = self.root / key
        try:
            data = json.loads((folder / META_FILE).read_text(encoding="utf-8"))
            artifact = msgspec.convert({**data, "folder": str(folder)}, ArtifactRecord)
            # The digest is over the content only: what `file` names must be part of it.
            inside = artifact.path.resolve().is_relative_to(folder.resolve()) and artifact.path.exists()
            whole = inside and content_digest(folder) == artifact.digest
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, msgspec.ValidationError):
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

    def commit(self, folder: Path, artifact: ArtifactRecord) -> ArtifactRecord:
        """Finish an artifact: write its facts and move it to its place; its `folder` becomes that place."""
        target = self.root / artifact.key
        facts = msgspec.to_builtins(artifact)
        del facts["folder"]
        (folder / META_FILE).write_text(json.dumps(facts), encoding="utf-8")
        try:
            folder.rename(target)
        except OSError:
            # Another session finished the same recipe first, or a torn one stands there.
            if (found := self.find(artifact.key)) is not None:
                return found
            folder.rename(target)
        return msgspec.structs.replace(artifact, folder=str(target))


def recipe_key(recipe: Mapping[str, Any], parent: ArtifactRecord | None = None) -> str:
    """Return the digest of a recipe: what is done, with which versions, to which parent."""
    return digest_of([STORE_VERSION, dict(recipe), [] if parent is None else [parent.key]])


def folder_bytes(folder: Path) -> int:
    """Return the size of all files in a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def content_digest(folder: Path) -> str:
    """SHA-256 over the names and contents of an artifact's files."""
    total = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name != META_FILE:
            with path.open("rb") as stream:
                total.update(f"{path.relative_to(folder)}\0".encode())
                total.update(hashlib.file_digest(stream, "sha256").digest())
    return f"sha256:{total.hexdigest()}"
