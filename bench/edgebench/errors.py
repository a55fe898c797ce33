"""Every error a user can cause: one tree by cause, each message one sentence saying what, where and what to do."""

from __future__ import annotations

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


class ContainerError(EdgebenchError):
    """A container engine or an image is missing, refuses, or does not match this edgebench."""


class ContainerDiedError(ContainerError):
    """A container ended before its report was written."""

    exit_code = EXIT_FAILED
