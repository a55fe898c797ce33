"""The one place where a probe's name is looked up: built in, an external meter, or a plug-in, in this order."""

from __future__ import annotations

import contextlib

from edgebench_probes import plugins
from edgebench_probes.catalogue.names import no_such
from edgebench_probes.catalogue.power import POWER, meters
from edgebench_probes.catalogue.rapl import perf_refused, perf_scopes, pyrapl_scopes, rapl_scopes
from edgebench_probes.entry import Entry
from edgebench_probes.host import Host

CATALOGUE: dict[str, Entry] = {
    "perf": Entry("perf", perf_scopes, perf_refused, options=("scope",)),
    "rapl": Entry("powercap", rapl_scopes, options=("scope",)),
    "pyrapl": Entry("pyRAPL", pyrapl_scopes, options=("scope",)),
    **POWER,
}


def entry_of(name: str) -> Entry:
    """Return the entry of a name; raises ProbeError for a name that nobody has.

    A plug-in that cannot be used has an entry: it tells the reason when its probes are asked for.
    """
    if name in CATALOGUE:
        return CATALOGUE[name]
    known = _built_in()
    if name in known:
        return known[name]
    offers = plugins.installed()
    if name in offers:
        return plugins.entry(name, offers[name], known)
    raise no_such(name, [*known, *offers])


def listed(host: Host) -> list[tuple[str, Entry]]:
    """Return what is looked for on this machine without being asked for: built in, then every plug-in."""
    known = _built_in()
    offers = plugins.installed()
    return [
        *((name, entry) for name, entry in known.items() if entry.listed(host)),
        *((name, plugins.entry(name, offers[name], known)) for name in sorted(offers)),
    ]


def _built_in() -> dict[str, Entry]:
    with contextlib.suppress(ImportError):  # a package cut down to the counters has no meters
        return {**CATALOGUE, **meters()}
    return CATALOGUE
