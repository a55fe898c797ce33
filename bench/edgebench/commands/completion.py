"""The command `edgebench completion`: a script that completes commands, options, suites and files in a shell."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from edgebench.commands.console import load
from edgebench.errors import EXIT_OK

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from edgebench.commands.console import Subparsers

SHELLS = ("bash", "zsh", "fish")
# What an argument's placeholder says of its values.
_FILES, _FOLDERS = ("FILE", "FILE.toml", "REPORT", "HISTORY"), ("DIR",)


def add(commands: Subparsers) -> None:
    """Add the command and its options."""
    completion = commands.add_parser(
        "completion",
        help="completion for a shell",
        description='Print a script that completes this command line: eval "$(edgebench completion bash)", or put it '
        "where the shell looks for such scripts.",
    )
    completion.add_argument("shell", choices=SHELLS, help="the shell it is for")
    completion.set_defaults(command=_completion)


def _completion(arguments: argparse.Namespace) -> int:
    """Print the script."""
    import shtab

    parser = load("edgebench.commands.main:build_parser")()
    for action in _actions(parser):
        words = str(action.metavar or "").replace("|", " ").split()
        if "NAME" in words and "FILE.toml" in words:
            action.choices = list(load("edgebench.plan.suites:known_suites")())
        elif any(word in _FILES for word in words):
            action.complete = shtab.FILE  # type: ignore[attr-defined]  # where shtab looks
        elif any(word in _FOLDERS for word in words):
            action.complete = shtab.DIRECTORY  # type: ignore[attr-defined]
    sys.stdout.write(shtab.complete(parser, arguments.shell))
    return EXIT_OK


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Return every argument of a command line, those of its commands included."""
    for action in parser._actions:  # noqa: SLF001  # argparse has no other list of a parser's options
        yield action
        if isinstance(action.choices, dict) and not action.option_strings:
            for command in action.choices.values():
                yield from _actions(command)
