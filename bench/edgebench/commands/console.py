"""What every command shares: its streams, its exit codes and where its text goes. Nothing heavy at the top."""

from __future__ import annotations

import contextlib
import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any, TextIO, TypeAlias, cast

from edgebench.errors import UsageError
from edgebench.report.text import clean_lines

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable
    from pathlib import Path

    from rich.console import Console, RenderableType

    from edgebench.measure.messages import ProbeSettings

EPILOG = "exit codes: 0 ok, 1 some benchmark failed or has runs missing, 2 usage or invalid input, 130 interrupted"
EPILOG_VERDICT = "exit codes: 0 passed, 1 regressed, 2 usage or invalid input, 3 incomparable, 4 inconclusive"

# As wide as any line may be in a file.
_UNWRAPPED = 2000

# What a command adds its parser to; argparse has no public name for it.
Subparsers: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001


def stdout() -> Console:
    """Return the console for what was asked for: tables. What is piped, or goes to a file, is not wrapped."""
    from rich.console import Console

    return _unwrapped(Console(soft_wrap=False))


def stderr() -> Console:
    """Return the console for progress and remarks; where nobody reads them any more they are dropped."""
    from rich.console import Console

    if sys.stderr is None:
        return Console(stderr=True)
    return _unwrapped(Console(file=cast("TextIO", _Lossy(sys.stderr))))


def _unwrapped(console: Console) -> Console:
    """Give a console that is no terminal, and for which nobody said a width, room for any line."""
    if not console.is_terminal and not os.environ.get("COLUMNS"):
        console.width = _UNWRAPPED
    return console


def plain(console: Console, text: str) -> None:
    """Print a sentence as it is: paths and names in it are neither markup nor wrapped."""
    console.print(clean_lines(text), markup=False, highlight=False, soft_wrap=True)


def say(text: str) -> None:
    """Write a sentence to standard error, for when loading a console would cost more than the command.

    What a file or another program said in it is shown, never obeyed by the terminal.
    """
    if sys.stderr is not None:
        _Lossy(sys.stderr).write(f"{clean_lines(text)}\n")


def load(name: str) -> Callable[..., Any]:
    """Import the function that ``module:function`` names."""
    module, _, function = name.partition(":")
    found: Callable[..., Any] = getattr(import_module(module), function)
    return found


def fill_closed() -> None:
    """Put something in the place of closed standard streams, so that no journal is opened where a library writes."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free


def drop(stream: TextIO | None) -> None:
    """Lead a stream that takes nothing more to nowhere: what it still holds must not fail once more at exit."""
    if stream is not None:
        with contextlib.suppress(OSError):  # a stream of no file
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def settle() -> None:
    """Write what standard error still holds, or drop it: a remark that nobody reads is no failure."""
    if sys.stderr is not None:
        _Lossy(sys.stderr).flush()


class _Lossy:
    """A stream whose end may be gone (a closed terminal, a full disk): a session must not end for a remark."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write what can be written."""
        try:
            self._stream.write(text)
        except OSError:
            drop(self._stream)
        return len(text)

    def flush(self) -> None:
        """Flush what can be flushed."""
        try:
            self._stream.flush()
        except OSError:
            drop(self._stream)


def captured(shown: RenderableType) -> str:
    """Return a table as the text that standard output would show."""
    console = stdout()
    with console.capture() as capture:
        console.print(shown)
    return capture.get()


def write_text(text: str, target: Path | None) -> None:
    """Write to a file, or to standard output (None); UsageError when the file cannot be written."""
    if target is None:
        sys.stdout.write(text)
        return
    try:
        target.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{target}: cannot be written ({error.strerror}): name another file") from None


def leave_processors_alone() -> None:
    """Keep this process's own arithmetic on one thread: OpenBLAS's idle threads spin beside what is measured.

    Call it before NumPy is imported. Children that compute are told their own number of threads.
    """
    os.environ["OPENBLAS_NUM_THREADS"] = "1"


def probes_asked(arguments: argparse.Namespace) -> ProbeSettings:
    """Return the probes to open; UsageError for a named one that cannot be used, unless it is optional."""
    from edgebench.measure.messages import ProbeSettings
    from edgebench.measure.probes import require

    settings = ProbeSettings(probe_specs(arguments), arguments.sysfs)
    if not arguments.probe_optional:
        require(settings)
    return settings


def probe_specs(arguments: argparse.Namespace) -> tuple[str, ...]:
    """Return the probes that ``--probe`` names, else those of ``EDGEBENCH_PROBE``."""
    return tuple(arguments.probe or os.environ.get("EDGEBENCH_PROBE", "").split())
