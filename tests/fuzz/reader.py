"""One thing that reads bytes of others, as the fuzzer and the tests of its findings use it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Reader:
    """What reads, its documented errors, valid inputs to begin with.

    `mend` puts right the checksums that would end every other look at an input.
    """

    read: Callable[[bytes], object]
    errors: type[Exception]
    seeds: Callable[[], list[bytes]]
    mend: Callable[[bytes], bytes] | None = None

    def take(self, data: bytes) -> None:
        """Read an input as it is, and mended: anything but the documented error is raised."""
        for form in (data, *(() if self.mend is None else (self.mend(data),))):
            try:
                self.read(form)
            except self.errors:
                continue
