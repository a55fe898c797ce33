"""Writing a bundle's folder: artifacts and data under the digest of their content, and the manifest last.

A folder without a manifest is no bundle, so none is ever half. What lies under its digest never changes, so a bundle
that is extended stays whole at every moment too.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from edgebench.artifacts.bundle import open_bundle
from edgebench.artifacts.manifest import MANIFEST_FILE, PREFIX, Bundled, Data, File, Manifest
from edgebench.artifacts.store import META_FILE, content_digest
from edgebench.errors import BundleError
from edgebench_suites.data.saved import save_data

if TYPE_CHECKING:
    from edgebench.report.records import ArtifactRecord
    from edgebench_suites.data.dataset import Dataset

_ARTIFACTS, _DATA = "artifacts", "data"


def unfinished(folder: Path) -> bool:
    """Tell whether a folder holds no more than a bundle that was never finished: killed while it was written."""
    return {path.name for path in folder.iterdir()} <= {_ARTIFACTS, _DATA, f".{MANIFEST_FILE}"}


class Writer:
    """Copies artifacts and data into a bundle, each under the digest of its content, and lists their files."""

    def __init__(self, folder: Path, store: Path) -> None:
        self.folder = folder
        self.store = store
        self.files: dict[str, File] = {}
        self._moved: dict[str, str] = {}

    def add_artifact(self, record: ArtifactRecord) -> Bundled:
        """Copy an artifact of the store, unless it is there already, and return what the manifest says of it."""
        return Bundled.of(record, self._copied)

    def _copied(self, text: str) -> str:
        """Copy the artifact of the store that a path lies in, unless it was, and return the path in the bundle."""
        key, _, inside = text[len(f"{self.store}/") :].partition("/")
        if key not in self._moved:
            self._moved[key] = self._add_folder(self.store / key)
        return PREFIX + self._moved[key] + (f"/{inside}" if inside else "")

    def _add_folder(self, source: Path) -> str:
        name = f"{_ARTIFACTS}/{content_digest(source).removeprefix('sha256:')}"
        target = self.folder / name
        if not target.is_dir():
            # By one rename, as in the store; what describes the artifact stands in the manifest.
            draft = target.with_name(f".{uuid.uuid4().hex}")
            for path in sorted(source.rglob("*")):
                if path.is_file() and path.name != META_FILE:
                    copy = draft / path.relative_to(source)
                    copy.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(path, copy)
            draft.rename(target)
        for path in sorted(target.rglob("*")):
            if path.is_file():
                self._list(path)
        return name

    def add_data(self, dataset: Dataset) -> Data:
        """Write the data set, unless it is there already, and return what the manifest says of it."""
        name = f"{_DATA}/{dataset.digest}.npz"
        path = self.folder / name
        if name not in self.files:
            path.parent.mkdir(parents=True, exist_ok=True)
            save_data(dataset, path)
            self._list(path)
        return Data(
            file=name,
            name=dataset.name,
            digest=dataset.digest,
            classes=dataset.classes,
            train_images=len(dataset.train_labels),
            test_images=len(dataset.test_labels),
            note=dataset.note,
        )

    def _list(self, path: Path) -> None:
        with path.open("rb") as stream:
            sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
        self.files[str(path.relative_to(self.folder))] = File(sha256=sha256, size_bytes=path.stat().st_size)


@contextlib.contextmanager
def writing(folder: Path) -> Iterator[Path]:
    """Give the folder to write in: a new one that becomes `folder` by one rename, or `folder` itself if it is there."""
    there = folder.is_dir()
    work = folder if there else folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:8]}")
    try:
        (work / _ARTIFACTS).mkdir(parents=True, exist_ok=True)
        yield work
        if not there:
            work.rename(folder)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise BundleError(f"no space left for the bundle {folder}: free some, or name another disk") from None
        raise BundleError(
            f"{folder}: the bundle cannot be written ({error.strerror or error}): name another folder"
        ) from None
    finally:
        if there:
            _sweep(folder)
        else:
            shutil.rmtree(work, ignore_errors=True)


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write the manifest: the folder is a bundle from here on."""
    draft = folder / f".{MANIFEST_FILE}"
    try:
        with draft.open("w", encoding="utf-8") as stream:
            stream.write(manifest.text())
            stream.flush()
            os.fsync(stream.fileno())
        draft.replace(folder / MANIFEST_FILE)
    finally:
        draft.unlink(missing_ok=True)


def _sweep(folder: Path) -> None:
    """Remove what the manifest on disk does not list: left by a stop, or replaced."""
    try:
        listed = open_bundle(folder).manifest.files if (folder / MANIFEST_FILE).exists() else {}
    except BundleError:
        return
    for place in (folder / _ARTIFACTS, folder / _DATA):
        for path in [*sorted(place.rglob("*"), reverse=True), place]:
            with contextlib.suppress(OSError):
                if path.is_dir():
                    path.rmdir()  # stays unless it is empty
                elif str(path.relative_to(folder)) not in listed:
                    path.unlink()
