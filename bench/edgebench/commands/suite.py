"""The command `edgebench suite`: from its options to a plan, a session and a written report."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from edgebench.commands.console import EPILOG, leave_processors_alone, plain, probes_asked, stderr, stdout
from edgebench.commands.options import add_suite_options, add_volume_options
from edgebench.commands.targets import report_target, to_stdout
from edgebench.errors import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_OK, ReportError, UsageError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from edgebench.artifacts.bundle import Bundle
    from edgebench.commands.console import Subparsers
    from edgebench.measure.messages import ProbeSettings
    from edgebench.plan.own import BringYourOwn, OwnText
    from edgebench.plan.plan import Plan
    from edgebench.plan.suites import Suite
    from edgebench.session.session import Session


def add(commands: Subparsers) -> None:
    """Add the command and its options."""
    suite = commands.add_parser(
        "suite",
        help="run a suite here (no NAME: list them)",
        description="Run a suite on this machine and write its report. Without NAME, list the suites.",
        epilog=EPILOG,
    )
    suite.add_argument("suite", nargs="?", metavar="NAME|FILE.toml", help="a suite that ships, or a file of yours")
    add_suite_options(suite)
    add_volume_options(suite)
    suite.add_argument("--print", action="store_true", help="print the suite's file: a start for one of yours")
    suite.add_argument("--schema", action="store_true", help="print the JSON Schema of suite files, for editors")
    suite.set_defaults(command=_suite)


def _suite(arguments: argparse.Namespace) -> int:
    """List the suites, show what one would do, or run it; the exit code tells how it ended."""
    if arguments.schema:
        return _schema()
    if arguments.suite is None:
        return _list()
    leave_processors_alone()
    from edgebench.artifacts.bundle import find_bundle
    from edgebench.plan.suites import open_suite

    folder = _bundle_asked(arguments)
    suite = open_suite(arguments.suite)
    if arguments.print:
        sys.stdout.write(suite.whole.text)
        return EXIT_OK
    bundle = None if folder is None else find_bundle(folder, suite.head.name)
    plan = make_plan(arguments, suite, dataset=None if bundle is None else bundle.manifest.suite.data)
    if bundle is not None:
        bundle.check(plan)
    probes = probes_asked(arguments)
    return _show(plan, bundle) if arguments.dry_run else _run(arguments, plan, bundle, probes)


def _list() -> int:
    """Print the suites that ship."""
    from edgebench.plan.load import warn_of_plugins
    from edgebench.plan.suites import known_suites, read_suite
    from edgebench.render.plan import suites_table

    warn_of_plugins()
    stdout().print(suites_table({name: read_suite(path)[0].title for name, path in known_suites().items()}))
    stderr().print("run one with: edgebench suite NAME", highlight=False)
    return EXIT_OK


def _schema() -> int:
    """Print the JSON Schema of a suite file."""
    import json

    from edgebench.plan.suitefile import suite_schema

    sys.stdout.write(json.dumps(suite_schema(), indent=1) + "\n")
    return EXIT_OK


def _show(plan: Plan, bundle: Bundle | None) -> int:
    """Print the plan and how long it would take."""
    from edgebench.plan.estimate import total_seconds
    from edgebench.render.plan import plan_table

    stdout().print(plan_table(plan, total_seconds(plan, prepared=bundle is not None)))
    return EXIT_OK


def _run(arguments: argparse.Namespace, plan: Plan, bundle: Bundle | None, probes: ProbeSettings) -> int:
    """Measure, and write the report."""
    target, folder = report_target(arguments.output, plan.name)
    from edgebench.artifacts.store import cache_folder
    from edgebench.commands.commit import commit_asked
    from edgebench.machine.facts import usable_cpus
    from edgebench.plan.estimate import work
    from edgebench.render.progress import progress_on
    from edgebench.render.terminal import closing
    from edgebench.session.options import Options
    from edgebench.session.session import journal_path, run_session

    if arguments.resume and target is not None and not journal_path(folder, plan).exists():
        _spare(target)
    console = stderr()
    prepared = bundle is not None
    options = Options(
        folder=folder,
        cache=cache_folder(),
        cpus=tuple(usable_cpus()),
        probes=probes,
        data=arguments.data if bundle is None else bundle.data,
        weights=arguments.weights,
        resume=arguments.resume,
        bundle=bundle,
        commit=commit_asked(arguments.commit, lambda line: plain(console, line)),
        unit=arguments.unit,
    )
    with _alone(), progress_on(console, work(plan, prepared=prepared), arguments.volume) as progress:
        if bundle is not None:
            progress.step("prepare", f"checking the bundle {bundle.folder}")
            bundle.verify(plan)
        session = run_session(plan, options, progress)
    _deliver(session, target)
    if arguments.volume != "quiet" and os.environ.get("EDGEBENCH_SUMMARY") != "no":
        console.print(closing(session.report))
    if target is not None and arguments.volume != "quiet":
        plain(console, f"report: {target}")
    if session.interrupted:
        return EXIT_INTERRUPTED
    return EXIT_OK if session.report.status == "complete" else EXIT_FAILED


def _spare(target: Path) -> None:
    """Refuse to write over a report where there is nothing to go on with: it is another session's, or a finished one.

    Raises UsageError.
    """
    if target.is_file() and target.stat().st_size:
        raise UsageError(
            f"--resume: no stopped session of this plan is kept beside {target}, which would be overwritten: "
            "go on with the options that it was started with, or leave --resume out to measure anew"
        )


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """Hold the board's lock (EDGEBENCH_LOCK, a folder that its containers share); UsageError where it is held."""
    from edgebench.machine.claims import locked

    if not (folder := os.environ.get("EDGEBENCH_LOCK")):
        yield
        return
    with locked(Path(folder)) as free:
        if not free:
            raise UsageError("another session measures on this board, and two would measure each other: wait for it")
        yield


