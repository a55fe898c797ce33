"""Nordic Power Profiler Kit II through the package `ppk2-api` (GPL-2.0: an extra, imported when used, never copied).

It measures current only: the voltage is the user's to state, and its error goes straight into the power. The maker's
product brief gives the accuracy by range and no single figure; state that of your range with `accuracy`.
The package turns 100 000 values a second into amperes in Python, which took 14 % of a server's core and takes a board
several times that: put the meter on another machine (`edgebench probes serve`).
"""

from __future__ import annotations

import contextlib
import importlib
import math
import time
from pathlib import Path
from typing import Any

from edgebench_probes.advice import extra
from edgebench_probes.base import ProbeError, ProbeInfo
from edgebench_probes.meters import usb
from edgebench_probes.meters.link import open_error
from edgebench_probes.meters.options import Options
from edgebench_probes.meters.protocol import ProtocolError, electrical
from edgebench_probes.plausible import Direction
from edgebench_probes.sampling.source import STATED, UNKNOWN, Sample, Source, SourceInfo, SourceLost
from edgebench_probes.spec import Spec

REFRESH_S = 0.010
SILENT_S = 2.0
STEP_A = 2e-7  # product brief: 0.2 uA in the lowest range; the step grows with the range and shows in the spread


class Ppk2Source(Source):
    """A PPK2 as ampere meter; `voltage` (V, 0.8 to 5) must be given. A sample is the mean of about 10 ms."""

    def __init__(self, spec: Spec) -> None:
        options = Options(spec, "voltage", "accuracy", "scope")
        self._volts = options.number("voltage", None, 0.8, 5.0)
        self._node = Path(spec.address) if spec.address else usb.address_of(spec.name)
        self._meter: Any = None
        self._last_ns = 0
        self._heard = 0.0
        accuracy = options.number("accuracy", 0.0, 0.0, 0.5)
        source = f"Nordic PPK2 at {self._volts:g} V as stated"
        info = ProbeInfo(spec.name, source, options.scope(), "power", self._volts * STEP_A, REFRESH_S, accuracy)
        self._info = SourceInfo(info, REFRESH_S, accuracy_source=STATED if accuracy else UNKNOWN)

    def describe(self) -> SourceInfo:
        """What this meter is."""
        return self._info

    def open(self) -> None:
        """Open the line, read the calibration and start; raises ProbeError."""
        try:
            package = importlib.import_module("ppk2_api.ppk2_api")
        except ImportError:
            raise ProbeError("the package ppk2-api is not installed", extra("ppk2")) from None
        try:
            self._meter = package.PPK2_API(str(self._node), timeout=1, write_timeout=1, exclusive=True)
            self._meter.stop_measuring()
            time.sleep(2 * REFRESH_S)
            self._meter.get_data()  # what was under way
            calibrated = self._meter.get_modifiers()
        except OSError as error:
            self.close()
            raise open_error(error, self._node, "tty") from None
        except UnicodeDecodeError:
            calibrated = None
        if not calibrated or self._meter.modifiers["HW"] is None:
            self.close()
            raise ProbeError(f"the device at {self._node} does not answer as a PPK2", "check that this is its node")
        self._meter.use_ampere_meter()
        self._meter.set_source_voltage(round(self._volts * 1000))
        self._meter.toggle_DUT_power("ON")  # never switched off here: that would cut the board's supply
        self._meter.start_measuring()
        self.direction = Direction(self._info.info.scope)
        self._last_ns = time.monotonic_ns()
        self._heard = self._last_ns / 1e9

    def read(self) -> list[Sample]:
        """Wait one refresh and average what has come; raises SourceLost."""
        if self._meter is None:
            raise SourceLost("the PPK2 is not open", "open it first")
        time.sleep(REFRESH_S)
        try:
            data = self._meter.get_data()
        except OSError:
            raise SourceLost(f"the PPK2 at {self._node} was unplugged", "plug it in again") from None
        now = time.monotonic_ns()
        microamps = self._meter.get_samples(data)[0] if len(data) >= 4 else []
        if not microamps:
            if now / 1e9 - self._heard > SILENT_S:
                raise SourceLost(f"the PPK2 at {self._node} has been silent for {SILENT_S:g} s", "plug it in again")
            return []
        try:
            reading = electrical(self._volts, math.fsum(microamps) / len(microamps) / 1e6)
        except ProtocolError as error:
            raise SourceLost(error.reason, error.fix) from None
        middle = (self._last_ns + now) // 2
        self._last_ns, self._heard = now, now / 1e9
        return [Sample(middle, self.passed(reading.signed_w))]

    def close(self) -> None:
        """Stop measuring and close the line."""
        meter, self._meter = self._meter, None
        if meter is not None:
            with contextlib.suppress(OSError):
                meter.stop_measuring()
            with contextlib.suppress(OSError):
                meter.ser.close()
