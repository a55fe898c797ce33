"""The command `edgebench prepare`: makes a bundle on a workstation, or checks one."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from edgebench.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from edgebench.artifacts.bundle import Bundle

EXIT_OK, EXIT_FAILED = 0, 1


def prepare(arguments: argparse.Namespace, specs: tuple[str, ...], stdout: Console, stderr: Console) -> int:
    """Make the bundle that the command line asks for; what could not be prepared makes the exit code 1."""
    if arguments.check is not None:
        if arguments.suite is not None or arguments.output is not None:
            raise UsageError("--check only reads a bundle: give it neither a suite nor -o")
        return check(arguments.check, stdout)
    if arguments.suite is None or arguments.output is None:
        raise UsageError("name a suite and the bundle to make: edgebench prepare SUITE --platform pi -o DIR")
    if arguments.platform is None:
        raise UsageError("name the board that the bundle is for with --platform pi, jetson, n150 or any")
    from edgebench.artifacts.store import cache_folder
    from edgebench.cli_suite import make_plan
    from edgebench.machine.facts import usable_cpus
    from edgebench.measure.messages import ProbeSettings
    from edgebench.plan.estimate import work
    from edgebench.render.bundle import summary
    from edgebench.render.progress import LiveProgress, PlainProgress
    from edgebench.session.bundle import for_platform, make_bundle
    from edgebench.session.options import Options

    plan = for_platform(make_plan(arguments), arguments.platform)
    folder: Path = arguments.output
    options = Options(
        folder=folder,
        cache=cache_folder(),
        cpus=tuple(usable_cpus()),
        probes=ProbeSettings(specs, arguments.sysfs),
        data=arguments.data,
        weights=arguments.weights,
    )
    weights = {name: seconds for name, seconds in work(plan).items() if name.startswith("prepare ")}
    live = LiveProgress(stderr, weights, sum(weights.values())) if stderr.is_terminal else PlainProgress(stderr)
    with live as progress:
        manifest = make_bundle(plan, options, arguments.platform, folder, extend=arguments.force, progress=progress)
    stderr.print(f"bundle: {folder}: {summary(manifest)}", markup=False, highlight=False, soft_wrap=True)
    if manifest.failed:
        reason = f"{len(manifest.failed)} artifacts could not be prepared; the bundle says why"
        stderr.print(reason, markup=False, highlight=False, soft_wrap=True)
    return EXIT_FAILED if manifest.failed else EXIT_OK


def check(folder: Path, stdout: Console) -> int:
    """List what is in a bundle (or in each bundle of a folder) and check the digest of every file."""
    from edgebench.artifacts.bundle import open_bundle
    from edgebench.artifacts.manifest import MANIFEST_FILE
    from edgebench.render.bundle import bundle_table

    several = [] if (folder / MANIFEST_FILE).exists() else sorted(folder.glob(f"*/{MANIFEST_FILE}"))
    for path in [found.parent for found in several] or [folder]:
        bundle = open_bundle(path)
        stdout.print(bundle_table(path, bundle.manifest))
        bundle.verify()
        stdout.print(f"every digest is right ({len(bundle.manifest.files)} files)", highlight=False)
    return EXIT_OK


def bundle_of(arguments: argparse.Namespace) -> Bundle | None:
    """Return the bundle that `edgebench suite` is to measure from: ``--bundle``, else ``EDGEBENCH_BUNDLE``."""
    given = arguments.bundle or os.environ.get("EDGEBENCH_BUNDLE")
    if not given:
        return None
    if arguments.model is not None:
        if arguments.bundle is None:
            return None  # an image's own bundle says nothing of a model that was brought along
        raise UsageError("--bundle brings the models: leave --model out")
    if arguments.data is not None or arguments.weights is not None:
        raise UsageError(
            f"the bundle {given} brings models and data: leave --data and --weights out, or give them to "
            "'edgebench prepare'"
        )
    from edgebench.artifacts.bundle import find_bundle
    from edgebench.plan.suitefile import find_suite, read_suite

    return find_bundle(Path(given), read_suite(find_suite(arguments.suite))[0].name)
