"""Probes of other distributions: entry points of the group `edgebench.probes`, each a `Plugin`, its name the probe's.

In the `pyproject.toml` of such a distribution:

    [project.entry-points."edgebench.probes"]
    bench_supply = "my_package:PLUGIN"

One that cannot be used is an entry that says why, so that it is listed with its reason and never in anyone's way.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from edgebench_probes.base import Mark, Probe, ProbeError, ProbeInfo, WindowEnergy
from edgebench_probes.entry import Candidate, Entry
from edgebench_probes.host import Host
from edgebench_probes.sampling.probe import SampledProbe
from edgebench_probes.sampling.source import Source, SourceInfo
from edgebench_probes.spec import Spec, parse_spec

if TYPE_CHECKING:
    from importlib.metadata import Distribution, EntryPoint

GROUP = "edgebench.probes"


@dataclass(frozen=True, slots=True)
class Plugin:
    """What an entry point of the group `edgebench.probes` names.

    `source` says in a few words what is read. `find(spec, sysfs)` returns what is there for a specification, not yet
    open: a `Probe` (a counter is a `CounterProbe`) or a `Source` of sampled power, which gets a sampler of its own. It
    touches nothing that others use, and raises ProbeError with reason and fix where there is nothing. `address` says
    what the address of a specification names, None: it takes none. `options` are those that `find` reads; `scope`,
    which chooses among what was found, need not be among them.
    """

    source: str
    find: Callable[[Spec, Path], Iterable[Probe | Source]]
    address: str | None = None
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Installed:
    """One entry point, not yet loaded; `package` is the distribution it came with."""

    package: str
    point: EntryPoint | None
    broken: str | None = None


def installed() -> dict[str, list[Installed]]:
    """Every probe that other distributions offer, by name; nothing of theirs is imported."""
    from importlib.metadata import distributions  # a sixth of the start-up, which probes of ours need not pay

    found: dict[str, list[Installed]] = {}
    seen: set[str] = set()
    for distribution in distributions():
        text = distribution.read_text("entry_points.txt") or ""
        if GROUP not in text or (package := _name(distribution)) in seen:
            continue
        seen.add(package)
        try:
            points = list(distribution.entry_points.select(group=GROUP))
        except Exception as error:  # noqa: BLE001 - a file that someone else wrote
            found.setdefault(package, []).append(Installed(package, None, f"its entry_points.txt is broken ({error})"))
            continue
        for point in points:
            found.setdefault(point.name, []).append(Installed(package, point))
    return found


def _name(distribution: Distribution) -> str:
    try:
        return distribution.metadata["Name"] or "unknown"
    except Exception:  # noqa: BLE001 - a distribution without metadata
        return "unknown"


def entry(name: str, offers: list[Installed], taken: Collection[str]) -> Entry:
    """Return the catalogue's entry of one name, importing the plug-in; one that cannot be used has its reason."""
    package = " and ".join(sorted(offer.package for offer in offers))
    try:
        plugin = _loaded(name, offers, taken)
    except ProbeError as error:
        refused = error  # the name of an exception ends with its clause

        def refuse(_spec: Spec, _sysfs: Path, _host: Host) -> NoReturn:
            raise ProbeError(f"the plug-in of {package}: {refused.reason}", refused.fix)

        return Entry(f"plug-in {package}", refuse, address="", options=("*",))
    return Entry(
        f"{plugin.source} (plug-in {package})",
        partial(_candidates, plugin, package),
        address=plugin.address,
        options=tuple(dict.fromkeys(("scope", *plugin.options))),
    )


