"""What is particular to a family of files, as the rows in backends/families.py have it."""

from __future__ import annotations

import importlib
from importlib.metadata import PackageNotFoundError, version

from edgebench.backends.families import family_named
from edgebench.errors import CompressionError


def file_of(family: str) -> str:
    """Return the file a backend opens, inside an artifact's folder; empty where it opens the folder itself."""
    return family_named(family).file


def export_of(family: str) -> str:
    """Return the family that a family's build starts from, made by the export; raises CompressionError for none."""
    if (found := family_named(family).export) is None:
        raise CompressionError(f"{family} is made in one step, not from an export: choose another backend")
    return found


def family_versions(family: str) -> dict[str, str]:
    """Return {package: version} of what changes the artifacts of a family."""
    found = {}
    for name in family_named(family).packages:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def preload(family: str, step: str | None) -> None:
    """Import what a phase will use, so that the phase measures its work and not the reading of libraries."""
    modules = family_named(family).preload
    for name in {*modules.get(None, ()), *modules.get(step, ())}:
        try:
            importlib.import_module(name)
        except ImportError:
            continue  # the phase says what is missing, in its own words
