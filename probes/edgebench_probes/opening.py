"""What a script asks for first: which probes there are, and those of its choice, open. Public as `edgebench_probes`."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self, overload

from edgebench_probes.base import Probe, ProbeError
from edgebench_probes.catalogue.discover import discover, examine, open_probes
from edgebench_probes.finding import Finding
from edgebench_probes.spec import parse_spec


class OpenProbes(Sequence[Probe]):
    """Open probes, one a source and scope; `missing` are the scopes beside them that read nothing, with reasons."""

    def __init__(self, probes: Sequence[Probe], missing: Sequence[Finding]) -> None:
        self._probes = tuple(probes)
        self.missing = tuple(missing)

    @overload
    def __getitem__(self, index: int) -> Probe: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Probe]: ...
    def __getitem__(self, index: int | slice) -> Probe | Sequence[Probe]:
        return self._probes[index]

    def __len__(self) -> int:
        return len(self._probes)

    def close(self) -> None:
        """Close them all; harmless when they are closed."""
        with ExitStack() as stack:
            for probe in self._probes:
                stack.callback(probe.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()


def probes(*specs: str, sysfs: str | Path | None = None) -> list[Finding]:
    """Return every energy source of this machine, or those named: usable, or the reason why not and the fix.

    Each is opened, read and closed once. `sysfs` is where sysfs is mounted (default: EDGEBENCH_SYSFS, else /sys).
    Raises ProbeError for a specification that cannot be understood.
    """
    return examine(specs, sysfs_root(sysfs)) if specs else discover(sysfs_root(sysfs))


def open(  # noqa: A001 - public as edgebench_probes.open, as gzip.open is
    *specs: str, sysfs: str | Path | None = None, workload_cpus: Collection[int] = ()
) -> OpenProbes:
    """Open the probes named, or without any those of EDGEBENCH_PROBE, else the native source of this machine.

    Use it as a context manager, or close it. Samplers of power keep off `workload_cpus`. Raises ProbeError with cause
    and fix when a source or scope that was named cannot be had, or when there is no native source.
    """
    root = sysfs_root(sysfs)
    found: list[Probe] = []
    missing: list[Finding] = []
    wanted = dict.fromkeys(specs or by_environment())
    with ExitStack() as undo:
        for spec in wanted or ("",):
            some, absent = open_probes([spec] if spec else (), root, workload_cpus=workload_cpus)
            for probe in some:
                undo.callback(probe.close)
            if absent and (not some or (spec and "scope" in parse_spec(spec).options)):
                raise ProbeError(absent[0].reason or f"{absent[0].name} is not usable here", absent[0].fix)
            if not some:
                raise ProbeError("this machine has no energy source", "attach a power meter and name it")
            found += some
            missing += absent
        check_once(found)
        undo.pop_all()
    return OpenProbes(found, missing)


def check_once(found: Sequence[Probe]) -> None:
    """Refuse one source under two names, or given twice: its figure would look like two. Raises ProbeError."""
    infos = [probe.info for probe in found]
    for index, info in enumerate(infos):
        if any((info.name, info.source, info.scope) == (one.name, one.source, one.scope) for one in infos[:index]):
            raise ProbeError(f"the {info.scope} of {info.name} ({info.source}) is asked for twice", "name it once")


def by_environment() -> list[str]:
    """Return the specifications of EDGEBENCH_PROBE, which are separated by spaces."""
    return os.environ.get("EDGEBENCH_PROBE", "").split()


def sysfs_root(given: str | Path | None) -> Path:
    """Return where sysfs is mounted: as given, else EDGEBENCH_SYSFS (containers bind it elsewhere), else /sys."""
    return Path(given if given is not None else os.environ.get("EDGEBENCH_SYSFS") or "/sys")
