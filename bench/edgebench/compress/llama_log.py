"""What llama.cpp says of errors, kept in place of stderr, and one line of it for a sentence."""

from __future__ import annotations

import ctypes
import re
from typing import Any

_ERROR, _GOES_ON = 4, 5  # of the library's log levels; with the second the line before goes on
_MOST_LINES, _MOST_CHARACTERS = 50, 200
# The function that says it, and what was being done, which the sentence around it says already.
_PREFIX = re.compile(r"^(\w+: )?((error loading model|failed to quantize)( \w+)?: )*")


class LogLines:
    """Keeps what the library says of errors, from now on; make one a process, as it is called as long as that lives."""

    def __init__(self, library: Any) -> None:
        self._lines: list[str] = []
        self._last = 0
        self._callback = library.llama_log_callback(self._keep)
        library.llama_log_set(self._callback, ctypes.c_void_p(0))

    def _keep(self, level: int, text: bytes, data: object) -> None:
        del data
        level = self._last if level == _GOES_ON else level
        self._last = level
        if level == _ERROR and len(self._lines) < _MOST_LINES:
            self._lines.append(text.decode("utf-8", errors="replace").strip())

    def why(self) -> str:
        """Return the first line that says something."""
        told = (_PREFIX.sub("", " ".join(line.split()))[:_MOST_CHARACTERS] for line in self._lines)
        return next(filter(None, told), "it does not say why")


_KEPT: list[LogLines] = []


def log_of(library: Any) -> LogLines:
    """Return the lines of this process."""
    if not _KEPT:
        _KEPT.append(LogLines(library))
    return _KEPT[0]
