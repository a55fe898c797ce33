"""The probe `rapl`: RAPL through powercap sysfs, one probe a scope, all sockets and dies added."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from pathlib import Path

from edgebench_probes.base import ProbeError, Scope
from edgebench_probes.counter import Counter
from edgebench_probes.sources.powercap import Zone, ZoneCounter, walk
from edgebench_probes.summed import CounterProbe

ZERO_WAIT_S = 0.02
MIRROR_S = 0.1  # how long two zones are held against each other, at most
EQUAL_VALUES = 3  # two counters that agree at so many different values are one: independent ones do not even once
APART_S = 0.01  # two that are further apart than this at full power do not agree ..
WRAP_S = 0.005  # .. should it last longer than a wrap that one of them shows first


class RaplProbe(CounterProbe):
    """The sum of the powercap zones of one scope, each hardware counter once.

    Some parts show one counter as two zones (a Threadripper 1950X its package as two dies, mlco2/codecarbon#1274).
    """

    def __init__(self, scope: Scope, zones: list[Zone]) -> None:
        self._held = False
        self._zones = [ZoneCounter(zone) for zone in zones]
        self._powercap = "powercap " + "+".join(zone.path.name for zone in zones)
        super().__init__("rapl", self._powercap, scope, self._zones)

    def open(self) -> None:
        """Open all zones; raises ProbeError when one reads zero, as a sum without it would be too low."""
        if self._held:
            return
        repeats = self._repeats()
        self._counters = tuple(zone for zone in self._zones if zone not in repeats)
        told = "".join(f", {again.name} repeats {first.name}" for again, first in repeats.items())
        self._info = replace(self._info, source=self._powercap + told)
        super().open()
        self._held = True
        for counter in self._counters:
            if counter.read() == 0:
                time.sleep(ZERO_WAIT_S)  # it may just have wrapped
                if counter.read() == 0:
                    self.close()
                    raise ProbeError(
                        f"{counter.name} reads zero, so this board does not count it",
                        "measure another scope, or attach a power meter",
                    )

    def close(self) -> None:
        """Close all zones."""
        self._held = False
        super().close()

    def _repeats(self) -> dict[ZoneCounter, ZoneCounter]:
        """Zones that show the counter of another, which is counted."""
        found: dict[ZoneCounter, ZoneCounter] = {}
        try:
            for zone in self._zones if len(self._zones) > 1 else ():
                zone.open()
            for index, zone in enumerate(self._zones):
                first = next((z for z in self._zones[:index] if z not in found and mirrored(z, zone)), None)
                if first is not None:
                    found[zone] = first
        finally:
            for zone in self._zones:
                zone.close()
        return found


def mirrored(first: Counter, second: Counter, seconds: float = MIRROR_S) -> bool:
    """Whether two open counters are one: they agree at several values, or all the time where they stand.

    Only a value that stood while the other was read counts. Raises WindowInvalid where one cannot be read.
    """
    equal: set[int] = set()
    differed = False
    now = time.monotonic()
    end, apart_since = now + seconds, math.inf
    while now < end and len(equal) < EQUAL_VALUES:
        before, other, after = first.read(), second.read(), first.read()
        now = time.monotonic()
        if abs(other - before) * first.joules < first.max_power_w * APART_S:
            apart_since = math.inf
        elif now - (apart_since := min(apart_since, now)) > WRAP_S:
            return False
        if before == after:
            differed |= other != before
            equal |= {other} & {before}
    return len(equal) == EQUAL_VALUES or (bool(equal) and not differed)


def zones_by_scope(sysfs: Path, vendor: str = "") -> dict[Scope, list[Zone]]:
    """Zones to add for each scope; OSError when the tree cannot be listed."""
    found: dict[Scope, list[Zone]] = {}
    for zone in walk(sysfs, vendor):
        found.setdefault(zone.scope, []).append(zone)
    return found
