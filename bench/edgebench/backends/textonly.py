"""Runtimes that generate text and do nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING

from edgebench.backends.packages import installed_versions
from edgebench.backends.registry import check_spec
from edgebench.errors import BackendError
from edgebench.machine.advice import extra

if TYPE_CHECKING:
    from edgebench.backends.base import LoadedModel, LoadSpec


@dataclass(frozen=True, slots=True)
class TextBackend:
    """A runtime of language models, whose files single passes over arrays are no use of; see `base.Backend`.

    `module` is what is imported, `packages` are those whose versions are told: the first brings the module, and `extra`
    brings that. `remark` is said of the installation.
    """

    name: str
    module: str
    packages: tuple[str, ...]
    extra: str
    remark: str = ""

    def unavailable(self) -> str | None:
        """Say whether the package is missing."""
        if find_spec(self.module) is None:
            return f"{self.packages[0]} is not installed: {extra(self.extra)}{self.remark}"
        return None

    def versions(self) -> dict[str, str]:
        """Return the installed versions of the packages."""
        return installed_versions(*self.packages)

    def load(self, spec: LoadSpec) -> LoadedModel:
        """Refuse: it has no single passes."""
        check_spec(self.name, spec)
        raise BackendError(f"{self.name} generates text from {spec.path}: measure it with a suite of kind generate")

    def check(self, spec: LoadSpec) -> None:
        """Raise BackendError unless it is installed and takes the format and the precision of a file."""
        if (reason := self.unavailable()) is not None:
            raise BackendError(reason)
        check_spec(self.name, spec)
