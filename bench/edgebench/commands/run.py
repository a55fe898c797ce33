"""The command `edgebench run`: a suite in a container, on this machine or on boards."""

from __future__ import annotations

import argparse
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from edgebench.commands.boards import add_boards_file
from edgebench.commands.console import EPILOG, plain, probe_specs, stderr, stdout
from edgebench.commands.missing import offer_to_build
from edgebench.commands.options import add_suite_options, number, seconds
from edgebench.errors import EXIT_OK, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgebench.commands.console import Subparsers
    from edgebench.launch.board import Board
    from edgebench.launch.order import Input, Order

# Options of `suite` that the launcher itself answers for; every other goes to the container as it is.
_OWN = {"suite", "output", "probe", "sysfs", "commit", "help"}


def add(commands: Subparsers) -> None:
    """Add the command and its options: those of `suite`, and the containers'."""
    run = commands.add_parser(
        "run",
        help="a suite in a container, here or on boards",
        description="Start a platform's image with the least rights that give energy, and bring the report back.",
        epilog=EPILOG,
    )
    run.add_argument("platform", metavar="PLATFORM", help="n150, pi or jetson")
    run.add_argument("suite", metavar="SUITE", help="a suite that ships, or a file of yours")
    add_suite_options(run)
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
        "--print",
        dest="printed",
        nargs="?",
        const="docker",
        choices=("docker", "kubernetes"),
        help="show the `docker run` line, or Kubernetes' jobs; run nothing",
    )
    swarm = run.add_argument_group("many boards")
    swarm.add_argument(
        "--board", metavar="NAME|GROUP", action="append", default=[], help="of the bench file, repeatable"
    )
    add_boards_file(swarm)
    swarm.add_argument(
        "--swarm", metavar="URL", nargs="?", const="", help="on every node that fits; URL of a manager, else the engine"
    )
    swarm.add_argument(
        "--node-label", metavar="KEY[=VALUE]", action="append", default=[], help="only nodes that have it, repeatable"
    )
    swarm.add_argument(
        "--claim", metavar="NAME", help="kubernetes: the volume claim that reports go to (default: the pod's log)"
    )
    swarm.add_argument(
        "--node-timeout", metavar="SECONDS", type=seconds, default=90.0, help="how long a silent node is waited for"
    )
    run.set_defaults(command=_run)


def _run(arguments: argparse.Namespace) -> int:
    """Run a suite in a container on one board or several, or print how it would be started."""
    from edgebench.commands.measure_boards import measure, on_swarm
    from edgebench.launch.board import Board

    named = [
        f"--{name}" for name in ("host", "context", "swarm", "board") if getattr(arguments, name) not in (None, [])
    ]
    if len(named) > 1:
        raise UsageError(f"{' and '.join(named)} name two engines: give one of them")
    if arguments.unit is not None and (len(arguments.host) > 1 or arguments.board or arguments.swarm is not None):
        raise UsageError("--unit names one board: leave it out, boards of the bench file bear its names")
    order = order_asked(arguments, probe_specs(arguments))
    if arguments.printed == "kubernetes":
        return _manifests(order, arguments)
    if arguments.swarm is not None:
        return on_swarm(arguments, order, stderr())
    if arguments.board:
        boards = _of_bench(arguments, order)
    else:
        known: dict[str, Board] = {}
        boards = [Board(order, host, arguments.context, known=known) for host in arguments.host or [None]]
        if not arguments.host and arguments.printed is None:
            offer_to_build(order, arguments.context)
    if arguments.printed is not None:
        return _print(boards)
    return measure(boards, order, arguments.output, stderr(), several=len(boards) > 1 or bool(arguments.board))


def _print(boards: Sequence[Board]) -> int:
    from edgebench.launch.container import run_line, shell_line

    remarks, lines = stderr(), stdout()
    for board in boards:
        plain(lines, shell_line(run_line(board.line(lambda line: plain(remarks, line)))))
    return EXIT_OK


def _of_bench(arguments: argparse.Namespace, order: Order) -> list[Board]:
    """Return the boards of the bench file that were named, each with its meters."""
    from edgebench.launch.benchfile import of_platform, read_bench
    from edgebench.launch.board import Board

    path = arguments.boards
    known: dict[str, Board] = {}
    found, left_out = of_platform(read_bench(path), arguments.board, order.profile.platform, path)
    for name in left_out:
        plain(stderr(), f"{name} is left out: it is no {order.profile.platform}")
    return [
        Board(
            replace(
                order,
                image=arguments.image or entry.image or order.image,
                specs=order.specs or tuple(entry.meters),
                unit=name,
                brief=len(found) > 1,
            ),
            entry.address,
            name=name,
            known=known,
        )
        for name, entry in found.items()
    ]


