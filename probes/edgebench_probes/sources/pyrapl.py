"""The probe `pyrapl`: packages read by the pyRAPL package, as in the study; wraps and uncertainty are ours.

pyRAPL hard-codes /sys/class/powercap, knows no dies, and subtracts across a wrap: only its readings are used.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from edgebench_probes.advice import extra
from edgebench_probes.base import ProbeError, Scope, WindowInvalid
from edgebench_probes.sources.powercap import Zone, ZoneCounter
from edgebench_probes.summed import CounterProbe

SYSFS = Path("/sys")


def load() -> Any:
    """Import pyRAPL without its warnings on optional outputs, which also set up the root logger; raises ProbeError."""
    root = logging.getLogger()
    handlers, disabled = root.handlers[:], logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        import pyRAPL
    except ImportError:
        raise ProbeError("pyRAPL is not installed", extra("pyrapl")) from None
    finally:
        logging.disable(disabled)
        root.handlers[:] = handlers
    return pyRAPL


class SensorCounter(ZoneCounter):
    """A package's counter, read by a pyRAPL sensor; the range and the LSB come from the zone."""

    def __init__(self, zone: Zone) -> None:
        super().__init__(zone)
        self._socket = int(zone.name.split("-")[1])
        self._sensor: Any = None

    def open(self) -> None:
        """Open the zone and a sensor for its socket; raises ProbeError."""
        pyrapl = load()
        try:
            self._sensor = pyrapl.Sensor(devices=[pyrapl.Device.PKG], socket_ids=[self._socket])
        except (OSError, ValueError, pyrapl.PyRAPLException) as error:
            raise ProbeError(f"pyRAPL cannot read {self.name}: {str(error) or type(error).__name__}") from None
        super().open()

    def watched(self) -> ZoneCounter:
        """Return the zone itself: pyRAPL's sensor cannot be sent to the watch, and reads the same file."""
        zone = ZoneCounter(self._zone)
        vars(zone).update((name, value) for name, value in vars(self).items() if name not in ("_sensor", "_socket"))
        return zone

    def close(self) -> None:
        """Close the zone and drop the sensor, which closes its files."""
        self._sensor = None
        super().close()

    def read(self) -> int:
        """Present reading in uJ; raises WindowInvalid."""
        try:
            return int(self._sensor.energy()[2 * self._socket])  # package and DRAM alternate
        except (OSError, ValueError) as error:
            raise WindowInvalid(f"{self.name}: pyRAPL could not read the counter: {error}") from None


class PyRaplProbe(CounterProbe):
    """All packages, through pyRAPL."""

    def __init__(self, zones: list[Zone]) -> None:
        if any("die" in zone.name for zone in zones):
            raise ProbeError("pyRAPL does not know packages of several dies", "use the probe `rapl`")
        source = "pyRAPL " + "+".join(zone.path.name for zone in zones)
        super().__init__("pyrapl", source, Scope.PACKAGE, [SensorCounter(zone) for zone in zones])
