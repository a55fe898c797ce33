"""The commands `edgebench run`, `image build` and `image list`: containers from the host's side."""

from __future__ import annotations

import argparse
import os
import re
import sys
import threading
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgebench.commands.options import add_suite_options
from edgebench.errors import EdgebenchError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from edgebench.launch.board import Board, Outcome
    from edgebench.launch.order import Input, Order

# Options of `suite` that the launcher itself answers for; every other goes to the container as it is.
_OWN = {"suite", "output", "probe", "sysfs", "help"}
# A table that goes to a file or a pipe is as wide as its rows.
_PIPED_WIDTH = 160
# What is held on the disk for a report while a board measures.
_RESERVED_BYTES = 16 * 2**20


def add_run_options(run: argparse.ArgumentParser) -> None:
    """Add the options that `run` has besides those of `suite`."""
    group = run.add_argument_group("containers")
    group.add_argument("--host", metavar="URL", action="append", default=[], help="ssh://USER@BOARD[:PORT], repeatable")
    group.add_argument("--context", metavar="NAME", help="a docker context (DOCKER_CONTEXT, DOCKER_HOST)")
    group.add_argument("--image", metavar="NAME", help="another image or tag than the platform's")
    group.add_argument(
        "--cache", metavar="VOLUME|DIR", default="edgebench-cache", help="keeps artifacts and what --resume needs"
    )
    group.add_argument("--cpus", metavar="N", type=_processors, help="processors the container may use")
    group.add_argument("--cpuset-cpus", metavar="LIST", help="which ones, as in 0-1")
    group.add_argument("--memory", metavar="SIZE", type=_size, help="memory it may use, as in 4g; none of it in swap")
    group.add_argument("--user", metavar="UID[:GID]", help="run as this user (RAPL can be read by root only)")
    group.add_argument(
        "--print", dest="print_line", action="store_true", help="show the `docker run` line, run nothing"
    )


def run(arguments: argparse.Namespace, specs: tuple[str, ...], stdout: Console, stderr: Console) -> int:
    """Run a suite in a container on one board or several, or print how it would be started."""
    from edgebench.launch.board import Board

    if arguments.context is not None and arguments.host:
        raise UsageError("--host and --context name two engines: give one of them")
    order = _order(arguments, specs)
    boards = [Board(order, host, arguments.context) for host in arguments.host or [None]]
    if arguments.print_line:
        return _print(boards, stdout, stderr)
    return _run(boards, arguments, stderr)


def _print(boards: Sequence[Board], stdout: Console, stderr: Console) -> int:
    from edgebench.launch.container import run_line, shell_line

    for board in boards:
        words = run_line(board.line(lambda line: stderr.print(line, markup=False, highlight=False, soft_wrap=True)))
        stdout.print(shell_line(words), markup=False, highlight=False, soft_wrap=True)
    return 0


def _run(boards: Sequence[Board], arguments: argparse.Namespace, stderr: Console) -> int:
    from edgebench.launch.board import Outcome
    from edgebench.launch.fleet import Watcher, exit_code, run_all
    from edgebench.render.launch import BoardLines
    from edgebench.report.io import reserve

    several = len(boards) > 1
    targets = _Targets(arguments.output, boards[0].order.suite, several=several)
    unexpected: list[Exception] = []
    with ExitStack() as stack:
        held = stack.enter_context(reserve(targets.folder, _RESERVED_BYTES * len(boards))) if targets.folder else None
        lines = stack.enter_context(BoardLines(stderr, [board.name for board in boards]))

        def done(index: int, result: Outcome | Exception) -> None:
            try:
                if isinstance(result, Outcome):
                    if held is not None:
                        held.release()
                    for line in targets.write(boards[index].name, result):
                        lines.tell(index, line)
                elif isinstance(result, EdgebenchError):
                    lines.tell(index, f"edgebench: {result}")
                else:
                    unexpected.append(result)
            except EdgebenchError as error:
                lines.tell(index, f"edgebench: {error}")
                failures.append(Outcome(error.exit_code))

        failures: list[Outcome | Exception] = []
        results = run_all(boards, Watcher(lines.tell, done))
    if unexpected:
        raise unexpected[0]
    return exit_code([*results, *failures])


