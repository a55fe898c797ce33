"""Which energy sources this machine has for this process, and for the others why not and what would fix it."""

from __future__ import annotations

import errno
import importlib.util
import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from edgebench_probes.base import Probe, ProbeError, ProbeInfo, Scope
from edgebench_probes.host import Host, masked, read_host
from edgebench_probes.perf import PMU, PerfProbe, events
from edgebench_probes.pyrapl import SYSFS, PyRaplProbe
from edgebench_probes.rapl import RaplProbe, zones_by_scope
from edgebench_probes.spec import Spec, parse_spec

__all__ = ["Finding", "Spec", "discover", "open_probes", "parse_spec"]

NATIVE = ("perf", "rapl")  # best first: a perf counter does not wrap and needs less privilege
BINDS = " ".join(f"-v /sys/{p}:/host/sys/{p}:ro" for p in ("class/powercap", "devices/virtual/powercap"))
PERFMON = "`docker run --cap-add PERFMON ...`"
BIND_FIX = f"`docker run {BINDS} ... --sysfs /host/sys` as root"
METER = "attach a power meter"


@dataclass(frozen=True, slots=True)
class Finding:
    """One source: usable, with its `info`, or not, with the `reason` and the `fix`; `scope` None: all of its scopes."""

    name: str
    source: str
    usable: bool
    scope: Scope | None = None
    reason: str | None = None
    fix: str | None = None
    info: ProbeInfo | None = None


Candidate = tuple[Scope, Callable[[], Probe]]


def discover(sysfs: Path = Path("/sys"), host: Host | None = None) -> list[Finding]:
    """Every source of the catalogue, usable or not; usable ones have been opened and closed once."""
    host = host or read_host()
    return [finding for name in CATALOGUE for finding, probe in _try(name, sysfs, host) if _closed(probe)]


def open_probes(
    specs: Sequence[str] = (), sysfs: Path = Path("/sys"), host: Host | None = None
) -> tuple[list[Probe], list[Finding]]:
    """Open the probes asked for, or without any the native source of this machine: perf, else powercap.

    Returns one open probe a scope and source, to be closed by the caller, and what is missing and why. Raises
    ProbeError for a specification that cannot be understood; a source that is not usable here is a finding.
    """
    host = host or read_host()
    wanted = [_checked(parse_spec(text)) for text in specs]
    probes: list[Probe] = []
    missing: list[Finding] = []
    with ExitStack() as undo:
        for name, scopes in wanted or [(name, None) for name in NATIVE]:
            found = {f.scope: (f, p) for f, p in _try(name, sysfs, host)}
            if scopes is None:
                chosen = list(found.values())
            else:
                chosen = [found.get(s) or found.get(None) or (_no_scope(name, s), None) for s in scopes]
            for _, probe in found.values():
                if probe is not None and not any(probe is p for _, p in chosen):
                    probe.close()
            for finding, probe in chosen:
                if probe is None:
                    missing.append(finding)
                else:
                    undo.callback(probe.close)
                    probes.append(probe)
            if probes and not wanted:
                break
        undo.pop_all()
    # A native source that has another one beside it is not missing; its scopes that read nothing are.
    return probes, missing if wanted or not probes else [m for m in missing if m.scope is not None]


def _checked(spec: Spec) -> tuple[str, list[Scope] | None]:
    """Probe name and scopes of a specification; the sources of today take no address and one option."""
    if spec.name not in CATALOGUE:
        raise ProbeError(f"there is no probe named {spec.name!r}", f"choose one of {', '.join(CATALOGUE)}")
    if spec.address is not None:
        raise ProbeError(f"the probe {spec.name} takes no address, but {spec.address!r} was given", "leave it out")
    unknown = sorted(set(spec.options) - {"scope"})
    if unknown:
        raise ProbeError(f"the probe {spec.name} has no option {unknown[0]!r}", "its only option is `scope`")
    if "scope" not in spec.options:
        return spec.name, None
    try:
        return spec.name, [Scope(word) for word in dict.fromkeys(spec.options["scope"].split(","))]
    except ValueError as error:
        raise ProbeError(f"the probe {spec.name}: {error}", f"choose from {', '.join(Scope)}") from None


def _no_scope(name: str, scope: Scope) -> Finding:
    return Finding(name, name, usable=False, scope=scope, reason=f"this machine has no {scope} counter in {name}")


def _closed(probe: Probe | None) -> bool:
    if probe is not None:
        probe.close()
    return True