def _loaded(name: str, offers: list[Installed], taken: Collection[str]) -> Plugin:
    """Import the plug-in of a name; raises ProbeError."""
    first = offers[0]
    remove = f"use another version of the package {first.package}, or remove it"
    if first.point is None:
        raise ProbeError(first.broken or "it names no probe", remove)
    if name in taken:
        raise ProbeError(f"the name {name} belongs to a probe of edgebench itself", remove)
    if len(offers) > 1:
        raise ProbeError(f"each of them offers a probe named {name}", "remove all but one")
    if not _can_be_asked_for(name):
        raise ProbeError(f"{name!r} can be no probe's name (a to z first, then also 0 to 9, - and _)", remove)
    try:
        plugin = first.point.load()
    except (Exception, SystemExit) as error:
        raise ProbeError(f"it cannot be loaded ({_said(error)})", remove) from error
    if not isinstance(plugin, Plugin):
        raise ProbeError(f"{first.point.value} is no edgebench_probes.Plugin but of {type(plugin).__name__}", remove)
    return plugin


def _can_be_asked_for(name: str) -> bool:
    try:
        return parse_spec(name) == Spec(name)
    except ProbeError:
        return False


def _candidates(plugin: Plugin, package: str, spec: Spec, sysfs: Path, _host: Host) -> list[Candidate]:
    with _named(package):
        found = list(plugin.find(spec, sysfs))
    if not found:
        raise ProbeError(f"the plug-in of {package} finds nothing here", f"see the documentation of {package}")
    return [_candidate(one, spec.name, package) for one in found]


def _candidate(found: Probe | Source, name: str, package: str) -> Candidate:
    if isinstance(found, Source | SampledProbe):
        return None, partial(_Sampled, found.source if isinstance(found, SampledProbe) else found, name, package)
    if isinstance(found, Probe):
        probe = Guarded(found, name, package)
        with contextlib.suppress(ProbeError):  # some know their scope only once they are open
            return probe.info.scope, lambda: probe
        return None, lambda: probe
    raise ProbeError(
        f"the plug-in of {package}: it found a {type(found).__name__}, which is neither a Probe nor a Source",
        f"use another version of the package {package}",
    )


@contextlib.contextmanager
def _named(package: str) -> Iterator[None]:
    """Whatever code of others raises becomes a ProbeError that names its package."""
    try:
        yield
    except ProbeError:
        raise
    except Exception as error:
        raise ProbeError(
            f"the plug-in of {package} failed ({_said(error)})", f"tell the makers of {package}"
        ) from error


def _said(error: BaseException) -> str:
    text = " ".join(str(error).split())[:200]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _under(name: str, info: ProbeInfo) -> ProbeInfo:
    """Return what a plug-in says of a probe under its own name, which may go on, as in `acme:rail 3`."""
    return info if info.name.partition(":")[0] == name else replace(info, name=name)


class _Sampled(SampledProbe):
    """A plug-in's source of power, under the name it was asked for by."""

    def __init__(self, source: Source, name: str, package: str) -> None:
        super().__init__(source)
        self._name, self._package = name, package

    def open(self) -> None:
        """Start the sampler; raises ProbeError, also for a source that cannot be sent to it."""
        with _named(self._package):
            super().open()

    @property
    def source_info(self) -> SourceInfo:
        """What this source is."""
        about = super().source_info
        return replace(about, info=_under(self._name, about.info))


class Guarded(Probe):
    """A plug-in's probe, under the name it was asked for by; its exceptions are ProbeErrors that name the package."""

    def __init__(self, probe: Probe, name: str, package: str) -> None:
        self._probe, self._name, self._package = probe, name, package

    @property
    def info(self) -> ProbeInfo:
        """What this source is."""
        with _named(self._package):
            return _under(self._name, self._probe.info)

    def open(self) -> None:
        """Open it; raises ProbeError."""
        with _named(self._package):
            self._probe.open()

    def close(self) -> None:
        """Close it."""
        with _named(self._package):
            self._probe.close()

    def mark(self, *, sync: bool = True) -> Mark:
        """Mark an edge; raises ProbeError."""
        with _named(self._package):
            return self._probe.mark(sync=sync)

    def energy(self, start: Mark, end: Mark) -> WindowEnergy:
        """Energy between two marks; raises ProbeError."""
        with _named(self._package):
            return self._probe.energy(start, end)
