"""The command line: one command is run, its errors become a sentence and an exit code."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from edgebench import __version__
from edgebench.commands import (
    ab,
    boards,
    compare,
    completion,
    export,
    history,
    image,
    prepare,
    probes,
    run,
    show,
    site,
    suite,
    trend,
    validate,
)
from edgebench.commands.console import drop, fill_closed, say, settle
from edgebench.commands.parser import Parser
from edgebench.errors import EXIT_INTERRUPTED, EXIT_OK, EXIT_USAGE, EdgebenchError
from edgebench.machine import interrupts

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

# In the order of `edgebench --help`; each has `add`, which adds its options and names what runs.
COMMANDS = (
    suite,
    prepare,
    run,
    boards,
    image,
    probes,
    compare,
    trend,
    ab,
    history,
    site,
    show,
    validate,
    export,
    completion,
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code. Errors a user can cause end as one sentence on stderr."""
    interrupts.install()
    fill_closed()
    try:
        arguments = build_parser().parse_args(argv)
        code: int = arguments.command(arguments)
        if sys.stdout is not None:
            sys.stdout.flush()
    except KeyboardInterrupt:
        say("edgebench: interrupted")
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has seen enough (`| head`); do not let the interpreter complain at exit.
        drop(sys.stdout)
        return EXIT_OK
    except Exception as error:
        if (sentence := _sentence(error)) is None:
            if interrupts.did(error):
                say("edgebench: interrupted")
                return EXIT_INTERRUPTED
            if os.environ.get("EDGEBENCH_DEBUG"):
                raise
            sentence = f"a fault in edgebench itself ({type(error).__name__}: {error}): EDGEBENCH_DEBUG=1 shows where"
        say(f"edgebench: {sentence}")
        if isinstance(error, OSError):
            drop(sys.stdout)
        return error.exit_code if isinstance(error, EdgebenchError) else EXIT_USAGE
    finally:
        settle()
    return code


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    parser = Parser(
        prog="edgebench",
        description="Measure what a compressed neural network costs on an edge board: "
        "time, energy, memory, size and accuracy.",
        epilog="exit codes: 0 ok, 1 some benchmark failed or regressed, 2 usage or invalid input, 3 incomparable, "
        "4 inconclusive, 130 interrupted",
    )
    parser.add_argument("-V", "--version", action="version", version=f"edgebench {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for command in COMMANDS:
        command.add(commands)
    return parser


def _sentence(error: Exception) -> str | None:
    """Return the sentence of an error that a user can cause, or None for a fault of ours."""
    from edgebench_probes.base import ProbeError
    from edgebench_suites.errors import SuiteDataError

    if isinstance(error, EdgebenchError | ProbeError | SuiteDataError):
        return str(error)
    if isinstance(error, OSError):
        return f"{error.filename or 'a file'}: {error.strerror or error}"
    return None
