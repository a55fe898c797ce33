"""What the catalogue says of a kind of source."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edgebench_probes.base import Probe, ProbeError, Scope
from edgebench_probes.host import Host
from edgebench_probes.spec import Spec

Candidate = tuple[Scope | None, Callable[[], Probe]]  # scope None: known once it is open


def as_is(error: ProbeError, _host: Host) -> ProbeError:
    """Leave a source's own words."""
    return error


def everywhere(_host: Host) -> bool:
    """Whether this kind of source is listed on this machine: always."""
    return True


@dataclass(frozen=True, slots=True)
class Entry:
    """One kind of source: `candidates` raises ProbeError with cause and fix where there is none.

    `refine` adds to an error of opening what this host has to do with it; `listed` says on which machines the source
    is looked for without being asked for; `address` says what the address names, None: it takes none.
    """

    source: str
    candidates: Callable[[Spec, Path, Host], list[Candidate]]
    refine: Callable[[ProbeError, Host], ProbeError] = as_is
    listed: Callable[[Host], bool] = everywhere
    address: str | None = None
    options: tuple[str, ...] = ()
