"""A counter of energy that is a file of sysfs: one whole number, read through a descriptor that stays open."""

from __future__ import annotations

import os
from pathlib import Path

from edgebench_probes.base import ProbeError, WindowInvalid
from edgebench_probes.counter import Counter


class FileCounter(Counter):
    """A counter in uJ in a file of its own."""

    joules = 1e-6

    def __init__(self, name: str, file: Path) -> None:
        self.name = name
        self._file = file

    def fix(self) -> str:
        """What to do when the file may not be opened."""
        return f"run as root, or `sudo chmod o+r {self._file}`"

    def open(self) -> None:
        """Open the file; raises ProbeError."""
        try:
            self._fd = os.open(self._file, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise ProbeError(f"{self._file} cannot be opened: {self.why(error)}", self.fix()) from None

    def close(self) -> None:
        """Close it."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def read(self) -> int:
        """Present reading in uJ; raises WindowInvalid: a failed read is no zero."""
        try:
            return int(os.pread(self._fd, 32, 0))
        except (OSError, ValueError) as error:
            raise WindowInvalid(f"{self.name}: the counter could not be read: {self.why(error)}") from None

    def why(self, error: Exception) -> str:
        """Say what an OSError or ValueError of this file means."""
        if isinstance(error, OSError):
            return error.strerror or "it failed"
        return "it holds no number"
