"""RAPL in the catalogue: which of its scopes can be read, and the many ways in which it can be closed."""

from __future__ import annotations

import errno
import importlib.util
import os
from functools import partial
from pathlib import Path

from edgebench_probes import engines
from edgebench_probes.advice import extra
from edgebench_probes.base import ProbeError, Scope
from edgebench_probes.entry import Candidate
from edgebench_probes.host import Host, masked
from edgebench_probes.sources.perf import PMU, PerfProbe, events
from edgebench_probes.sources.pyrapl import SYSFS, PyRaplProbe
from edgebench_probes.sources.rails import text
from edgebench_probes.sources.rapl import RaplProbe, zones_by_scope
from edgebench_probes.spec import Spec

TREES = ("class/powercap", "devices/virtual/powercap")
METER = "attach a power meter"


def _absent(host: Host, what: str, module: str) -> ProbeError:
    """Why a tree of the kernel is not there at all."""
    if not host.x86:
        return ProbeError(f"this is an {host.machine} machine, and RAPL is a part of x86 processors", METER)
    if host.inside == "wsl":
        return ProbeError(
            f"{what} is absent: this is WSL, a virtual machine in Windows, which keeps RAPL from it",
            "boot Linux itself, or attach a power meter",
        )
    if host.virtual:
        return ProbeError(
            f"{what} is absent: this is a virtual machine, and hypervisors keep RAPL from guests",
            "measure on the real machine",
        )
    where = "on the host " if host.container else ""
    return ProbeError(
        f"{what} is absent: the kernel has loaded no driver for it", f"run {where}`sudo modprobe {module}`"
    )


def rapl_scopes(_spec: Spec, sysfs: Path, host: Host) -> list[Candidate]:
    """Scopes of the powercap tree; ProbeError says which of its many ways to be closed it is."""
    folder, devices = sysfs / "class/powercap", sysfs / "devices/virtual/powercap"
    try:
        entries = list(folder.iterdir())
        if any(not entry.exists() for entry in entries) or _covered(folder, entries) or _covered(devices):
            raise _masked(sysfs, host)
        scopes = zones_by_scope(sysfs, host.vendor)
    except FileNotFoundError:
        raise _absent(host, str(folder), "intel_rapl_msr") from None
    except OSError as error:
        raise ProbeError(f"{folder} cannot be listed: {error.strerror}", "run as root") from None
    if not scopes:
        raise _absent(host, f"a RAPL zone in {folder}", "intel_rapl_msr")
    zones = [zone for group in scopes.values() for zone in group]
    if any(masked(zone.path / "energy_uj") for zone in zones):
        raise _masked(sysfs, host)
    unreadable = [zone for zone in zones if not os.access(zone.path / "energy_uj", os.R_OK, effective_ids=True)]
    if unreadable:
        raise _unreadable(unreadable[0].path / "energy_uj", host, sysfs)
    return [(scope, partial(RaplProbe, scope, group)) for scope, group in scopes.items()]


def _covered(folder: Path, entries: list[Path] | None = None) -> bool:
    """Whether a container engine has put an empty file system over this folder."""
    try:
        return masked(folder) and not (list(folder.iterdir()) if entries is None else entries)
    except PermissionError:
        return masked(folder)
    except OSError:
        return False


def _masked(sysfs: Path, host: Host) -> ProbeError:
    if host.container:
        bound = f"{engines.paths(host.inside, TREES)} as root"
        fixes = ([engines.perfmon(host.inside)] if (sysfs / PMU).exists() else []) + [bound]
        return ProbeError("the container engine masks the powercap tree", "start it with " + ", or with ".join(fixes))
    return ProbeError(
        f"{sysfs}/class/powercap points to zones that are not there",
        f"bind {sysfs}/devices/virtual/powercap beside it, from the same machine",
    )


def _unreadable(file: Path, host: Host, sysfs: Path) -> ProbeError:
    reason = f"{file} may be read by root only"
    if host.container:
        root = engines.as_root(host.inside)
        fixes = ([engines.perfmon(host.inside)] if (sysfs / PMU).exists() else []) + [root]
        return ProbeError(reason, "start the container with " + ", or with ".join(fixes))
    # sysfs has no access control lists, so setfacl cannot help; chmod lasts until the next boot.
    chmod = f"`sudo chmod o+r {sysfs}/devices/virtual/powercap/intel-rapl/intel-rapl:*/energy_uj`"
    return ProbeError(reason, f"run as root, or {chmod}, or give this process CAP_PERFMON and use the probe `perf`")


def perf_scopes(_spec: Spec, sysfs: Path, host: Host) -> list[Candidate]:
    """Events of the power PMU."""
    try:
        found = events(sysfs, host.vendor)
    except FileNotFoundError:
        raise _absent(host, str(sysfs / PMU), "rapl") from None
    except OSError as error:
        raise ProbeError(f"{sysfs / PMU} cannot be read: {error.strerror}") from None
    if not found:
        raise _absent(host, f"an energy event in {sysfs / PMU}", "rapl")
    if host.vendor == "AuthenticAMD" and _dies(sysfs, max((event.cpus for event in found), key=len)):
        raise ProbeError(
            "perf counts each die of this package, and the dies of some AMD processors repeat one counter",
            "use the probe `rapl`, which holds them against each other",
        )
    return [(event.scope, partial(PerfProbe, event)) for event in found]


def _dies(sysfs: Path, cpus: tuple[int, ...]) -> bool:
    """Whether two of these processors are of one package."""
    topology = sysfs / "devices/system/cpu"
    packages = [text(topology / f"cpu{cpu}/topology/physical_package_id") for cpu in cpus]
    known = [package for package in packages if package]
    return len(known) != len(set(known))


def perf_refused(error: ProbeError, host: Host) -> ProbeError:
    """Add to the kernel's refusal what would lift it."""
    cause = error.__cause__
    if not (isinstance(cause, OSError) and cause.errno in (errno.EACCES, errno.EPERM)) or host.perfmon:
        return error
    if host.container:
        return ProbeError(error.reason, f"start the container with {engines.perfmon(host.inside)} and as root")
    level = "" if host.paranoid is None else f" (kernel.perf_event_paranoid is {host.paranoid})"
    return ProbeError(error.reason + level, "run `sudo sysctl kernel.perf_event_paranoid=0`, or run with CAP_PERFMON")


def pyrapl_scopes(spec: Spec, sysfs: Path, host: Host) -> list[Candidate]:
    """PyRAPL's packages: it needs its own package, and the tree at its usual place."""
    if importlib.util.find_spec("pyRAPL") is None:
        raise ProbeError("pyRAPL is not installed", extra("pyrapl"))
    if sysfs.resolve() != SYSFS:
        raise ProbeError(f"pyRAPL reads {SYSFS} and nothing else, not {sysfs}", "use the probe `rapl`")
    if not any(scope is Scope.PACKAGE for scope, _ in rapl_scopes(spec, sysfs, host)):
        raise ProbeError("there is no package zone, the only one pyRAPL is used for", "use the probe `rapl`")
    zones = zones_by_scope(sysfs, host.vendor)[Scope.PACKAGE]
    return [(Scope.PACKAGE, partial(PyRaplProbe, zones))]
