"""The command line: usage, exit codes and everything that is printed. Nothing heavy is imported at the top."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from edgebench import __version__
from edgebench.cli_options import (
    add_probe_options,
    add_suite_options,
    add_training_options,
    add_verdict_options,
    count,
    seconds,
)
from edgebench.errors import EdgebenchError, UsageError
from edgebench.probes_measure import add_measure_options

if TYPE_CHECKING:
    from rich.console import Console

    from edgebench.report.model import Report

EXIT_OK, EXIT_FAILED, EXIT_USAGE, EXIT_INTERRUPTED = 0, 1, 2, 130

_EPILOG = "exit codes: 0 ok, 1 some benchmark failed, 2 usage or invalid input, 130 interrupted"
_EPILOG_VERDICT = "exit codes: 0 passed, 1 regressed, 2 usage or invalid input, 3 incomparable, 4 inconclusive"


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code. Errors a user can cause end as one sentence on stderr."""
    arguments = build_parser().parse_args(argv)
    signal.signal(signal.SIGTERM, _as_interrupt)
    try:
        code: int = arguments.command(arguments)
        sys.stdout.flush()
    except KeyboardInterrupt:
        _say("edgebench: interrupted")
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has seen enough (`| head`); do not let the interpreter complain at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_OK
    except Exception as error:
        if (sentence := _sentence(error)) is None:
            if os.environ.get("EDGEBENCH_DEBUG"):
                raise
            sentence = f"a fault in edgebench itself ({type(error).__name__}: {error}): EDGEBENCH_DEBUG=1 shows where"
        _say(f"edgebench: {sentence}")
        return error.exit_code if isinstance(error, EdgebenchError) else EXIT_USAGE
    return code


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    parser = argparse.ArgumentParser(
        prog="edgebench",
        description="Measure what a compressed neural network costs on an edge board: "
        "time, energy, memory, size and accuracy.",
        epilog="exit codes: 0 ok, 1 some benchmark failed or regressed, 2 usage or invalid input, 3 incomparable, "
        "4 inconclusive, 130 interrupted",
    )
    parser.add_argument("--version", action="version", version=f"edgebench {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    _add_suite(commands)
    _add_prepare(commands)
    _add_containers(commands)
    _add_probes(commands)
    _add_comparing(commands)
    show = commands.add_parser("show", help="tables of a report", description="Show a report as tables.")
    show.add_argument("report", metavar="REPORT", help="a report file, or - for standard input")
    show.add_argument("--html", metavar="FILE", type=Path, help="write one self-contained HTML page instead")
    show.set_defaults(command=_show)
    validate = commands.add_parser("validate", help="check a report", description="Check a report against its schema.")
    validate.add_argument("report", metavar="REPORT", help="a report file, or - for standard input")
    validate.set_defaults(command=_validate)
    export = commands.add_parser("export", help="a report in another format", description="Write a report as another.")
    export.add_argument("report", metavar="REPORT", help="a report file, or - for standard input")
    export.add_argument(
        "--format", required=True, choices=("csv", "resources-csv", "pyperf"), help="csv: one row a metric"
    )
    export.add_argument("-o", "--output", metavar="FILE", type=Path, help="a file instead of standard output")
    export.set_defaults(command=_export)
    return parser


def _add_suite(commands: Any) -> None:
    suite = commands.add_parser(
        "suite",
        help="run a suite here (no NAME: list them)",
        description="Run a suite on this machine and write its report. Without NAME, list the suites.",
        epilog=_EPILOG,
    )
    suite.add_argument("suite", nargs="?", metavar="NAME|FILE.toml", help="a suite that ships, or a file of yours")
    add_suite_options(suite)
    suite.set_defaults(command=_suite)


def _add_containers(commands: Any) -> None:
    from edgebench.cli_launch import add_image_options, add_run_options

    run = commands.add_parser(
        "run",
        help="a suite in a container, here or on boards",
        description="Start a platform's image with the least rights that give energy, and bring the report back.",
        epilog=_EPILOG,
    )
    run.add_argument("platform", metavar="PLATFORM", help="n150, pi or jetson")
    run.add_argument("suite", metavar="SUITE", help="a suite that ships, or a file of yours")
    add_suite_options(run)
    add_run_options(run)
    run.set_defaults(command=_run)
    image = commands.add_parser("image", help="the containers' images", description="Build or list images.")
    add_image_options(image.add_subparsers(metavar="ACTION", required=True))
    image.set_defaults(command=_image)


def _add_prepare(commands: Any) -> None:
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
    add_probe_options(prepare)
    # What only measuring asks for, so that both commands make their plan in the same way.
    prepare.set_defaults(
        command=_prepare,
        model=None,
        shape=[],
        processes=None,
        values=None,
        passes=None,
        threads=None,
        isa=None,
        resources_hz=None,
    )


def _add_comparing(commands: Any) -> None:
    compare = commands.add_parser(
        "compare",
        help="verdict over stored reports",
        description="Judge HEAD against BASE. MORE and --history are earlier reports of the base's level.",
        epilog=_EPILOG_VERDICT,
    )
    compare.add_argument("base", metavar="BASE", help="the report to compare with, or - for standard input")
    compare.add_argument("head", metavar="HEAD", help="the report to judge")
    compare.add_argument("more", metavar="MORE", nargs="*", help="earlier reports, as --history")
    compare.add_argument("--history", metavar="DIR", type=Path, help="a folder of earlier reports")
    add_verdict_options(compare)
    compare.set_defaults(command=_compare)
    trend = commands.add_parser(
        "trend", help="how releases went over time", description="Show where figures changed, report by report."
    )
    trend.add_argument("folder", metavar="DIR", type=Path, help="a folder of reports")
    trend.add_argument("--metric", metavar="NAME", action="append", default=[], help="may be repeated")
    trend.add_argument("--only", metavar="GLOB", help="only the benchmarks whose name matches")
    trend.add_argument("--format", choices=("table", "json"), default="table")
    trend.add_argument("-o", "--output", metavar="FILE", type=Path, help="a file instead of standard output")
    trend.set_defaults(command=_trend)
    ab = commands.add_parser(
        "ab",
        help="two environments interleaved on this machine, then the verdict",
        description="Measure a suite in two Python environments, alternating in random blocks, and judge HEAD.",
        epilog=_EPILOG_VERDICT + ", 130 interrupted",
    )
    ab.add_argument("base", metavar="BASE", help="venv:DIR, or the path of a Python executable")
    ab.add_argument("head", metavar="HEAD", help="the environment to judge")
    ab.add_argument("suite", metavar="SUITE", help="a suite that ships, or a file of yours")
    ab.add_argument("--pairs", metavar="N", type=count, default=10, help="pairs of runs a stage, 10 or more")
    ab.add_argument("--only", metavar="GLOB", help="only the benchmarks whose name matches")
    ab.add_argument("--threads", metavar="N", type=count, help="threads (default: usable physical cores)")
    ab.add_argument("--data", metavar="DIR", type=Path, help="CIFAR-10, or a folder of images (EDGEBENCH_DATA)")
    ab.add_argument("--seed", metavar="N", type=int, default=None, help="of the order (default: the suite's)")
    ab.add_argument("--dry-run", action="store_true", help="say how long it takes and what it can find, run nothing")
    add_probe_options(ab)
    add_verdict_options(ab)
    ab.set_defaults(command=_ab)


def _add_probes(commands: Any) -> None:
    probes = commands.add_parser(
        "probes",
        help="every energy source: usable, or why not",
        description="List the energy sources of this machine, with a reading, or the cause and the fix.",
    )
    actions = probes.add_subparsers(dest="action", metavar="ACTION")
    add_measure_options(actions)
    serve = actions.add_parser("serve", help="give a meter to another machine")
    probes.add_argument("--watch", action="store_true", help="live power until ctrl-C")
    probes.add_argument("--json", action="store_true", help="the list as data")
    probes.add_argument(
        "--record", metavar="FILE", type=Path, help="record one probe, to be played back by replay:FILE"
    )
    probes.add_argument("--seconds", metavar="S", type=seconds, default=60.0, help="how long to record (default 60)")
    serve.add_argument("--listen", metavar="[HOST:]PORT", default="127.0.0.1:8765", help="where to serve")
    serve.add_argument(
        "--token-file", metavar="FILE", help="a shared secret (EDGEBENCH_PROBE_TOKEN), needed beyond loopback"
    )
    add_probe_options(serve, inherited=True)
    add_probe_options(probes)
    probes.set_defaults(command=_probes)


def _suite(arguments: argparse.Namespace) -> int:
    from edgebench import cli_suite

    if arguments.suite is None:
        return cli_suite.list_suites(_stdout(), _stderr())
    return cli_suite.suite(arguments, _probe_specs(arguments), _stdout(), _stderr())


def _prepare(arguments: argparse.Namespace) -> int:
    from edgebench import cli_bundle

    return cli_bundle.prepare(arguments, _probe_specs(arguments), _stdout(), _stderr())


def _run(arguments: argparse.Namespace) -> int:
    from edgebench import cli_launch

    return cli_launch.run(arguments, _probe_specs(arguments), _stdout(), _stderr())


def _image(arguments: argparse.Namespace) -> int:
    from edgebench import cli_launch

    handler = cli_launch.image_build if arguments.action == "build" else cli_launch.image_list
    return handler(arguments, _stdout(), _stderr())


def _probes(arguments: argparse.Namespace) -> int:
    from edgebench import cli_probes

    return cli_probes.probes(arguments, _probe_specs(arguments), _stdout(), _stderr())


def _compare(arguments: argparse.Namespace) -> int:
    from edgebench.cli_compare import compare

    return compare(arguments)


def _trend(arguments: argparse.Namespace) -> int:
    from edgebench.cli_compare import trend

    return trend(arguments)


def _ab(arguments: argparse.Namespace) -> int:
    from edgebench.cli_compare import ab

    return ab(arguments, probes=_probe_specs(arguments))


def _show(arguments: argparse.Namespace) -> int:
    from edgebench.report.io import read_report

    report = read_report(arguments.report)
    if arguments.html is not None:
        from edgebench.render.html import page

        _write_text(arguments.html, page(report))
        return EXIT_OK
    from edgebench.render.terminal import show

    _stdout().print(show(report))
    return EXIT_OK


def _validate(arguments: argparse.Namespace) -> int:
    from edgebench.report.io import read_report

    report = read_report(arguments.report)
    state = f"{report.status}, {len(report.benchmarks)} benchmarks"
    _stdout().print(f"{arguments.report}: a valid {report.schema_} report ({state})", markup=False, highlight=False)
    return EXIT_OK


def _export(arguments: argparse.Namespace) -> int:
    from edgebench.report.io import read_report

    text = _exported(read_report(arguments.report), arguments.format)
    if arguments.output is None:
        sys.stdout.write(text)
    else:
        _write_text(arguments.output, text)
    return EXIT_OK


def _exported(report: Report, form: str) -> str:
    if form == "csv":
        from edgebench.render.csv import rows

        return rows(report)
    if form == "resources-csv":
        from edgebench.render.resources import rows as points

        return points(report)
    from edgebench.render.pyperf import suite_json

    return suite_json(report)


def _write_text(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{path}: cannot be written ({error.strerror}): name another file") from None


def _probe_specs(arguments: argparse.Namespace) -> tuple[str, ...]:
    return tuple(arguments.probe or os.environ.get("EDGEBENCH_PROBE", "").split())


def _sentence(error: Exception) -> str | None:
    """Return the sentence of an error that a user can cause, or None for a fault of ours."""
    from edgebench_probes.base import ProbeError
    from edgebench_suites.errors import SuiteDataError

    if isinstance(error, EdgebenchError | ProbeError | SuiteDataError):
        return str(error)
    if isinstance(error, OSError):
        return f"{error.filename or 'a file'}: {error.strerror or error}"
    return None


def _as_interrupt(signum: int, frame: object) -> NoReturn:
    """`docker stop` and ctrl-C end a session alike: with its partial report."""
    del signum, frame
    raise KeyboardInterrupt


def _stdout() -> Console:
    from rich.console import Console

    return Console(soft_wrap=False)


def _stderr() -> Console:
    from rich.console import Console

    return Console(stderr=True)


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