class _Targets:
    """Where the reports go: one by the rule of `suite`, several to files named after their boards."""

    def __init__(self, output: str | None, suite: str, *, several: bool) -> None:
        self._suite = suite
        self._stamp = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
        self._taken: set[Path] = set()
        self._several = several
        self._lock = threading.Lock()
        self._file: Path | None = None
        self.folder: Path | None = None
        if several:
            self.folder = Path(output or ".")
            if output == "-" or not self.folder.is_dir():
                raise UsageError(f"-o {output}: with several boards name a folder that exists: each writes a report")
            return
        from edgebench.commands.suite import report_target

        self._file, folder = report_target(output, suite)
        self.folder = None if self._file is None else folder

    def write(self, board: str, outcome: Outcome) -> list[str]:
        """Write what a board brought; return what is to be said of it. Any thread."""
        with self._lock:
            return self._written(board, outcome)

    def _written(self, board: str, outcome: Outcome) -> list[str]:
        from edgebench.report.io import dumps, write_report

        if outcome.report is None:
            sys.stdout.write(outcome.text)
            sys.stdout.flush()
            return []
        target = self._file
        if self._several:
            assert self.folder is not None  # noqa: S101  # set above
            target = self.folder / f"edgebench-{self._suite}-{board}-{self._stamp}.json"
            number = 2
            while target in self._taken:
                target = self.folder / f"edgebench-{self._suite}-{board}-{self._stamp}-{number}.json"
                number += 1
            self._taken.add(target)
        if target is None:
            sys.stdout.write(dumps(outcome.report))
            sys.stdout.flush()
            return []
        write_report(outcome.report, target)
        partial = " (partial)" if outcome.report.status == "partial" else ""
        return [f"report: {target}{partial}"]


def _order(arguments: argparse.Namespace, specs: tuple[str, ...]) -> Order:
    from edgebench.launch.container import Limits
    from edgebench.launch.order import Order
    from edgebench.launch.profile import find_profile
    from edgebench.plan.suitefile import builtin_suites, find_suite, read_suite

    remote = _remote(arguments)
    profile = find_profile(arguments.platform)
    path = find_suite(arguments.suite)
    suite, _ = read_suite(path)
    inputs: list[Input] = []
    words = [arguments.suite]
    if arguments.suite not in builtin_suites():
        inputs.append(_input("suite", path, remote=remote))
        words = [inputs[0].target]
    parser = argparse.ArgumentParser(add_help=False)
    add_suite_options(parser)
    for action in parser._actions:  # noqa: SLF001  # argparse has no other list of a parser's options
        value = getattr(arguments, action.dest)
        if action.dest in _OWN or value is None or value is False or value == []:
            continue
        option = action.option_strings[-1]
        if isinstance(value, Path):
            inputs.append(_input(action.dest, value, remote=remote))
            words += [option, inputs[-1].target]
        elif value is True:
            words.append(option)
        else:
            words += [word for one in (value if isinstance(value, list) else [value]) for word in (option, str(one))]
    words += ["-o", "-"]
    return Order(
        profile=profile,
        image=arguments.image or profile.image,
        suite=suite.name,
        arguments=tuple(words),
        inputs=tuple(inputs),
        specs=tuple(map(_absolute, specs)),
        sysfs=str(Path(arguments.sysfs).absolute()),
        limits=Limits(arguments.cpus, arguments.cpuset_cpus, arguments.memory),
        user=arguments.user,
        cache=_cache(arguments.cache, remote=remote),
        report=not arguments.dry_run,
    )


def _remote(arguments: argparse.Namespace) -> bool:
    """Whether the engine may be another machine's: then paths of folders are checked there, not here."""
    named = arguments.host or arguments.context
    return bool(named or os.environ.get("DOCKER_HOST") or os.environ.get("DOCKER_CONTEXT"))


def _input(option: str, path: Path, *, remote: bool) -> Input:
    """Return what the container is given for a path of the user's. A folder for a board elsewhere is that board's."""
    from edgebench.launch.order import INPUT, Input

    source = path.absolute()
    if remote and not path.is_file():
        return Input(option, str(source), f"{INPUT}/{option}", folder=True)
    if not path.exists():
        raise UsageError(f"--{option} {path}: there is no such file or folder: correct the name")
    if "," in str(source):
        raise UsageError(f"--{option} {path}: a path with a comma cannot be given to a container: rename it")
    if path.is_dir():
        return Input(option, str(source), f"{INPUT}/{option}", folder=True)
    return Input(option, str(source), f"{INPUT}/{option}/{path.name}", folder=False)


