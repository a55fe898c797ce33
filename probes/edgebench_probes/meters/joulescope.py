"""Joulescope JS110 and JS220 through the maker's package `pyjoulescope_driver` (Apache-2.0), imported when used.

The instrument samples at 1 or 2 MS/s and integrates the power itself; its statistics give the energy since it was
opened, and the ids of the samples they cover (github.com/jetperch/pyjoulescope_driver, entry_points/statistics.py).
A sample here is the energy between two statistics over their time, at the middle of it, on the instrument's clock.
"""

from __future__ import annotations

import contextlib
import importlib
import math
import queue
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from edgebench_probes.advice import extra
from edgebench_probes.base import ProbeError, ProbeInfo
from edgebench_probes.meters.options import Options
from edgebench_probes.meters.protocol import ProtocolError, Reading, active_power
from edgebench_probes.plausible import Direction
from edgebench_probes.sampling.source import STATED, UNKNOWN, Sample, Source, SourceInfo, SourceLost
from edgebench_probes.spec import Spec

CLOCKS = {"js110": 2_000_000, "js220": 1_000_000}  # what `scnt` counts
SILENT_S = 2.0
RESOLUTION_W = 1e-6  # floats; the noise floor is far above, and shows in the spread


def load() -> Any:
    """Import the package; raises ProbeError."""
    try:
        return importlib.import_module("pyjoulescope_driver")
    except ImportError:
        raise ProbeError("the package pyjoulescope_driver is not installed", extra("joulescope")) from None


class Integral:
    """Turns statistics into readings."""

    def __init__(self) -> None:
        self._last: tuple[float, float] | None = None

    def decode(self, value: Mapping[str, Any]) -> list[Reading]:
        """Return the mean power since the statistics before, none for the first; raises ProtocolError."""
        try:
            energy_j = float(value["accumulators"]["energy"]["value"])
            at_s = float(value["time"]["samples"]["value"][1]) / float(value["time"]["sample_freq"]["value"])
        except (KeyError, IndexError, TypeError, ValueError, ZeroDivisionError):
            raise ProtocolError("the Joulescope's statistics hold no energy or no sample ids") from None
        if not (math.isfinite(energy_j) and math.isfinite(at_s)):
            raise ProtocolError("the Joulescope's statistics hold no number")
        last, self._last = self._last, (energy_j, at_s)
        if last is None:
            return []
        if at_s <= last[1]:
            raise ProtocolError("the Joulescope's statistics are out of order")
        mean = active_power((energy_j - last[0]) / (at_s - last[1]))
        return [replace(mean, device_s=(at_s + last[1]) / 2)]


class JoulescopeSource(Source):
    """The only Joulescope, or the one named (`joulescope:u/js220/000415`); `interval_ms` between statistics (10)."""

    def __init__(self, spec: Spec) -> None:
        options = Options(spec, "interval_ms", "accuracy", "scope")
        self._interval_s = options.number("interval_ms", 10, 1, 1000) / 1e3
        self._path = spec.address
        self._driver: Any = None
        self._heard = 0.0
        accuracy = options.number("accuracy", 0.0, 0.0, 0.5)
        info = ProbeInfo(spec.name, "Joulescope", options.scope(), "power", RESOLUTION_W, self._interval_s, accuracy)
        self._info = SourceInfo(info, device_clock=True, accuracy_source=STATED if accuracy else UNKNOWN)

    def describe(self) -> SourceInfo:
        """What this instrument is."""
        return self._info

    def open(self) -> None:
        """Find the instrument, choose automatic ranges, start statistics; raises ProbeError."""
        module = load()
        try:
            self._driver = module.Driver()
            self._start()
        except ProbeError:
            self.close()
            raise
        except Exception as error:  # noqa: BLE001 - the driver raises what its C library says, of several kinds
            self.close()
            raise ProbeError(
                f"the Joulescope cannot be opened: {error}",
                "close other programs that use it, and install the maker's udev rules (72-joulescope.rules)",
            ) from None

    def _start(self) -> None:
        driver = self._driver
        known = [path for path in driver.device_paths() if any(model in path for model in CLOCKS)]
        if self._path is None and len(known) > 1:
            raise ProbeError(f"there are several Joulescopes, {', '.join(known)}", f"name one: `joulescope:{known[0]}`")
        path = self._path or (known[0] if known else "")
        if path not in known:
            raise ProbeError(
                f"no Joulescope {path or 'JS110 or JS220'} is connected",
                "plug it in; the maker's udev rules (72-joulescope.rules) let users open it",
            )
        model = next(model for model in CLOCKS if model in path)
        self._values: queue.SimpleQueue[Mapping[str, Any]] = queue.SimpleQueue()
        self._integral = Integral()
        self.direction = Direction(self._info.info.scope)
        driver.open(path)
        driver.publish(f"{path}/s/i/range/{'mode' if model == 'js220' else 'select'}", "auto")
        if model == "js110":
            for signal in "ivp":
                driver.publish(f"{path}/s/{signal}/ctrl", "on")
        driver.publish(f"{path}/s/stats/scnt", round(CLOCKS[model] * self._interval_s))
        driver.subscribe(f"{path}/s/stats/value", "pub", self._arrived)
        driver.publish(f"{path}/s/stats/ctrl", 1)
        self._heard = time.monotonic()

    def _arrived(self, _topic: str, value: Mapping[str, Any]) -> None:
        self._values.put(value)

    def read(self) -> list[Sample]:
        """Wait for statistics; raises SourceLost."""
        if self._driver is None:
            raise SourceLost("the Joulescope is not open", "open it first")
        try:
            value = self._values.get(timeout=2 * self._interval_s)
            readings = self._integral.decode(value)
        except queue.Empty:
            readings = []
        except ProtocolError as error:
            raise SourceLost(error.reason, error.fix) from None
        now = time.monotonic_ns()
        if readings:
            self._heard = now / 1e9
        elif now / 1e9 - self._heard > max(SILENT_S, 10 * self._interval_s):
            raise SourceLost("the Joulescope has been silent for 2 s or more", "check its cable")
        return [Sample(now, self.passed(reading.signed_w), reading.device_s) for reading in readings]

    def close(self) -> None:
        """Give the driver back."""
        driver, self._driver = self._driver, None
        if driver is not None:
            with contextlib.suppress(Exception):  # an unplugged instrument cannot be closed, and need not be
                driver.finalize()
