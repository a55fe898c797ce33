"""Which energy sources this machine has for this process, and for the others why not and what would fix it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Collection, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from edgebench_probes.advice import ANOTHER_SOURCE
from edgebench_probes.base import Probe, ProbeError, ProbeInfo, Scope, WindowInvalid
from edgebench_probes.catalogue.lookup import CATALOGUE, entry_of, listed
from edgebench_probes.catalogue.names import resolved
from edgebench_probes.catalogue.power import POWER, attached
from edgebench_probes.entry import Entry
from edgebench_probes.finding import Finding
from edgebench_probes.host import Host, read_host
from edgebench_probes.sampling.integrate import SMOOTHINGS
from edgebench_probes.sampling.probe import SampledProbe
from edgebench_probes.sampling.source import Source
from edgebench_probes.spec import Spec, parse_spec
from edgebench_probes.summed import RESTING
from edgebench_probes.window import shortest_window_s

__all__ = ["Finding", "Spec", "closed_probes", "discover", "examine", "open_probes", "parse_spec", "source_of"]

# Best first: a perf counter does not wrap and needs less privilege; jtop gives half as many values as the sensor.
NATIVE = ("perf", "rapl", "ina3221", "jtop", "pmic")
TARGET = 0.01  # the relative uncertainty (one sigma) of the shortest window that is named
LOOK_S = 0.08  # of a counter: more than 50 of its refreshes
LOOKS = 3
FIRST_S = 2.0  # for the first value of a source


def discover(sysfs: Path = Path("/sys"), host: Host | None = None) -> list[Finding]:
    """Every source of the catalogue for this kind of machine, usable or not.

    Usable ones have been opened, read and closed once. A source that is built for other machines is not listed.
    """
    host = host or read_host()
    found: list[Finding] = []
    for name, entry in listed(host):
        found += [_look(finding, probe) for finding, probe in _try(Spec(name), entry, sysfs, host)]
    with contextlib.suppress(ImportError):  # a package cut down to the counters
        found += attached(sysfs)
    return found


def examine(specs: Sequence[str], sysfs: Path = Path("/sys"), host: Host | None = None) -> list[Finding]:
    """What the sources asked for are, each opened, read and closed once.

    Raises ProbeError for a specification that cannot be understood.
    """
    host = host or read_host()
    found: list[Finding] = []
    for text in specs:
        spec, entry, scopes = _checked(parse_spec(text))
        tried = _try(spec, entry, sysfs, host)
        chosen = tried if scopes is None else _of_scopes(tried, spec.name, scopes)
        for _, probe in tried:
            if probe is not None and not any(probe is kept for _, kept in chosen):
                probe.close()
        found += [_look(finding, probe) for finding, probe in chosen]
    return found


def source_of(text: str, sysfs: Path = Path("/sys"), host: Host | None = None) -> Source:
    """The one source of sampled power that a specification names, not yet open: what can be served to others.

    Raises ProbeError when it names none, several, or a counter (which only its own machine can read).
    """
    spec, entry, _ = _checked(parse_spec(text))
    probes = [make() for _, make in entry.candidates(spec, sysfs, host or read_host())]
    sources = [probe.source for probe in probes if isinstance(probe, SampledProbe)]
    if len(sources) != 1:
        what = "several sources" if sources else "no source of sampled power"
        raise ProbeError(f"{text!r} is {what}", "name one meter, as in `shizuku:/dev/ttyACM0`")
    return sources[0]


def open_probes(
    specs: Sequence[str] = (),
    sysfs: Path = Path("/sys"),
    host: Host | None = None,
    workload_cpus: Collection[int] = (),
) -> tuple[list[Probe], list[Finding]]:
    """Open the probes asked for, or without any the native source of this machine.

    Returns one open probe a scope and source, to be closed by the caller, and what is missing and why. Samplers keep
    off `workload_cpus` where another processor is to spare. Raises ProbeError for a specification that cannot be
    understood; a source that is not usable here is a finding.
    """
    host = host or read_host()
    wanted = [_checked(parse_spec(text)) for text in specs]
    native = [(Spec(name), CATALOGUE[name], None) for name in NATIVE if CATALOGUE[name].listed(host)]
    probes: list[Probe] = []
    missing: list[Finding] = []
    with ExitStack() as undo:
        for spec, entry, scopes in wanted or native:
            found = _try(spec, entry, sysfs, host, workload_cpus)
            chosen = found if scopes is None else _of_scopes(found, spec.name, scopes)
            for _, probe in found:
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


def closed_probes(
    specs: Sequence[str] = (), sysfs: Path = Path("/sys"), host: Host | None = None
) -> list[tuple[str, list[Probe | Finding]]]:
    """Return the probes that `open_probes` would try, not yet open: the name of each source with its probes.

    What has no probe is a finding with its reason. Raises ProbeError for a specification that cannot be understood.
    """
    host = host or read_host()
    wanted = [_checked(parse_spec(text)) for text in specs]
    native = [(Spec(name), CATALOGUE[name], None) for name in NATIVE if CATALOGUE[name].listed(host)]
    found: list[tuple[str, list[Probe | Finding]]] = []
    for spec, entry, scopes in wanted or native:
        one: list[Probe | Finding] = []
        try:
            candidates = entry.candidates(spec, sysfs, host)
        except ProbeError as error:
            absent = Finding(spec.name, entry.source, usable=False, reason=error.reason, fix=error.fix)
            found.append((spec.name, [absent]))
            continue
        for scope, make in candidates:
            if scopes is not None and scope is not None and scope not in scopes:
                continue
            try:
                one.append(make())
            except ProbeError as error:
                one.append(
                    Finding(spec.name, entry.source, usable=False, scope=scope, reason=error.reason, fix=error.fix)
                )
        found.append((spec.name, one))
    return found


Tried = tuple[Finding, Probe | None]


def _of_scopes(found: list[Tried], name: str, scopes: Sequence[Scope]) -> list[Tried]:
    by_scope = {finding.scope: (finding, probe) for finding, probe in found}
    return [by_scope.get(scope) or by_scope.get(None) or (_no_scope(name, scope), None) for scope in scopes]


def _checked(spec: Spec) -> tuple[Spec, Entry, list[Scope] | None]:
    """Specification, entry and, of RAPL, the scopes asked for."""
    spec = resolved(spec)
    entry = entry_of(spec.name)
    if spec.address is not None and entry.address is None:
        raise ProbeError(f"the probe {spec.name} takes no address, but {spec.address!r} was given", "leave it out")
    unknown = [] if "*" in entry.options else sorted(set(spec.options) - set(entry.options))
    if unknown:
        known = " and ".join(f"`{option}`" for option in entry.options)
        fix = (
            "leave it out"
            if not known
            else f"its only option is {known}"
            if len(entry.options) == 1
            else f"its options are {known}"
        )
        raise ProbeError(f"the probe {spec.name} has no option {unknown[0]!r}", fix)
    if "scope" not in spec.options or spec.name in POWER or "*" in entry.options:
        return spec, entry, None  # these give one scope, and read the option themselves
    try:
        return spec, entry, [Scope(word) for word in dict.fromkeys(spec.options["scope"].split(","))]
    except ValueError as error:
        raise ProbeError(f"the probe {spec.name}: {error}", f"choose from {', '.join(Scope)}") from None


def _no_scope(name: str, scope: Scope) -> Finding:
    return Finding(name, name, usable=False, scope=scope, reason=f"this machine has no {scope} counter in {name}")


def _try(spec: Spec, entry: Entry, sysfs: Path, host: Host, workload_cpus: Collection[int] = ()) -> list[Tried]:
    """Open every scope of one source: findings, each with its open probe or with None."""
    try:
        candidates = entry.candidates(spec, sysfs, host)
    except ProbeError as error:
        return [(Finding(spec.name, entry.source, usable=False, reason=error.reason, fix=error.fix), None)]
    tried: list[Tried] = []
    for scope, make in candidates:
        try:
            probe = make()
            if isinstance(probe, SampledProbe):
                probe.keep_off(workload_cpus)
            probe.open()
        except ProbeError as error:
            refined = entry.refine(error, host)
            finding = Finding(
                spec.name, entry.source, usable=False, scope=scope, reason=refined.reason, fix=refined.fix
            )
            tried.append((finding, None))
        else:
            info = probe.info
            tried.append((Finding(info.name, entry.source, usable=True, scope=info.scope, info=info), probe))
    return tried


def _look(finding: Finding, probe: Probe | None) -> Finding:
    """Read a source, and close it; one that opens and then tells nothing is not usable, and says why."""
    if probe is None or finding.info is None:
        return finding
    try:
        reading_w = _looked(probe)
        shortest = shortest_window(probe, reading_w) if reading_w > 0 else None
    except ProbeError as error:
        if finding.info.scope in RESTING and _reads(probe):
            return replace(finding, reason=f"{error.reason}, or at rest: a longer look may see it move")
        return replace(finding, usable=False, info=None, reason=error.reason, fix=error.fix or ANOTHER_SOURCE)
    finally:
        probe.close()
    notes = dict(probe.source_info.notes) if isinstance(probe, SampledProbe) else {}
    return replace(finding, reading_w=reading_w, shortest_window_s=shortest, notes=notes or None)


def _reads(probe: Probe) -> bool:
    """Whether a counter that told no power can be read at all."""
    try:
        probe.mark(sync=False)
    except ProbeError:
        return False
    return not isinstance(probe, SampledProbe)


def _looked(probe: Probe) -> float:
    """Power of a probe (W); a counter is looked at again, as a machine that is busy may spoil one look."""
    for _ in range(LOOKS - 1):
        try:
            return reading(probe)
        except WindowInvalid:
            if isinstance(probe, SampledProbe):
                raise
    return reading(probe)


def reading(probe: Probe) -> float:
    """Present power of an open probe (W); raises ProbeError, with the reason of a source that was lost meanwhile."""
    if isinstance(probe, SampledProbe):
        end = time.monotonic() + max(FIRST_S, 5 * probe.info.refresh_s)
        while time.monotonic() < end:
            sample = probe.latest()
            if sample is not None:
                return sample.power_w
            time.sleep(min(0.02, probe.info.refresh_s))
        probe.mark(sync=False)  # raises, with its reason, where the source is lost
        raise ProbeError("the source opens but gives no value", "check that it is switched on and measuring")
    start = probe.mark()
    time.sleep(LOOK_S)
    return probe.energy(start, probe.mark()).power_w


def shortest_window(probe: Probe, power_w: float, target: float = TARGET) -> float:
    """Shortest window (s) worth measuring with an open probe at this power: random uncertainty (one sigma) `target`."""
    info: ProbeInfo = probe.info
    smoothing_s = probe.source_info.smoothing_s if isinstance(probe, SampledProbe) else 0.0
    return max(shortest_window_s(info, power_w, target), SMOOTHINGS * smoothing_s)