def _manifests(order: Order, arguments: argparse.Namespace) -> int:
    from edgebench.launch.kubernetes import manifests, text

    found = manifests(order, arguments.node_label, arguments.claim)
    stdout().file.write(text(found))
    return EXIT_OK


def order_asked(arguments: argparse.Namespace, specs: tuple[str, ...]) -> Order:
    """Return what a board is to run: the options of `suite` as its container is given them."""
    from edgebench.commands.commit import commit_asked
    from edgebench.launch.container import Limits
    from edgebench.launch.order import Order, from_root
    from edgebench.launch.profile import find_profile
    from edgebench.plan.suites import builtin_suites, open_suite

    remote = _remote(arguments)
    profile = find_profile(arguments.platform)
    suite = open_suite(arguments.suite)
    inputs: list[Input] = []
    words = [arguments.suite]
    if arguments.suite not in builtin_suites():
        inputs.append(_input("suite", suite.whole.path, remote=remote))
        words = [inputs[0].target]
    parser = argparse.ArgumentParser(add_help=False)
    add_suite_options(parser)
    for action in parser._actions:  # noqa: SLF001  # argparse has no other list of a parser's options
        value = getattr(arguments, action.dest)
        if action.dest in _OWN or value is None or value is False or value == []:
            continue
        option = action.option_strings[-1]
        if action.dest == "input":
            words += [word for text in value for word in (option, _values(text, inputs, remote=remote))]
        elif isinstance(value, Path):
            inputs.append(_input(action.dest, value, remote=remote))
            words += [option, inputs[-1].target]
            if action.dest == "model":
                inputs += _beside(value)
        elif value is True:
            words.append(option)
        else:
            given = value if isinstance(value, list) else [value]
            words += [word for one in given for word in (option, _word(one))]
    words += ["-o", "-"]
    return Order(
        profile=profile,
        image=arguments.image or profile.image,
        suite=suite.head.name,
        arguments=tuple(words),
        inputs=tuple(inputs),
        specs=tuple(map(from_root, specs)),
        sysfs=str(Path(arguments.sysfs).absolute()),
        limits=Limits(arguments.cpus, arguments.cpuset_cpus, arguments.memory),
        user=arguments.user,
        cache=_cache(arguments.cache, remote=remote),
        report=not arguments.dry_run,
        commit=commit_asked(arguments.commit, lambda line: plain(stderr(), line)),
        brief=arguments.swarm is not None or len(arguments.host) > 1,
    )


def _word(value: object) -> str:
    """Return an option's value as it was written."""
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _remote(arguments: argparse.Namespace) -> bool:
    """Whether the engine may be another machine's: then paths of folders are checked there, not here."""
    elsewhere = bool(arguments.board) or arguments.swarm is not None or arguments.printed == "kubernetes"
    named = arguments.host or arguments.context or elsewhere
    return bool(named or os.environ.get("DOCKER_HOST") or os.environ.get("DOCKER_CONTEXT"))


def _input(option: str, path: Path, *, remote: bool) -> Input:
    """Return what the container is given for a path of the user's. A folder for a board elsewhere is that board's."""
    from edgebench.launch.order import Input
    from edgebench.launch.rights import INPUT

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


def _beside(model: Path) -> list[Input]:
    """Return what the container is given of a model's other files, beside it."""
    from edgebench.launch.order import Input
    from edgebench.launch.rights import INPUT
    from edgebench.plan.own import other_files

    try:
        names = other_files(model)
    except OSError as error:
        raise UsageError(f"--model {model}: cannot be read ({error.strerror}): check its permissions") from None
    folder = model.parent.absolute()
    return [Input("model", str(folder / name), f"{INPUT}/model/{name}", folder=False) for name in names]


def _values(text: str, inputs: list[Input], *, remote: bool) -> str:
    """Return an ``--input`` as its container is given it; a file that it names joins the `inputs`."""
    from edgebench.launch.rights import INPUT

    if not text.endswith((".npy", ".npz")):
        return text
    # A name may hold "=", and so may a path.
    places = [index + 1 for index, character in enumerate(text) if character == "="]
    start = next((place for place in (0, *places) if Path(text[place:]).is_file()), max(places, default=0))
    file = _input("input", Path(text[start:]), remote=remote)
    target = f"{INPUT}/input-{len(inputs)}/{Path(file.source).name}"
    inputs.append(replace(file, target=target))
    return text[:start] + target


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


def _size(text: str) -> str:
    if not re.fullmatch(r"[1-9]\d{0,15}[bkmg]?", text.lower()):
        raise argparse.ArgumentTypeError(f"{text!r} is no size: write it as 512m or 4g")
    return text.lower()


def _processors(text: str) -> float:
    return number(text, 4096, "is no number of processors")
