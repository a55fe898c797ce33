"""The one place where a runtime's exceptions become ours: one bounded sentence, never a traceback."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

from edgebench.errors import BackendError, EdgebenchError
from edgebench.machine.memory import free_bytes

MAX_REASON = 240
# A model that is larger than this is refused before a runtime tries to map it.
MAX_FILE_BYTES = 16 << 30

# Where in its own sources a runtime stood says nothing to a user.
_NOISE = re.compile(r"^(Exception from |Check '|FrontEnd API failed|Traceback|\s*File \"|$)")
_ORT_PREFIX = re.compile(r"^(\[ONNXRuntimeError\]\s*:\s*\d+\s*:\s*\w+\s*:\s*)")
_ORT_LOADING = re.compile(r"^Load model from .{1,4096}? failed:\s*")
_NAMES_OPERATORS = re.compile(
    r"conversion rule|conversion is failed for|(unsupported|not supported|not implemented|custom) op", re.IGNORECASE
)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]+")


def reason_of(error: BaseException) -> str:
    """Return the first line of a foreign exception that says something, without control characters, bounded.

    A later line that names the operators it is about stands after it.
    """
    lines = str(error).splitlines()
    line = next((line for line in lines if not _NOISE.match(line)), "") or next((line for line in lines if line), "")
    text = _CONTROL.sub(" ", _ORT_LOADING.sub("", _ORT_PREFIX.sub("", line))).strip().rstrip(".:")
    named = next((other for other in lines if other != line and _NAMES_OPERATORS.search(other)), "")
    if named:
        text = f"{text}: {_CONTROL.sub(' ', named).strip(' -.:')}"
    text = text or type(error).__name__
    return text if len(text) <= MAX_REASON else text[: MAX_REASON - 1] + "…"


@contextlib.contextmanager
def refusals(runtime: str, doing: str, path: Path | None = None, advice: str = "") -> Iterator[None]:
    """Turn whatever a runtime raises while `doing` something into one BackendError sentence."""
    try:
        yield
    except EdgebenchError:
        raise
    except MemoryError:
        raise BackendError(f"{runtime} has not enough memory for {doing}{_at(path)}: use a smaller model") from None
    except Exception as error:  # noqa: BLE001  # the boundary: runtimes raise anything
        raise BackendError(
            f"{runtime} refuses {doing}{_at(path)} ({reason_of(error)}){': ' + advice if advice else ''}"
        ) from None


def check_file(path: Path) -> None:
    """Raise BackendError unless `path` is a readable, non-empty regular file of a size a runtime may map."""
    try:
        size = path.stat().st_size
    except OSError as error:
        raise BackendError(f"cannot open model {path} ({error.strerror}): give the path of a model file") from None
    if not path.is_file():
        raise BackendError(f"model {path} is not a file: give the path of a model file")
    if not os.access(path, os.R_OK):
        raise BackendError(f"model {path} may not be read: give yourself read permission")
    if size == 0:
        raise BackendError(f"model {path} is empty: export it again")
    check_room(path)


def check_room(path: Path) -> None:
    """Raise BackendError where a file is larger than what this machine has free, or than any that is measured."""
    size, free = path.stat().st_size, free_bytes()
    if size > MAX_FILE_BYTES:
        raise BackendError(
            f"model {path} has {size >> 30} GiB, more than {MAX_FILE_BYTES >> 30} GiB: use a smaller one"
        )
    if free is not None and size > free:
        raise BackendError(
            f"model {path} has {size / 1e9:.2f} GB, and {free / 1e9:.2f} GB of memory are free: use a smaller one"
        )


def _at(path: Path | None) -> str:
    return "" if path is None else f" {path}"
