"""What is particular to a family of files, as the rows in backends/families.py have it."""

from __future__ import annotations

import importlib
from importlib.metadata import PackageNotFoundError, version

from edgebench.backends.families import FAMILIES, family_named

# The file a backend opens, inside an artifact's folder; a torch checkpoint and a set of engines are the folder.
FILES = {name: family.file for name, family in FAMILIES.items()}

# The family that a family's build starts from, made by the export.
EXPORTS = {name: family.export for name, family in FAMILIES.items() if family.export is not None}


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
