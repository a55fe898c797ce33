"""Making a bundle on a workstation: every artifact that a platform's backends need, the data set, and the manifest."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from edgebench import __version__
from edgebench.artifacts.bundle import open_bundle, within
from edgebench.artifacts.families import family_versions
from edgebench.artifacts.manifest import (
    MANIFEST_FILE,
    Failure,
    Manifest,
    SuiteOf,
    Target,
    target_json,
)
from edgebench.artifacts.pack import Writer, unfinished, write_manifest, writing
from edgebench.artifacts.store import Store
from edgebench.backends.packages import installed_versions
from edgebench.backends.registry import backends_of
from edgebench.errors import BundleError, CompressionError, UsageError
from edgebench.machine import facts as machine
from edgebench.machine.claims import scratch, sweep_scratch
from edgebench.measure.probes import opened
from edgebench.plan.targets import carried, carried_target_of
from edgebench.report.journal import Journal
from edgebench.report.log import Log
from edgebench.report.origin import PreparedOn
from edgebench.report.records import ArtifactRecord
from edgebench.session.preparation import make_artifact
from edgebench_suites.data.load import load_data

if TYPE_CHECKING:
    from pydantic import JsonValue

    from edgebench.plan.plan import Plan
    from edgebench.session.options import Options, Progress


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
        raise CompressionError(f"nothing could be prepared, as {failed[0].reason}")
    progress.step("prepare", "writing the bundle")

    with writing(folder) as work:
        writer = Writer(work, Store(options.cache).root)
        if earlier is not None:
            writer.files |= earlier.files
        data = writer.add_data(load_data(options.data, seed=plan.seed, choice=plan.data.choice))
        if data.name != plan.dataset:
            raise BundleError(f"the data are {data.name} now, not {plan.dataset}: leave them alone while preparing")
        if earlier is not None and earlier.data is not None and earlier.data.digest != data.digest:
            raise BundleError(f"{folder}: holds other data than this: name another folder with -o")
        targets = [
            Target(
                target=entry.target,
                benchmark=entry.benchmark,
                artifact=writer.add_artifact(entry.artifact),
                prepared_on=_here(entry.family),
            )
            for entry in made
        ]
        if earlier is not None:
            new = [entry.target for entry in targets]
            targets += [kept for kept in earlier.targets if kept.target not in new]
        held = [entry.target for entry in targets]
        kept_files = {data.file}.union(*(entry.artifact.places for entry in targets))
        manifest = Manifest(
            edgebench=__version__,
            created=datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
            platform=platform,
            suite=SuiteOf(name=plan.name, digest=plan.suite_digest, seed=plan.seed, data=plan.dataset),
            data=data,
            targets=tuple(targets),
            failed=tuple(failure for failure in failed if failure.target not in held),
            files={name: file for name, file in writer.files.items() if within(name, kept_files)},
        ).sealed()
        write_manifest(work, manifest)
    return manifest


def _earlier(plan: Plan, platform: str, folder: Path, *, extend: bool) -> Manifest | None:
    """Return the manifest of the bundle that is to be extended; refuse any other folder that is not empty."""
    if not folder.parent.is_dir():
        raise UsageError(f"-o {folder}: its folder does not exist: make it first")
    if not folder.exists() or (folder.is_dir() and unfinished(folder)):
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


@dataclass(frozen=True, slots=True)
class _Made:
    """A target that was prepared: its artifact still lies in the store."""

    target: JsonValue
    benchmark: str
    artifact: ArtifactRecord
    family: str


def _prepare(plan: Plan, options: Options, progress: Progress) -> tuple[list[_Made], list[Failure]]:
    """Make every target of the plan once; return those made and those that failed."""
    made: list[_Made] = []
    failed: list[Failure] = []
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
            progress.step("prepare", f"{cell.params.model} {variant} for {family}", f"prepare {cell.name}")
            outcome = make_artifact(plan, cell, options, log, for_bundle=True)
            progress.advance(f"prepare {cell.name}")
            if isinstance(outcome, ArtifactRecord):
                made.append(_Made(target_json(target), cell.name, outcome, family))
            else:
                failed.append(Failure(target=target_json(target), benchmark=cell.name, reason=outcome.reason))
                progress.note(f"{cell.name} cannot be prepared: {outcome.reason}")
        journal.close()
    return made, failed


def _here(family: str) -> PreparedOn:
    """Return what the report says of this machine and of the packages that decide what was made."""
    facts = machine.describe(machine.usable_cpus())
    software = {**family_versions(family), **installed_versions("numpy")}
    return PreparedOn(cpu=facts.cpu, architecture=facts.architecture, os=facts.os, software=software)
