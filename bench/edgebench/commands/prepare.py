"""The command `edgebench prepare`: makes a bundle on a workstation, or checks one."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from edgebench.commands.console import leave_processors_alone, plain, probes_asked, stderr, stdout
from edgebench.commands.options import add_energy_options, add_suite_options, add_training_options, add_volume_options
from edgebench.commands.suite import make_plan
from edgebench.errors import EXIT_FAILED, EXIT_OK, UsageError

if TYPE_CHECKING:
    from edgebench.commands.console import Subparsers


def add(commands: Subparsers) -> None:
    """Add the command and its options."""
    prepare = commands.add_parser(
        "prepare",
        help="make a suite's models here, to be measured on a board",
        description="Train, compress and export everything that a suite needs on a board, as a bundle for "
        "'edgebench suite --bundle DIR' there.",
        epilog="exit codes: 0 ok, 1 something could not be prepared, 2 usage or invalid input, 130 interrupted",
    )
    prepare.add_argument("suite", nargs="?", metavar="NAME|FILE.toml", help="a suite that ships, or a file of yours")
    prepare.add_argument("--platform", choices=("pi", "jetson", "n150", "any"), help="the board it is for")
    prepare.add_argument("-o", "--output", metavar="DIR", type=Path, help="the folder to make")
    prepare.add_argument("--only", metavar="GLOB", help="only the benchmarks whose name matches")
    prepare.add_argument("--force", action="store_true", help="add to a bundle of this suite that is there")
    prepare.add_argument("--check", metavar="DIR", type=Path, help="list a bundle and check every digest instead")
    add_training_options(prepare.add_argument_group("model and data"))
    add_energy_options(prepare)
    add_volume_options(prepare)
    # What only measuring asks for, as if it were not given: both commands make their plan in the same way.
    measuring = argparse.ArgumentParser(add_help=False)
    add_suite_options(measuring)
    prepare.set_defaults(**vars(measuring.parse_args([])), command=_prepare)


def _prepare(arguments: argparse.Namespace) -> int:
    """Make the bundle that the command line asks for; what could not be prepared makes the exit code 1."""
    if arguments.check is not None:
        if arguments.suite is not None or arguments.output is not None:
            raise UsageError("--check only reads a bundle: give it neither a suite nor -o")
        return _check(arguments.check)
    leave_processors_alone()
    if arguments.suite is None or arguments.output is None:
        raise UsageError("name a suite and the bundle to make: edgebench prepare SUITE --platform pi -o DIR")
    if arguments.platform is None:
        raise UsageError("name the board that the bundle is for with --platform pi, jetson, n150 or any")
    from edgebench.artifacts.store import cache_folder
    from edgebench.machine.facts import usable_cpus
    from edgebench.plan.estimate import work
    from edgebench.plan.suites import open_suite
    from edgebench.render.bundle import summary
    from edgebench.render.progress import progress_on
    from edgebench.session.bundle import for_platform, make_bundle
    from edgebench.session.options import Options

    plan = for_platform(make_plan(arguments, open_suite(arguments.suite)), arguments.platform)
    console = stderr()
    folder: Path = arguments.output
    options = Options(
        folder=folder,
        cache=cache_folder(),
        cpus=tuple(usable_cpus()),
        probes=probes_asked(arguments),
        data=arguments.data,
        weights=arguments.weights,
    )
    weights = {name: seconds for name, seconds in work(plan).items() if name.startswith("prepare ")}
    with progress_on(console, weights, arguments.volume) as progress:
        manifest = make_bundle(plan, options, arguments.platform, folder, extend=arguments.force, progress=progress)
    plain(console, f"bundle: {folder}: {summary(manifest)}")
    if manifest.failed:
        plain(console, f"{len(manifest.failed)} artifacts could not be prepared; the bundle says why")
    return EXIT_FAILED if manifest.failed else EXIT_OK


def _check(folder: Path) -> int:
    """List what is in a bundle (or in each bundle of a folder) and check the digest of every file."""
    from edgebench.artifacts.bundle import open_bundle
    from edgebench.artifacts.manifest import MANIFEST_FILE
    from edgebench.render.bundle import bundle_table

    console = stdout()
    several = [] if (folder / MANIFEST_FILE).exists() else sorted(folder.glob(f"*/{MANIFEST_FILE}"))
    for path in [found.parent for found in several] or [folder]:
        bundle = open_bundle(path)
        console.print(bundle_table(path, bundle.manifest))
        bundle.verify()
        console.print(f"every digest is right ({len(bundle.manifest.files)} files)", highlight=False)
    return EXIT_OK
