"""Every error a user can cause: one tree by cause, each message one sentence saying what, where and what to do."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

# How a command ends; a verdict has codes of its own: edgebench.compare.verdict. EXIT_KILLED is a shell's for SIGKILL.
EXIT_OK, EXIT_FAILED, EXIT_USAGE, EXIT_INTERRUPTED, EXIT_KILLED = 0, 1, 2, 130, 137


class EdgebenchError(Exception):
    """Base of all errors shown to a user; `exit_code` is the process's exit code."""

    exit_code = EXIT_USAGE


class UsageError(EdgebenchError):
    """The command line or a suite file asks for something that does not exist."""


class ReportError(EdgebenchError):
    """A report cannot be read, is not valid, or cannot be written."""


class HistoryError(EdgebenchError):
    """A history cannot be read or written: damaged, of another program, of a newer edgebench, or in use."""


class BundleError(EdgebenchError):
    """A bundle cannot be made, or is not whole, not of this version, or not for this suite."""


class ProbeGoneError(EdgebenchError):
    """A probe that the session was asked for does not open (any more)."""


class BackendError(EdgebenchError):
    """A runtime is missing, or refuses an artifact or a setting."""

    exit_code = EXIT_FAILED


class CompressionError(EdgebenchError):
    """A model cannot be built, trained, compressed or exported."""

    exit_code = EXIT_FAILED


class InapplicableError(CompressionError):
    """A compression that there is nothing for in this model: its benchmarks are skipped, nothing failed."""


class ContainerError(EdgebenchError):
    """A container engine or an image is missing, refuses, or does not match this edgebench."""


class ContainerDiedError(ContainerError):
    """A container ended before its report was written."""

    exit_code = EXIT_FAILED


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return `` (did you mean X?)`` where a name is nearly one of the known ones, else nothing."""
    near = get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f" (did you mean {near[0]}?)" if near else ""


def unknown(what: str, name: str, known: Iterable[str]) -> str:
    """Return the sentence that a name is none of the known ones, and which it may have been."""
    names = list(known)
    return f"unknown {what} {name!r}{did_you_mean(name, names)}: choose from {', '.join(names)}"