def _cache(given: str, *, remote: bool) -> str:
    """Return the name of a volume, or the absolute path of a folder, made where it is this machine's."""
    if "/" not in given:
        return given
    path = Path(given).absolute()
    if not remote:
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"--cache {given}: cannot be made ({error.strerror}): name another folder") from None
    return str(path)


def _absolute(spec: str) -> str:
    """Return a specification whose files are named from the root."""
    from edgebench.launch.rights import own_files, parse

    for file in own_files(parse(spec)):
        spec = spec.replace(file, str(Path(file).absolute()))
    return spec


def image_build(arguments: argparse.Namespace, stdout: Console, stderr: Console) -> int:
    """Build an image, then list its layers by size."""
    from rich.table import Table

    from edgebench.launch.build import BuildRequest, build, find_source, layers
    from edgebench.launch.profile import find_profile

    profile = find_profile(arguments.platform)
    request = BuildRequest(
        profile=profile,
        source=find_source(arguments.source, profile.platform),
        tag=arguments.tag or profile.image,
        base=arguments.base,
        arguments=tuple(arguments.build_arg),
        secrets=tuple(arguments.secret),
        context=arguments.context,
    )
    build(request, lambda line: stderr.print(line, markup=False, highlight=False, soft_wrap=True))
    table = Table("size", "made by", box=None, pad_edge=False)
    for layer in layers(request.tag, request.context):
        table.add_row(layer.size, layer.short())
    stdout.print(table)
    return 0


def image_list(arguments: argparse.Namespace, stdout: Console, stderr: Console) -> int:
    """List edgebench's images on an engine."""
    from rich.console import Console

    from edgebench.launch.engine import connect
    from edgebench.launch.images import all_images, fit
    from edgebench.render.launch import images_table
    from edgebench.render.units import quantity

    engine = connect(arguments.host, arguments.context)
    try:
        found = all_images(engine)
    finally:
        engine.close()
    rows = [
        (
            image.platform,
            image.name,
            image.version,
            image.revision[:8],
            image.digest.removeprefix("sha256:")[:12],
            quantity(image.size_bytes, "B"),
            image.architecture,
            image.created[:16].replace("T", " "),
            fit(image),
        )
        for image in found
    ]
    if not rows:
        stderr.print(f"{engine.where} has no image of edgebench's: edgebench image build PLATFORM makes one")
        return 0
    wide = stdout if stdout.is_terminal else Console(width=_PIPED_WIDTH)
    wide.print(images_table(rows))
    return 0


def add_image_options(image: Any) -> None:
    """Add `image build` and `image list`; their handlers are set by the command line."""
    build = image.add_parser("build", help="build a platform's image", description="Build a platform's image.")
    build.add_argument("platform", metavar="PLATFORM", help="n150, pi or jetson")
    build.add_argument("--base", metavar="IMAGE", help="the base image (build argument BASE_IMAGE)")
    build.add_argument("--tag", metavar="NAME[:TAG]", help="its name (default: the platform's)")
    build.add_argument("--build-arg", metavar="K=V", action="append", default=[], help="may be repeated")
    build.add_argument("--secret", metavar="id=…,src=…", action="append", default=[], help="may be repeated")
    build.add_argument("--source", metavar="DIR", type=Path, help="edgebench's source tree")
    build.add_argument("--context", metavar="NAME", help="a docker context")
    build.set_defaults(action="build")
    listing = image.add_parser("list", help="edgebench's images", description="List edgebench's images on an engine.")
    listing.add_argument("--host", metavar="URL", help="ssh://USER@BOARD[:PORT]")
    listing.add_argument("--context", metavar="NAME", help="a docker context")
    listing.set_defaults(action="list")


def _size(text: str) -> str:
    if not re.fullmatch(r"[1-9]\d{0,15}[bkmg]?", text.lower()):
        raise argparse.ArgumentTypeError(f"{text!r} is no size: write it as 512m or 4g")
    return text.lower()


def _processors(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= 4096:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of processors")
    return value
