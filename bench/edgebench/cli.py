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
from edgebench.errors import EdgebenchError, UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from edgebench.plan import BringYourOwn, Plan
    from edgebench.report.model import Report

EXIT_OK, EXIT_FAILED, EXIT_USAGE, EXIT_INTERRUPTED = 0, 1, 2, 130

_EPILOG = "exit codes: 0 ok, 1 some benchmark failed, 2 usage or invalid input, 130 interrupted"


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
        epilog=_EPILOG,
    )
    parser.add_argument("--version", action="version", version=f"edgebench {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    _add_suite(commands)
    _add_probes(commands)
    show = commands.add_parser("show", help="tables of a report", description="Show a report as tables.")
    show.add_argument("report", metavar="REPORT", help="a report file, or - for standard input")
    show.add_argument("--html", metavar="FILE", type=Path, help="write one self-contained HTML page instead")
    show.set_defaults(command=_show)
    validate = commands.add_parser("validate", help="check a report", description="Check a report against its schema.")
    validate.add_argument("report", metavar="REPORT", help="a report file, or - for standard input")
    validate.set_defaults(command=_validate)
    export = commands.add_parser("export", help="a report in another format", description="Write a report as another.")
    export.add_argument("report", metavar="REPORT", help="a report file, or - for standard input")
    export.add_argument("--format", required=True, choices=("csv", "pyperf"), help="csv: one row a metric")
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
    suite.add_argument("-o", "--output", metavar="FILE", help="where the report goes; - is standard output")
    suite.add_argument("--only", metavar="GLOB", help="only the benchmarks whose name matches")
    suite.add_argument("--dry-run", action="store_true", help="print the plan and an estimated time, run nothing")
    suite.add_argument("--resume", action="store_true", help="go on where a stopped session of this plan ended")
    model = suite.add_argument_group("model and data")
    model.add_argument("--model", metavar="FILE", type=Path, help="measure this .onnx, .xml, .tflite or .pt2 instead")
    model.add_argument(
        "--shape", metavar="[INPUT=]1x3x224x224", action="append", default=[], help="fix an input's shape (of --model)"
    )
    data = os.environ.get("EDGEBENCH_DATA")
    model.add_argument(
        "--data", metavar="DIR", type=Path, default=Path(data) if data else None, help="CIFAR-10 (EDGEBENCH_DATA)"
    )
    model.add_argument("--weights", metavar="FILE", type=Path, help="a state dict for the suite's model")
    measuring = suite.add_argument_group("measuring")
    measuring.add_argument("--processes", metavar="N", type=_count, help="runs (worker processes) a benchmark")
    measuring.add_argument("--values", metavar="N", type=_count, help="timed values a run")
    measuring.add_argument("--threads", metavar="N", type=_count, help="threads (default: usable physical cores)")
    measuring.add_argument(
        "--isa", choices=("avx2", "avx2_vnni", "avx512_core", "avx512_core_vnni"), help="ISA ceiling"
    )
    _add_probe_options(suite)
    suite.set_defaults(command=_suite)


def _add_probes(commands: Any) -> None:
    probes = commands.add_parser(
        "probes", help="every energy source: usable, or why not", description="List the energy sources of this machine."
    )
    probes.add_argument("--json", action="store_true", help="the same as data")
    _add_probe_options(probes)
    probes.set_defaults(command=_probes)


def _add_probe_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("energy")
    group.add_argument(
        "--probe",
        metavar="SPEC",
        action="append",
        default=None,
        help="NAME[:ADDRESS][?option=value], may be repeated (EDGEBENCH_PROBE, separated by spaces)",
    )
    group.add_argument(
        "--sysfs",
        metavar="ROOT",
        default=os.environ.get("EDGEBENCH_SYSFS", "/sys"),
        help="where sysfs is mounted (EDGEBENCH_SYSFS)",
    )


def _suite(arguments: argparse.Namespace) -> int:
    console = _stderr()
    if arguments.suite is None:
        return _list_suites(console)
    plan = _plan(arguments)
    if arguments.dry_run:
        from edgebench.estimate import total_seconds
        from edgebench.render.plan import plan_table

        _stdout().print(plan_table(plan, total_seconds(plan)))
        return EXIT_OK
    target, folder = _target(arguments.output, plan.name)
    from edgebench.artifact import cache_folder
    from edgebench.energy import ProbeSettings
    from edgebench.estimate import total_seconds, work
    from edgebench.machine import usable_cpus
    from edgebench.render.progress import LiveProgress, PlainProgress
    from edgebench.render.terminal import closing
    from edgebench.report.io import dumps, write_report
    from edgebench.session import Options, run_session

    options = Options(
        folder=folder,
        cache=cache_folder(),
        cpus=tuple(usable_cpus()),
        probes=ProbeSettings(_probe_specs(arguments), arguments.sysfs),
        data=arguments.data,
        weights=arguments.weights,
        resume=arguments.resume,
    )
    live = LiveProgress(console, work(plan), total_seconds(plan)) if console.is_terminal else PlainProgress(console)
    with live as progress:
        session = run_session(plan, options, progress)
    if target is None:
        sys.stdout.write(dumps(session.report))
        sys.stdout.flush()
    else:
        session.release()
        write_report(session.report, target)
    session.close()
    console.print(closing(session.report))
    if target is not None:
        console.print(f"report: {target}", markup=False, highlight=False, soft_wrap=True)
    if session.interrupted:
        return EXIT_INTERRUPTED
    return EXIT_FAILED if any(cell.status == "failed" for cell in session.report.benchmarks) else EXIT_OK


def _plan(arguments: argparse.Namespace) -> Plan:
    from edgebench.machine import usable_cpus
    from edgebench.plan import Overrides, load_plan

    dataset = "digits"
    if arguments.data is not None:
        from edgebench_suites.data import load_data

        dataset = load_data(arguments.data, seed=0).name
    if arguments.weights is not None and not arguments.weights.is_file():
        raise UsageError(f"--weights {arguments.weights}: there is no such file: name a state dict saved by torch.save")
    cores = len(usable_cpus())
    if arguments.threads is not None and arguments.threads > len(os.sched_getaffinity(0)):
        raise UsageError(
            f"--threads {arguments.threads}: this process may use {len(os.sched_getaffinity(0))} processors"
        )
    overrides = Overrides(arguments.only, arguments.processes, arguments.values, arguments.threads, arguments.isa)
    own = _own_model(arguments.model, arguments.shape)
    return load_plan(arguments.suite, dataset=dataset, cores=cores, overrides=overrides, own=own)


def _own_model(path: Path | None, shapes: Sequence[str]) -> BringYourOwn | None:
    from edgebench.plan import own_model

    if path is None:
        if shapes:
            raise UsageError("--shape fixes the inputs of a model of yours: give --model FILE with it")
        return None
    return own_model(path, shapes)


def _target(output: str | None, suite: str) -> tuple[Path | None, Path]:
    """Return where the report goes (None: standard output) and the folder that holds the journal meanwhile."""
    from edgebench.artifact import cache_folder

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


def _list_suites(console: Console) -> int:
    from edgebench.render.plan import suites_table
    from edgebench.suitefile import builtin_suites, read_suite

    _stdout().print(suites_table([read_suite(path)[0] for path in builtin_suites().values()]))
    console.print("run one with: edgebench suite NAME", highlight=False)
    return EXIT_OK


def _probes(arguments: argparse.Namespace) -> int:
    from edgebench.render.probes import as_json, probes_table
    from edgebench_probes.discover import discover, open_probes

    specs = _probe_specs(arguments)
    if specs:
        probes, findings = open_probes(specs, Path(arguments.sysfs))
        for probe in probes:
            probe.close()
    else:
        findings = discover(Path(arguments.sysfs))
    if arguments.json:
        sys.stdout.write(as_json(findings))
    else:
        _stdout().print(probes_table(findings))
    return EXIT_OK


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
    from edgebench.render.pyperf import suite_json

    return suite_json(report)


def _write_text(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{path}: cannot be written ({error.strerror}): name another file") from None


def _probe_specs(arguments: argparse.Namespace) -> tuple[str, ...]:
    return tuple(arguments.probe or os.environ.get("EDGEBENCH_PROBE", "").split())


def _count(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= 1_000_000:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 to 1000000")
    return int(text)


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
