"""One hardware counter of energy, as a source (powercap, perf, pyRAPL) reads it."""

from __future__ import annotations

import copy
import math
import time
from abc import ABC, abstractmethod
from typing import Self

from edgebench_probes.advice import ANOTHER_SOURCE
from edgebench_probes.base import ProbeError
from edgebench_probes.stretches import Scale

REFRESH_NS = 1_000_000  # Intel SDM vol. 3B, 15.10: energy status is updated about every millisecond
REFRESH_S = REFRESH_NS / 1e9
ALIVE_S = 0.1  # one that counts shows it at its next refresh


class Counter(ABC):
    """One hardware counter. `step` is its LSB and `modulus` its wrap, both in counts; a count is `joules` J.

    `_fd` is the file it is read through: the watch reads through the same one.
    """

    name: str
    joules: float
    step: float = 1.0
    modulus: float = math.inf
    max_power_w: float = 1000.0  # no single counter of a board or server covers more
    _fd: int = -1

    @abstractmethod
    def open(self) -> None:
        """Take the handle; raises ProbeError."""

    @abstractmethod
    def close(self) -> None:
        """Give the handle back."""

    @abstractmethod
    def read(self) -> int:
        """Present count; raises WindowInvalid when the read fails."""

    def learn(self) -> None:  # noqa: B027 - most counters know their step
        """Find the step from the values seen, where it is not known."""

    def watched(self) -> Counter:
        """Return what reads the same counts through a copy of the handle: pickled, sent to the watch, read there."""
        return copy.copy(self)

    @property
    def handle(self) -> int:
        """Descriptor of the open counter."""
        return self._fd

    def adopt(self, handle: int) -> Self:
        """Read through this descriptor from now on."""
        self._fd = handle
        return self

    @property
    def scale(self) -> Scale:
        """What its counts mean."""
        return Scale(self.joules, self.step, self.modulus, self.max_power_w)

    def sample(self, distinct: int = 32, seconds: float = 50 * REFRESH_S) -> list[int]:
        """Read until so many different values were seen or the time is over; the last read is after its end."""
        values = [self.read()]
        end = time.monotonic() + seconds
        over = False
        while len(values) < distinct and not over:
            over = time.monotonic() >= end
            value = self.read()
            if value != values[-1]:
                values.append(value)
        return values

    def check_alive(self) -> None:
        """Wait for one change; raises ProbeError for a counter that shows none.

        A counter that is there and never counts is common: the platform's on boards that do not wire it, and all of
        them in some virtual machines.
        """
        if len(self.sample(2, ALIVE_S)) < 2:
            raise ProbeError(f"{self.name}: the counter did not move in {ALIVE_S:.3f} s, it is frozen", ANOTHER_SOURCE)
