"""External meters: one file a protocol, and which of them are plugged in.

`METERS` makes a source of a specification, by the rows in known.py; what a meter needs (a package, a node, a right) is
asked for when it is opened. A POWER-Z KM002C or KM003C has a driver in the kernel: it is read by the probe `hwmon`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path

from edgebench_probes.base import ProbeError
from edgebench_probes.finding import Finding
from edgebench_probes.meters.fnirsi import MODELS
from edgebench_probes.meters.known import ROWS
from edgebench_probes.meters.usb import Plugged, missing, plugged
from edgebench_probes.sampling.integrate import SMOOTHINGS
from edgebench_probes.sampling.source import Source, SourceLost
from edgebench_probes.spec import Spec
from edgebench_probes.window import shortest_window_s


def _made(source: str, spec: Spec) -> Source:
    module, _, name = source.partition(":")
    made: Source = getattr(import_module(module), name)(spec)
    return made


METERS: dict[str, Callable[[Spec], Source]] = {row.name: partial(_made, row.source) for row in ROWS if row.source}
FIRST_S = 3.0
TARGET = 0.01  # relative uncertainty that the shortest window is stated for


def find_meters(sysfs: Path = Path("/sys"), dev: Path = Path("/dev")) -> list[Finding]:
    """Every meter of the catalogue on this machine's USB buses: usable, or why not and the fix.

    A meter that can be opened is, until its first reading, and closed again; where none is plugged in there is one
    finding that says so.
    """
    found = [_finding(meter) for meter in plugged(sysfs, dev)]
    return found or [
        Finding(
            "meter",
            "external meter",
            usable=False,
            reason="no USB meter of the catalogue is plugged in",
            fix=f"plug one in, or name one that is reached otherwise ({', '.join(METERS)})",
        )
    ]


def _finding(meter: Plugged) -> Finding:
    name, device, node = meter.meter.name, meter.device, meter.node
    make = partial(Finding, name, f"{device.title} ({meter.vendor:04x}:{meter.product:04x}) at {node}")
    if name == "hwmon":
        module = "`sudo modprobe powerz` (in Linux since 6.7)" if node is None else "use the probe `hwmon`"
        reason = "the kernel has loaded no driver for it" if node is None else "it is read through its driver"
        return make(usable=False, reason=reason, fix=module)
    if node is None:
        driver = {"tty": "cdc_acm", "hidraw": "usbhid"}.get(device.kind, "usbcore")
        return make(
            usable=False, reason=f"the kernel made no {device.kind} node for it", fix=f"`sudo modprobe {driver}`"
        )
    if not node.exists():
        error = missing(node)
        return make(usable=False, reason=error.reason, fix=error.fix)
    text = f"{name}:{node}"
    if meter.meter.needs is not None:
        return make(usable=False, reason="it needs an option", fix=f"name it as `{text}?{meter.meter.needs}`")
    options = {"model": model} if (model := _model(meter)) else {}
    source: Source | None = None
    try:
        source = METERS[name](Spec(name, None if device.kind == "usb" else str(node), options))
        source.open()
        power_w = _first_reading(source)
    except ProbeError as error:
        return make(usable=False, reason=error.reason, fix=error.fix)
    finally:
        if source is not None:
            source.close()
    about = source.describe()
    shortest = shortest_window_s(about.info, power_w, TARGET) if power_w > 0 else None
    return make(
        usable=True,
        scope=about.info.scope,
        info=about.info,
        reading_w=power_w,
        shortest_window_s=shortest and max(shortest, SMOOTHINGS * about.smoothing_s),
    )


def _model(meter: Plugged) -> str | None:
    """Model of a FNIRSI meter, which differs in how it is asked."""
    usb = (meter.vendor, meter.product)
    return next((key for key, model in MODELS.items() if model.usb == usb), None)


def _first_reading(source: Source) -> float:
    """First reading in W; raises SourceLost for a meter that gives none or garbles it."""
    end = time.monotonic() + FIRST_S
    while time.monotonic() < end:
        samples = source.read()
        if samples:
            return samples[-1].power_w
    raise SourceLost("the meter gives no reading", "check that it is switched on and is the meter named")
