"""Installed versions, asked of the package metadata: no runtime is imported for it."""

from __future__ import annotations

import importlib.metadata


def installed_versions(*distributions: str) -> dict[str, str]:
    """Return {distribution: version} of those that are installed."""
    found = {}
    for name in distributions:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
