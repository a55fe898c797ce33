"""Where what a quantiser or converter raises becomes ours: one sentence with what to do, never a traceback."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from edgebench.errors import CompressionError


@contextmanager
def needed(packages: str, extra: str, what: str = "this variant") -> Iterator[None]:
    """Import in its block; where a package is missing, say which extra brings it."""
    try:
        yield
    except ImportError:
        verb = "are" if " and " in packages else "is"
        raise CompressionError(
            f"{what} needs {packages}, which {verb} not installed: install edgebench[{extra}]"
        ) from None


@contextmanager
def refusals(sentence: str) -> Iterator[None]:
    """Turn whatever a tool raises into CompressionError: the sentence, its first line as the reason, what to do."""
    try:
        yield
    except CompressionError:
        raise
    except Exception as error:
        reason = str(error).partition("\n")[0][:200] or type(error).__name__
        raise CompressionError(f"{sentence} ({reason}): choose another variant") from error