def _try(name: str, sysfs: Path, host: Host) -> list[tuple[Finding, Probe | None]]:
    """Open every scope of one source: findings, each with its open probe or with None."""
    source, candidates_of, refine = CATALOGUE[name]
    try:
        candidates = candidates_of(sysfs, host)
    except ProbeError as error:
        return [(Finding(name, source, usable=False, reason=error.reason, fix=error.fix), None)]
    tried: list[tuple[Finding, Probe | None]] = []
    for scope, make in candidates:
        try:
            probe = make()
            probe.open()
        except ProbeError as error:
            refined = refine(error, host)
            finding = Finding(name, source, usable=False, scope=scope, reason=refined.reason, fix=refined.fix)
            tried.append((finding, None))
        else:
            tried.append((Finding(name, source, usable=True, scope=scope, info=probe.info), probe))
    return tried


def _absent(host: Host, what: str, module: str) -> ProbeError:
    """Why a tree of the kernel is not there at all."""
    if not host.x86:
        return ProbeError(f"this is an {host.machine} machine, and RAPL is a part of x86 processors", METER)
    if host.virtual:
        return ProbeError(
            f"{what} is absent: this is a virtual machine, and hypervisors keep RAPL from guests",
            "measure on the real machine",
        )
    where = "on the host " if host.container else ""
    return ProbeError(
        f"{what} is absent: the kernel has loaded no driver for it", f"run {where}`sudo modprobe {module}`"
    )


def _rapl(sysfs: Path, host: Host) -> list[Candidate]:
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
        fixes = ([PERFMON] if (sysfs / PMU).exists() else []) + [BIND_FIX]
        return ProbeError("the container engine masks the powercap tree", "start it with " + ", or with ".join(fixes))
    return ProbeError(
        f"{sysfs}/class/powercap points to zones that are not there",
        f"bind {sysfs}/devices/virtual/powercap beside it, from the same machine",
    )


def _unreadable(file: Path, host: Host, sysfs: Path) -> ProbeError:
    reason = f"{file} may be read by root only"
    if host.container:
        fixes = ([PERFMON] if (sysfs / PMU).exists() else []) + ["`docker run --user 0 ...`"]
        return ProbeError(reason, "start the container with " + ", or with ".join(fixes))
    # sysfs has no access control lists, so setfacl cannot help; chmod lasts until the next boot.
    chmod = f"`sudo chmod o+r {sysfs}/devices/virtual/powercap/intel-rapl/intel-rapl:*/energy_uj`"
    return ProbeError(reason, f"run as root, or {chmod}, or give this process CAP_PERFMON and use the probe `perf`")


def _perf(sysfs: Path, host: Host) -> list[Candidate]:
    """Events of the power PMU."""
    try:
        found = events(sysfs, host.vendor)
    except FileNotFoundError:
        raise _absent(host, str(sysfs / PMU), "rapl") from None
    except OSError as error:
        raise ProbeError(f"{sysfs / PMU} cannot be read: {error.strerror}") from None
    if not found:
        raise _absent(host, f"an energy event in {sysfs / PMU}", "rapl")
    return [(event.scope, partial(PerfProbe, event)) for event in found]


def _perf_refused(error: ProbeError, host: Host) -> ProbeError:
    """Add to the kernel's refusal what would lift it."""
    cause = error.__cause__
    if not (isinstance(cause, OSError) and cause.errno in (errno.EACCES, errno.EPERM)) or host.perfmon:
        return error
    if host.container:
        return ProbeError(error.reason, f"start the container with {PERFMON} and as root")
    level = "" if host.paranoid is None else f" (kernel.perf_event_paranoid is {host.paranoid})"
    return ProbeError(error.reason + level, "run `sudo sysctl kernel.perf_event_paranoid=0`, or run with CAP_PERFMON")


def _pyrapl(sysfs: Path, host: Host) -> list[Candidate]:
    """PyRAPL's packages: it needs its own package, and the tree at its usual place."""
    if importlib.util.find_spec("pyRAPL") is None:
        raise ProbeError("pyRAPL is not installed", "install the extra with `pip install 'edgebench[pyrapl]'`")
    if sysfs.resolve() != SYSFS:
        raise ProbeError(f"pyRAPL reads {SYSFS} and nothing else, not {sysfs}", "use the probe `rapl`")
    if not any(scope is Scope.PACKAGE for scope, _ in _rapl(sysfs, host)):
        raise ProbeError("there is no package zone, the only one pyRAPL is used for", "use the probe `rapl`")
    zones = zones_by_scope(sysfs, host.vendor)[Scope.PACKAGE]
    return [(Scope.PACKAGE, partial(PyRaplProbe, zones))]


def _as_is(error: ProbeError, _host: Host) -> ProbeError:
    return error


CATALOGUE: dict[str, tuple[str, Callable[[Path, Host], list[Candidate]], Callable[[ProbeError, Host], ProbeError]]] = {
    "perf": ("perf", _perf, _perf_refused),
    "rapl": ("powercap", _rapl, _as_is),
    "pyrapl": ("pyRAPL", _pyrapl, _as_is),
}
