"""A bundle on the board: the artifacts that a plan asks for, read-only, each file checked against its digest."""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from edgebench.artifacts.manifest import MANIFEST_FILE, PREFIX, Manifest, read_manifest, target_json
from edgebench.errors import BundleError
from edgebench.plan.digest import digest_of
from edgebench.plan.targets import carried_target_of
from edgebench.report.records import ArtifactRecord, BundleFacts

if TYPE_CHECKING:
    from edgebench.plan.plan import Benchmark, Plan


@dataclass(frozen=True, slots=True)
class Bundle:
    """An opened bundle; `check` and `verify` it before anything of it is used."""

    folder: Path
    manifest: Manifest
    _records: dict[str, ArtifactRecord] = field(repr=False)
    _failures: dict[str, str] = field(repr=False)

    @property
    def data(self) -> Path | None:
        """The data set's file, where the suite has one."""
        return None if self.manifest.data is None else self.folder / self.manifest.data.file

    def facts(self) -> BundleFacts:
        """Return what the report says of the bundle."""
        made = self.manifest
        return BundleFacts(
            digest=f"sha256:{made.digest}", platform=made.platform, edgebench=made.edgebench, created=made.created
        )

    def artifact(self, cell: Benchmark) -> ArtifactRecord | None:
        """Return the record of a benchmark's artifact, or of what the board builds it from; or None.

        Paths are on this machine, phases marked as cached.
        """
        return self._records.get(digest_of(target_json(carried_target_of(cell))))

    def why_not(self, cell: Benchmark) -> str:
        """Say why a benchmark has no artifact here."""
        reason = self._failures.get(digest_of(target_json(carried_target_of(cell))))
        if reason is not None:
            return f"not in the bundle {self.folder}, as preparing it failed: {reason}"
        return (
            f"not in the bundle {self.folder}, which was prepared for {self.manifest.platform}: "
            "add it with 'edgebench prepare --force'"
        )

    def check(self, plan: Plan) -> None:
        """Raise BundleError unless the bundle was made for this plan's suite, seed, recipe and data set."""
        made = self.manifest.suite
        again = f"prepare it again with 'edgebench prepare {plan.name}'"
        if made.name != plan.name:
            raise BundleError(f"{self.folder}: was made for the suite '{made.name}', not '{plan.name}': {again}")
        if made.seed != plan.seed:
            raise BundleError(f"{self.folder}: was made with the seed {made.seed}, not {plan.seed}: {again}")
        if made.data != plan.dataset:
            raise BundleError(f"{self.folder}: was made with the data set {made.data}, not {plan.dataset}: {again}")
        if made.digest != plan.suite_digest:
            raise BundleError(
                f"{self.folder}: was made for another form of the suite '{plan.name}' "
                f"(its recipe, benchmarks or measuring differ): {again}"
            )

    def verify(self, plan: Plan | None = None) -> None:
        """Check the digest of every file that `plan` uses (None: of every file); BundleError names the first wrong."""
        used = None if plan is None else self._used(plan)
        for path, facts in self.manifest.files.items():
            if used is None or within(path, used):
                _check_file(self.folder, path, facts.size_bytes, facts.sha256)

    def _used(self, plan: Plan) -> set[str]:
        """Return the paths and folders of the bundle that the plan's benchmarks open."""
        wanted = {
            digest_of(target_json(carried_target_of(cell))) for cell in plan.benchmarks if cell.params.operator is None
        }
        used = set() if self.manifest.data is None else {self.manifest.data.file}
        for entry in self.manifest.targets:
            if digest_of(entry.target) in wanted:
                used |= entry.artifact.places
        return used


def find_bundle(folder: Path, suite: str) -> Bundle:
    """Open the bundle in `folder`, or where that holds several, the one in the subfolder called as the suite."""
    if not (folder / MANIFEST_FILE).exists() and folder.is_dir():
        several = sorted(path.parent.name for path in folder.glob(f"*/{MANIFEST_FILE}"))
        if suite in several:
            return open_bundle(folder / suite)
        if several:
            raise BundleError(
                f"{folder}: holds bundles of {', '.join(several[:20])}, none of '{suite}': "
                f"make one where torch is, with 'edgebench prepare {suite} -o DIR', and name it with --bundle DIR"
            )
    return open_bundle(folder)


def open_bundle(folder: Path) -> Bundle:
    """Read the manifest of a bundle and look up what it names; its files are checked by `verify`."""
    manifest = read_manifest(folder)
    root = folder.resolve()

    def real(text: str) -> str:
        path = text.removeprefix(PREFIX)
        listed = path in manifest.files or any(name.startswith(f"{path}/") for name in manifest.files)
        if not listed:
            raise BundleError(f"{folder}: an artifact names {path[:200]!r}, which is not listed: make the bundle again")
        return str(root / path)

    if manifest.data is not None and manifest.data.file not in manifest.files:
        raise BundleError(f"{folder}: its data set is not among its files: make the bundle again")
    records = {digest_of(entry.target): entry.record(real) for entry in manifest.targets}
    failures = {digest_of(failure.target): failure.reason for failure in manifest.failed}
    return Bundle(folder, manifest, records, failures)


def within(path: str, folders: Iterable[str]) -> bool:
    """Tell whether a path of the bundle is one of these, or lies in one of them."""
    return any(path == start or path.startswith(f"{start}/") for start in folders)


def _check_file(folder: Path, name: str, size_bytes: int, sha256: str) -> None:
    path = folder / name
    try:
        found = path.lstat()
        if not stat.S_ISREG(found.st_mode) or not path.resolve().is_relative_to(folder.resolve()):
            raise BundleError(f"{path}: is not a plain file of the bundle: copy the bundle again, without links")
        if found.st_size != size_bytes:
            raise BundleError(
                f"{path}: has {found.st_size} bytes in place of {size_bytes}, so it is cut off or changed: "
                "copy the bundle again"
            )
        with path.open("rb") as stream:
            actual = hashlib.file_digest(stream, "sha256").hexdigest()
    except FileNotFoundError:
        raise BundleError(f"{path}: is missing from the bundle: copy the bundle again") from None
    except OSError as error:
        raise BundleError(f"{path}: cannot be read ({error.strerror}): check its permissions") from None
    if actual != sha256:
        raise BundleError(f"{path}: was changed (its SHA-256 differs from the manifest's): copy the bundle again")
