"""The action `edgebench probes measure`: joules of any command, and its exit code."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from edgebench.commands.options import add_probe_options, seconds
from edgebench.errors import UsageError

CANNOT_START = 127  # as shells have it
FROM_TERMINAL = (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP)  # a terminal sends these to the command as well
PASSED_ON = (*FROM_TERMINAL, signal.SIGTERM)


def add_measure_options(actions: Any) -> None:
    """Add `measure` to the actions of `edgebench probes`."""
    parser = actions.add_parser(
        "measure",
        help="joules of a command",
        usage="%(prog)s [-h] [--json] [-o FILE] [--idle SECONDS] [--probe SPEC] [--sysfs ROOT] -- COMMAND...",
        description="Run a command and say on stderr what energy it took: one figure a probe and scope.",
        epilog="exit codes: the command's, 128 + N when signal N ended it, 127 when it cannot be started; "
        "2 usage, or a probe that cannot be had (the command is then not run)",
    )
    parser.add_argument(
        "--json", action="store_true", default=argparse.SUPPRESS, help="one line of JSON on stdout, the last one"
    )
    parser.add_argument("-o", "--output", metavar="FILE", type=Path, help="write the JSON to a file")
    parser.add_argument(
        "--idle",
        metavar="SECONDS",
        type=seconds,
        default=0.0,
        help="leave the machine alone so long before and again after it, and give the energy above idle too",
    )
    add_probe_options(parser, inherited=True)
    parser.add_argument("argv", metavar="COMMAND", nargs=argparse.REMAINDER, help="the command and its arguments")
    parser.set_defaults(command=measure)


def measure(arguments: argparse.Namespace) -> int:
    """Measure the command; returns its exit code. Raises ProbeError before it is run."""
    from edgebench_probes import measure as measured_block

    argv = arguments.argv[1:] if arguments.argv[:1] == ["--"] else arguments.argv
    if not argv:
        raise UsageError("measure needs a command: edgebench probes measure -- COMMAND")
    if arguments.watch or arguments.record is not None:
        raise UsageError("measure goes with neither --watch nor --record: leave them out")
    if arguments.output is not None and not arguments.output.parent.is_dir():
        raise UsageError(f"{arguments.output}: there is no folder {arguments.output.parent}: name another file")
    if shutil.which(argv[0]) is None:
        return _cannot_start(argv[0], "it is no program" if Path(argv[0]).exists() else "there is no such program")
    command = _Command(argv)
    probes = measured_block(*(arguments.probe or ()), idle_s=arguments.idle, sysfs=arguments.sysfs)
    try:
        with contextlib.suppress(_Stopped), probes as measured:
            command.run()
    except KeyboardInterrupt:
        if not command.ended:
            raise  # and not in the wait for idle power, after everything else was measured
    except _CannotStartError as error:
        return _cannot_start(argv[0], str(error))
    found = {"command": argv, "exit_code": command.code, **measured.as_dict()}
    if arguments.json:
        sys.stdout.write(json.dumps(found) + "\n")
    else:
        sys.stderr.write(f"{measured}\n")
    if arguments.output is not None:
        _write(arguments.output, json.dumps(found, indent=1) + "\n")
    return command.code


class _Stopped(Exception):  # noqa: N818 - no error: what was measured is complete, without a wait for idle power
    """A signal for us was passed on, and the command has ended."""


class _CannotStartError(Exception):
    """The command is no program, or may not be run."""


def _cannot_start(program: str, why: str) -> int:
    sys.stderr.write(f"edgebench: {program} cannot be started: {why}\n")
    return CANNOT_START


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{path}: cannot be written ({error.strerror}): name another file") from None


class _Command:
    """A command with our own input and output; `code` is its exit code, as shells give it, once it has `ended`."""

    def __init__(self, argv: Sequence[str]) -> None:
        self._argv = argv
        self.code, self.ended = 0, False

    def run(self) -> None:
        """Run it to its end, passing on signals; raises _Stopped after one, _CannotStartError instead of running."""
        with _signals() as relay:
            try:
                process = subprocess.Popen(self._argv)
            except OSError as error:
                raise _CannotStartError(error.strerror or str(error)) from None
            relay.to(process)
            code = process.wait()
        self.code, self.ended = (code if code >= 0 else 128 - code), True
        if relay.seen:
            raise _Stopped


class _Relay:
    """Signals for us, passed on to the command, also those that came before it had started."""

    def __init__(self) -> None:
        self.seen: list[int] = []
        self._process: subprocess.Popen[bytes] | None = None

    def to(self, process: subprocess.Popen[bytes]) -> None:
        """Pass on to this process from now on."""
        self._process = process
        for number in self.seen:
            self._send(process, number)

    def take(self, number: int, _frame: FrameType | None) -> None:
        """Handle a signal."""
        self.seen.append(number)
        if self._process is not None:
            self._send(self._process, number)

    def _send(self, process: subprocess.Popen[bytes], number: int) -> None:
        """Send it, unless the terminal has: it sends ctrl-C to every process in its foreground."""
        if not (number in FROM_TERMINAL and _in_foreground()):
            process.send_signal(number)


@contextlib.contextmanager
def _signals() -> Iterator[_Relay]:
    """Take the signals that end a program for the time of the block."""
    relay = _Relay()
    # One that is ignored here, as below `nohup`, the command ignores too.
    taken = [number for number in PASSED_ON if signal.getsignal(number) not in (signal.SIG_IGN, None)]
    before = {number: signal.signal(number, relay.take) for number in taken}
    try:
        yield relay
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _in_foreground() -> bool:
    """Whether our process group is the one that a terminal sends its signals to."""
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)
