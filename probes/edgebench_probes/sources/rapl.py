"""The probe `rapl`: RAPL through powercap sysfs, one probe a scope, all sockets and dies added."""

from __future__ import annotations

import time
from pathlib import Path

from edgebench_probes.base import ProbeError, Scope
from edgebench_probes.counter import CounterProbe
from edgebench_probes.sources.powercap import Zone, ZoneCounter, walk

ZERO_WAIT_S = 0.02


class RaplProbe(CounterProbe):
    """The sum of the powercap zones of one scope."""

    def __init__(self, scope: Scope, zones: list[Zone]) -> None:
        source = "powercap " + "+".join(zone.path.name for zone in zones)
        super().__init__("rapl", source, scope, [ZoneCounter(zone) for zone in zones])

    def open(self) -> None:
        """Open all zones; raises ProbeError when one reads zero, as a sum without it would be too low."""
        super().open()
        for counter in self._counters:
            if counter.read() == 0:
                time.sleep(ZERO_WAIT_S)  # it may just have wrapped
                if counter.read() == 0:
                    self.close()
                    raise ProbeError(f"{counter.name} reads zero, so this board does not count it")


def zones_by_scope(sysfs: Path, vendor: str = "") -> dict[Scope, list[Zone]]:
    """Zones to add for each scope; OSError when the tree cannot be listed."""
    found: dict[Scope, list[Zone]] = {}
    for zone in walk(sysfs, vendor):
        found.setdefault(zone.scope, []).append(zone)
    return found
