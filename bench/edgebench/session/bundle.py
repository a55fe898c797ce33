"""Making a bundle on a workstation: every artifact that a platform's backends need, the data set, and the manifest.

The manifest is written last, by one rename: a folder without it is no bundle, so none is ever half. Artifacts lie under
the digest of their content and never change, so a bundle that is extended stays whole at every moment too.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from edgebench import __version__
from edgebench.artifacts.bundle import bundled, open_bundle, replaced, within
from edgebench.artifacts.families import family_versions
from edgebench.artifacts.manifest import MANIFEST_FILE, PREFIX, Data, File, Manifest, sealed, target_json
from edgebench.artifacts.store import META_FILE, content_digest
from edgebench.backends.packages import installed_versions
from edgebench.backends.registry import backends_of
from edgebench.errors import BundleError, CompressionError, UsageError
from edgebench.machine import facts as machine
from edgebench.machine.claims import scratch, sweep_scratch
from edgebench.measure.probes import opened
from edgebench.plan.targets import carried, carried_target_of
from edgebench.report.journal import Journal
from edgebench.report.log import Log
from edgebench.session.preparation import make_artifact
from edgebench_suites.data.load import load_data
from edgebench_suites.data.saved import save_data

if TYPE_CHECKING:
    from edgebench.plan.plan import Plan
    from edgebench.session.options import Options, Progress
    from edgebench_suites.data.dataset import Dataset

_ARTIFACTS, _DATA = "artifacts", "data"


def for_platform(plan: Plan, platform: str) -> Plan:
    """Return the plan with the benchmarks that need an artifact on a platform; UsageError when there is none."""
    backends = backends_of(platform)
    cells = tuple(cell for cell in plan.benchmarks if cell.params.operator is None and cell.params.backend in backends)
    if not cells:
        known = "" if platform == "any" else f" ({', '.join(backends)})"
        raise UsageError(
            f"{plan.name} has no benchmark that needs an artifact on '{platform}'{known}: no bundle needed"
        )
    return replace(plan, benchmarks=cells)


def make_bundle(
    plan: Plan, options: Options, platform: str, folder: Path, *, extend: bool, progress: Progress
) -> Manifest:
    """Prepare everything and write the bundle to `folder`, or add to the one there with `extend`.

    What fails is named in the manifest; BundleError or CompressionError when nothing can be written.
    """
    options = replace(options, cache=options.cache.absolute())
    earlier = _earlier(plan, platform, folder, extend=extend)
    with opened(options.probes):
        pass  # a probe that does not exist is found before anything is trained
    made, failed = _prepare(plan, options, progress)
    if not made:
        raise CompressionError(f"nothing could be prepared, as {failed[0]['reason']}")
    progress.step("prepare", "writing the bundle")

    with _writing(folder) as work:
        writer = _Writer(work, options.cache / _ARTIFACTS)
        if earlier is not None:
            writer.files |= earlier.files
        data = writer.add_data(load_data(options.data, seed=plan.seed, choice=plan.data.choice))
        if data.name != plan.dataset:
            raise BundleError(f"the data are {data.name} now, not {plan.dataset}: leave them alone while preparing")
        if earlier is not None and earlier.data is not None and earlier.data.digest != data.digest:
            raise BundleError(f"{folder}: holds other data than this: name another folder with -o")
        targets = [{**entry, "artifact": writer.packed(entry["artifact"])} for entry in made]
        if earlier is not None:
            new = [entry["target"] for entry in targets]
            targets += [kept.model_dump(mode="json") for kept in earlier.targets if kept.target not in new]
        held = [entry["target"] for entry in targets]
        kept_files = {data.file, *(path for entry in targets for path in bundled(entry["artifact"]))}
        manifest = sealed(
            {
                "edgebench": __version__,
                "created": datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
                "platform": platform,
                "suite": {
                    "name": plan.name,
                    "digest": plan.suite_digest,
                    "seed": plan.seed,
                    "data": plan.dataset,
                },
                "data": data,
                "targets": targets,
                "failed": [failure for failure in failed if failure["target"] not in held],
                "files": {name: file for name, file in writer.files.items() if within(name, kept_files)},
            }
        )
        _write_manifest(work, manifest)
    return manifest


def _earlier(plan: Plan, platform: str, folder: Path, *, extend: bool) -> Manifest | None:
    """Return the manifest of the bundle that is to be extended; refuse any other folder that is not empty."""
    if not folder.parent.is_dir():
        raise UsageError(f"-o {folder}: its folder does not exist: make it first")
    # An unfinished bundle (killed while it was written into a folder that was there) counts as nothing.
    own = {_ARTIFACTS, _DATA, f".{MANIFEST_FILE}"}
    if not folder.exists() or (folder.is_dir() and {path.name for path in folder.iterdir()} <= own):
        return None
    if not (folder / MANIFEST_FILE).is_file():
        raise UsageError(f"-o {folder}: is there and no bundle: name a new folder")
    if not extend:
        raise UsageError(f"-o {folder}: is a bundle already: --force adds to it, or name a new folder")
    bundle = open_bundle(folder)
    bundle.check(plan)
    if bundle.manifest.platform != platform:
        raise UsageError(f"-o {folder}: is a bundle for '{bundle.manifest.platform}': name another folder")
    bundle.verify()
    return bundle.manifest


def _prepare(plan: Plan, options: Options, progress: Progress) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Make every target of the plan once; return those made and those that failed, as the manifest has them."""
    made: list[dict[str, Any]] = []
    failed: list[dict[str, Any]] = []
    done = []
    sweep_scratch()
    with scratch() as work:
        journal = Journal.open(work / "journal", plan.digest)
        log = Log(journal)
        for cell in plan.benchmarks:
            target = carried_target_of(cell)
            if target in done:
                continue
            done.append(target)
            variant, family = carried(cell)
            progress.step("prepare", f"{cell.params.model} {variant} for {family}")
            outcome = make_artifact(plan, cell, options, log, for_bundle=True)
            progress.advance(f"prepare {cell.name}")
            entry = {"target": target_json(target), "benchmark": cell.name}
            if outcome.artifact is None:
                failed.append({**entry, "reason": outcome.error})
                progress.note(f"{cell.name} cannot be prepared: {outcome.error}")
            else:
                artifact = msgspec.to_builtins(outcome.artifact)
                made.append({**entry, "artifact": artifact, "prepared_on": _here(family)})
        journal.close()
    return made, failed


def _here(family: str) -> dict[str, Any]:

    facts = machine.describe(machine.usable_cpus())
    return {
        "cpu": facts.cpu,
        "architecture": facts.architecture,
        "os": facts.os,
        "software": {**family_versions(family), **installed_versions("numpy")},
    }


class _Writer:
    """Copies artifacts and data into a bundle, each under the digest of its content, and lists their files."""

    def __init__(self, folder: Path, store: Path) -> None:
        self.folder = folder
        self.store = store
        self.files: dict[str, Any] = {}
        self._moved: dict[str, str] = {}

    def packed(self, record: Mapping[str, Any]) -> Any:
        """Return an artifact's record with every path in the store replaced by its copy's in the bundle."""
        return replaced(dict(record), self._copied, marked=f"{self.store}/")

    def _copied(self, text: str) -> str:
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
def _writing(folder: Path) -> Iterator[Path]:
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


def _write_manifest(folder: Path, manifest: Manifest) -> None:
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
