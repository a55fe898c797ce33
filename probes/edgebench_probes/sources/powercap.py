"""The kernel's powercap tree: its RAPL zones by name, and the counter of one zone."""

from __future__ import annotations

import contextlib
import errno
import re
from dataclasses import dataclass
from pathlib import Path

from edgebench_probes.base import ProbeError, Scope
from edgebench_probes.counter import Counter
from edgebench_probes.sources.sysfs import FileCounter

CONTROL_TYPE = "intel-rapl"  # the MSR and TPMI drivers, on AMD too; intel-rapl-mmio repeats package-0
COUNTS_32 = 2**32 - 1
LIMIT_HEADROOM = 3.0  # turbo and short peaks go above a long-term limit
LIMIT_FLOOR_W = 50.0  # firmware may state the limit of a fanless case for a part that draws more
PACKAGE = re.compile(r"package-\d+(-die-\d+)?")
SUBZONES = {"core": Scope.CORE, "uncore": Scope.UNCORE, "dram": Scope.DRAM}
STEPS_NJ = tuple(
    10**9 // (1 << unit) for unit in range(6, 25)
)  # 1 J / 2^ESU in whole nJ, as intel_rapl_common rounds it


@dataclass(frozen=True, slots=True)
class Zone:
    """One zone with a counter; the tree repeats names, so it is known by control type, full parent path and name."""

    control_type: str
    parent: str
    name: str
    path: Path
    scope: Scope


def walk(sysfs: Path, vendor: str = "") -> list[Zone]:
    """All zones worth reading, by name; OSError when the tree cannot be listed.

    `psys` is a top-level zone and no socket; `psys-N` repeats it. AMD's `core` covers one core only and is dropped.
    """
    zones: list[Zone] = []
    for entry in sorted((sysfs / "class/powercap").iterdir(), key=_order):
        if not re.fullmatch(rf"{CONTROL_TYPE}(:\d+)+", entry.name):
            continue
        try:
            name = (entry / "name").read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            continue  # a dangling link or a zone that goes: `discover` says what is missing
        top = entry.name.count(":") == 1
        scope = SUBZONES.get(name)
        if top:
            scope = Scope.PSYS if name == "psys" else Scope.PACKAGE if PACKAGE.fullmatch(name) else None
        if scope is None or (scope is Scope.CORE and vendor == "AuthenticAMD"):
            continue
        path = entry.resolve()
        zones.append(Zone(CONTROL_TYPE, str(path.parent), name, path, scope))
    return zones


def _order(path: Path) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", path.name)]


def step_nj(range_uj: int, values_uj: list[int]) -> int | None:
    """Energy of one count in nJ, or None when no lattice fits.

    The kernel publishes counts * step, cut to whole uJ, with step = 1 J / 2^ESU in whole nJ. A 32-bit counter betrays
    its step by its range. Else it is the coarsest step whose lattice holds the range and all values seen (or, should
    the range lie on none, the values): a value of a finer lattice lies on a coarser one with a chance of at most 1/2,
    so two dozen values of a part whose power is not perfectly steady decide.
    """
    for step in STEPS_NJ:
        if COUNTS_32 * step // 1000 == range_uj:
            return step
    if len(set(values_uj)) < 8:
        return None
    for values in ([*values_uj, range_uj], values_uj):
        for step in STEPS_NJ:
            if step >= 1000 and all(-(-value * 1000 // step) * step // 1000 == value for value in values):
                return step
    return None


class ZoneCounter(FileCounter):
    """The counter of one zone."""

    def __init__(self, zone: Zone) -> None:
        super().__init__(zone.name, zone.path / "energy_uj")
        self._zone = zone
        self.max_power_w = plausible_power_w(zone) or Counter.max_power_w

    def fix(self) -> str:
        """`edgebench probes` knows which of several causes it is."""
        return "see `edgebench probes`"

    def open(self) -> None:
        """Open the counter and read its range; raises ProbeError."""
        super().open()
        try:
            self._range_uj = self._range()
            self._set_step(step_nj(self._range_uj, []))
        except BaseException:
            self.close()
            raise

    def _range(self) -> int:
        """Range of the counter in uJ; raises ProbeError, as without it a wrap cannot be told from a reset."""
        file = self._zone.path / "max_energy_range_uj"
        fix = "use the probe `perf`, whose counter does not wrap, or attach a power meter"
        try:
            found = int(file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise ProbeError(f"the zone {self.name} has no range ({file} is not there)", fix) from None
        except (OSError, ValueError) as error:
            raise ProbeError(
                f"the range of the zone {self.name} cannot be read: {self.why(error)} ({file})", fix
            ) from None
        if not 0 < found < 2**64:
            raise ProbeError(f"the zone {self.name} states a range of {str(found)[:24]} uJ ({file})", fix)
        return found

    def _set_step(self, nanojoules: int | None) -> None:
        self.step = (nanojoules or 1000) / 1000
        self.modulus = self._range_uj + self.step

    def learn(self) -> None:
        """Find the LSB from the values seen unless the range has told it."""
        if step_nj(self._range_uj, []) is None:
            self._set_step(step_nj(self._range_uj, self.sample()))

    def why(self, error: Exception) -> str:
        """Say what an error means; a zone can go."""
        if isinstance(error, OSError) and error.errno in (errno.ENODEV, errno.ENOENT):
            return "the zone has vanished"
        return super().why(error)


def plausible_power_w(zone: Zone) -> float | None:
    """Most power this zone can draw, from the limits of its top-level zone with headroom; None where none is stated.

    `dram` is no part of the package, but draws no multiple of it either.
    """
    folder = zone.path if zone.path.name.count(":") == 1 else zone.path.parent
    limits = [0]
    for pattern in ("constraint_*_power_limit_uw", "constraint_*_max_power_uw"):
        for file in folder.glob(pattern):
            with contextlib.suppress(OSError, ValueError):  # some constraints answer ENODATA
                limits.append(int(file.read_text(encoding="utf-8")))
    return max(LIMIT_FLOOR_W, LIMIT_HEADROOM * max(limits) / 1e6) if max(limits) > 0 else None
