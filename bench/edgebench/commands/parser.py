"""The command line's parser: every error is one sentence that names the command, what is wrong and what was meant."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any, NoReturn

from edgebench.errors import UsageError, did_you_mean, unknown

if TYPE_CHECKING:
    from collections.abc import Sequence

_MISSING = "the following arguments are required: "


class Parser(argparse.ArgumentParser):
    """argparse with errors in the style of all others: UsageError, which `main` prints."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse; what this very command does not know is refused here, where its options are known."""
        found, rest = super().parse_known_args(args, namespace)
        if rest:
            self.error(self._unknown(rest))
        return found, rest

    def error(self, message: str) -> NoReturn:
        """Raise UsageError: the command, what is wrong, and where to read on."""
        if message.startswith(_MISSING):
            message = f"{message.removeprefix(_MISSING)} is missing"
        raise UsageError(f"{self._place()}{message} ('{self.prog} --help' tells more)")

    def _unknown(self, rest: Sequence[str]) -> str:
        option = next((word.partition("=")[0] for word in rest if word.startswith("-")), None)
        if option is None:
            return f"{rest[0]!r} is one argument too many"
        known = [name for action in self._actions for name in action.option_strings if name.startswith("--")]
        return f"there is no option {option}{did_you_mean(option, known)}"

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """Refuse what is none of an argument's choices."""
        if action.choices is None or value in action.choices:
            return
        # A command is a choice without a name of its own.
        what = "/".join(action.option_strings) or ("command" if action.dest is argparse.SUPPRESS else action.dest)
        raise UsageError(f"{self._place()}{unknown(what, str(value), map(str, action.choices))}")

    def _place(self) -> str:
        name = self.prog.partition(" ")[2]
        return f"{name}: " if name else ""