def _deliver(session: Session, target: Path | None) -> None:
    """Write the report where it goes; only then a complete session's journal is removed."""
    from edgebench.report.io import write_report

    session.release()
    try:
        if target is None:
            to_stdout(session.report)
        else:
            write_report(session.report, target)
    except (ReportError, KeyboardInterrupt) as error:
        reason = str(error).rstrip(".") or "interrupted before the report was written"
        raise ReportError(
            f"{reason}; all that was measured is in the journal {session.journal}: the same command with --resume "
            "writes the report"
        ) from None
    session.close()


def _bundle_asked(arguments: argparse.Namespace) -> Path | None:
    """Return the folder that ``--bundle`` or ``EDGEBENCH_BUNDLE`` names, None where models are made here."""
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
    return Path(given)


def make_plan(arguments: argparse.Namespace, suite: Suite, *, dataset: str | None = None) -> Plan:
    """Return the plan that the command line asks for; `dataset` is the name of a bundle's data set."""
    from edgebench.machine.facts import usable_cpus
    from edgebench.plan.load import load_plan
    from edgebench.plan.plan import Overrides
    from edgebench_suites.data.load import load_data

    if dataset is None:
        dataset = "digits"
    if arguments.data is not None:
        dataset = load_data(arguments.data, seed=suite.head.seed, choice=suite.head.data.choice).name
    if arguments.weights is not None and not arguments.weights.is_file():
        raise UsageError(f"--weights {arguments.weights}: there is no such file: name a state dict saved by torch.save")
    if arguments.processes is not None and arguments.precision:
        raise UsageError("--processes says how many runs, --precision how narrow intervals: give one of them")
    cores = len(usable_cpus())
    usable = len(os.sched_getaffinity(0))
    if arguments.threads is not None and arguments.threads > usable:
        raise UsageError(f"--threads {arguments.threads}: this process may use {usable} processors")
    overrides = Overrides(
        arguments.only,
        arguments.processes,
        arguments.values,
        arguments.threads,
        arguments.isa,
        arguments.passes,
        arguments.resources_hz,
        arguments.time_limit,
        arguments.precision,
        arguments.max_minutes,
        arguments.prompt_tokens,
        arguments.generate,
        arguments.batch,
        _own_text(arguments.text),
    )
    own = _own_model(arguments)
    return load_plan(suite, dataset=dataset, cores=cores, overrides=overrides, own=own)


def _own_text(path: Path | None) -> OwnText | None:
    from edgebench.plan.own import own_text

    return None if path is None else own_text(path)


def _own_model(arguments: argparse.Namespace) -> BringYourOwn | None:
    from edgebench.plan.own import OwnOptions, own_model
    from edgebench.session.look import look

    options = {"--shape": arguments.shape, "--input": arguments.input, "--calibration": arguments.calibration}
    if arguments.model is None:
        if given := next((name for name, value in options.items() if value), None):
            raise UsageError(f"{given} is about the inputs of a model of yours: give --model FILE with it")
        return None
    return own_model(arguments.model, OwnOptions(arguments.shape, arguments.input, arguments.calibration), look)
