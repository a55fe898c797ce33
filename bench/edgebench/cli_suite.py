"""The command `edgebench suite`: from its options to a plan, a session and a written report."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edgebench.cli_bundle import bundle_of
from edgebench.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from edgebench.plan.own import BringYourOwn
    from edgebench.plan.plan import Plan

EXIT_OK, EXIT_FAILED, EXIT_INTERRUPTED = 0, 1, 130


def suite(arguments: argparse.Namespace, specs: tuple[str, ...], stdout: Console, stderr: Console) -> int:
    """Run a suite to its report, or print its plan; the exit code tells how it ended."""
    bundle = bundle_of(arguments)
    plan = make_plan(arguments, dataset=None if bundle is None else bundle.manifest.suite.data)
    prepared = bundle is not None
    if bundle is not None:
        bundle.check(plan)
    if arguments.dry_run:
        from edgebench.plan.estimate import total_seconds
        from edgebench.render.plan import plan_table

        stdout.print(plan_table(plan, total_seconds(plan, prepared=prepared)))
        return EXIT_OK
    target, folder = report_target(arguments.output, plan.name)
    from edgebench.artifacts.store import cache_folder
    from edgebench.machine.facts import usable_cpus
    from edgebench.measure.messages import ProbeSettings
    from edgebench.plan.estimate import total_seconds, work
    from edgebench.render.progress import LiveProgress, PlainProgress
    from edgebench.render.terminal import closing
    from edgebench.report.io import dumps, write_report
    from edgebench.session.options import Options
    from edgebench.session.session import run_session

    options = Options(
        folder=folder,
        cache=cache_folder(),
        cpus=tuple(usable_cpus()),
        probes=ProbeSettings(specs, arguments.sysfs),
        data=arguments.data if bundle is None else bundle.data,
        weights=arguments.weights,
        resume=arguments.resume,
        bundle=bundle,
    )
    units, seconds = work(plan, prepared=prepared), total_seconds(plan, prepared=prepared)
    live = LiveProgress(stderr, units, seconds) if stderr.is_terminal else PlainProgress(stderr)
    with live as progress:
        if bundle is not None:
            progress.step("prepare", f"checking the bundle {bundle.folder}")
            bundle.verify(plan)
        session = run_session(plan, options, progress)
    if target is None:
        sys.stdout.write(dumps(session.report))
        sys.stdout.flush()
    else:
        session.release()
        write_report(session.report, target)
    session.close()
    stderr.print(closing(session.report))
    if target is not None:
        stderr.print(f"report: {target}", markup=False, highlight=False, soft_wrap=True)
    if session.interrupted:
        return EXIT_INTERRUPTED
    return EXIT_FAILED if any(cell.status == "failed" for cell in session.report.benchmarks) else EXIT_OK


def make_plan(arguments: argparse.Namespace, *, dataset: str | None = None) -> Plan:
    """Return the plan that the command line asks for; `dataset` is the name of a bundle's data set."""
    from edgebench.machine.facts import usable_cpus
    from edgebench.plan.plan import Overrides, load_plan

    if dataset is None:
        dataset = "digits"
    if arguments.data is not None:
        from edgebench.plan.suitefile import find_suite, read_suite
        from edgebench_suites.data.load import load_data

        head, _ = read_suite(find_suite(arguments.suite))
        dataset = load_data(arguments.data, seed=head.seed, choice=head.data.choice).name
    if arguments.weights is not None and not arguments.weights.is_file():
        raise UsageError(f"--weights {arguments.weights}: there is no such file: name a state dict saved by torch.save")
    cores = len(usable_cpus())
    if arguments.threads is not None and arguments.threads > len(os.sched_getaffinity(0)):
        raise UsageError(
            f"--threads {arguments.threads}: this process may use {len(os.sched_getaffinity(0))} processors"
        )
    overrides = Overrides(
        arguments.only,
        arguments.processes,
        arguments.values,
        arguments.threads,
        arguments.isa,
        arguments.passes,
        arguments.resources_hz,
    )
    own = _own_model(arguments.model, arguments.shape)
    return load_plan(arguments.suite, dataset=dataset, cores=cores, overrides=overrides, own=own)


def _own_model(path: Path | None, shapes: Sequence[str]) -> BringYourOwn | None:
    from edgebench.plan.own import own_model

    if path is None:
        if shapes:
            raise UsageError("--shape fixes the inputs of a model of yours: give --model FILE with it")
        return None
    return own_model(path, shapes)


def report_target(output: str | None, suite: str) -> tuple[Path | None, Path]:
    """Return where the report goes (None: standard output) and the folder that holds the journal meanwhile."""
    from edgebench.artifacts.store import cache_folder

    if output == "-" or (output is None and not sys.stdout.isatty()):
        folder = cache_folder() / "journals"
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"{folder}: cannot be made ({error.strerror}): set EDGEBENCH_CACHE") from None
        return None, folder
    if output is not None:
        target = Path(output)
        if target.is_dir():
            raise UsageError(f"-o {output}: is a folder: name a file in it")
        if not target.parent.is_dir():
            raise UsageError(f"-o {output}: its folder does not exist: make it first")
        return target, target.parent
    from datetime import UTC, datetime

    reports = Path("/reports")
    folder = reports if reports.is_dir() else Path.cwd()
    return folder / f"edgebench-{suite}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.json", folder


def list_suites(stdout: Console, stderr: Console) -> int:
    """Print the suites that ship."""
    from edgebench.plan.suitefile import builtin_suites, read_suite
    from edgebench.render.plan import suites_table

    stdout.print(suites_table([read_suite(path)[0] for path in builtin_suites().values()]))
    stderr.print("run one with: edgebench suite NAME", highlight=False)
    return EXIT_OK
