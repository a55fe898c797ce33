"""How files of a plug-in's format are read: the functions of the module that its family names as `reader`."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

from edgebench.backends.families import FAMILIES, families
from edgebench.backends.inputs import ModelInput


class Reader(Protocol):
    """A module with these functions. Each raises OSError where a file cannot be read, BackendError for a damaged one.

    The command line itself calls `precision` and `others`: they look at the bytes, and import no runtime.
    """

    def inputs(self, path: Path) -> list[ModelInput]:
        """Return the inputs that a file declares; called in a process of its own."""

    def precision(self, path: Path) -> str:
        """Return what most of the weights are held in: ``fp32``, ``fp16``, ``bf16``, ``int8`` or ``int4``."""

    def others(self, path: Path) -> tuple[str, ...]:
        """Return the names of the model's other files, relative to its folder."""


def reader_of(form: str) -> Reader | None:
    """Return what reads files of a format, None of one that is no plug-in's."""
    if form in FAMILIES or (family := families().get(form)) is None or not family.reader:
        return None
    return cast("Reader", import_module(family.reader))
