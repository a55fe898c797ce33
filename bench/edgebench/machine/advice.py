"""How a runtime that is missing is got: by pip, or, in one of edgebench's images, not at all."""

from __future__ import annotations

from edgebench_probes.advice import pip


def install(words: str) -> str:
    """Return how to get packages here."""
    return pip(words)


def extra(name: str) -> str:
    """Return how to get what one of edgebench's extras brings."""
    return pip(f"'edgebench[{name}]'")
