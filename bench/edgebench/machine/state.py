"""The state a machine is in, and what disturbed it between two readings."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from edgebench.machine.facts import _text, board
from edgebench_probes.base import ProbeError
from edgebench_probes.sources import pmic


@dataclass(frozen=True, slots=True)
class State:
    """The machine at one moment; what it does not tell is None. Temperatures in degrees Celsius, times in seconds.

    `limits` names what a Raspberry Pi's firmware says limits it now (under-voltage, throttling).
    """

    time_s: float
    temperature_c: float | None
    throttle_count: int | None
    busy_s: float
    steal_s: float
    limits: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Disturbance:
    """What else happened between two states: `other_cores` are processors busy with anything but the benchmark."""

    other_cores: float
    stolen_cores: float
    throttled: bool
    limits: tuple[str, ...] = ()

    @property
    def reason(self) -> str | None:
        """Why a measurement between the two states is not to be trusted, or None."""
        if self.throttled:
            return "the processor throttled (its throttle counter rose)"
        if self.limits:
            return f"the firmware limited the board ({', '.join(self.limits)})"
        if self.other_cores > 0.5:
            return f"other programs used {self.other_cores:.1f} processors"
        if self.stolen_cores > 0.25:
            return f"the hypervisor took {self.stolen_cores:.2f} processors away"
        return None


def read_state() -> State:
    """Read the machine's state once; costs about a millisecond."""
    times = psutil.cpu_times()
    busy = times.user + times.nice + times.system + getattr(times, "irq", 0.0) + getattr(times, "softirq", 0.0)
    return State(
        time_s=time.monotonic(),
        temperature_c=_temperature(),
        throttle_count=_throttle_count(),
        busy_s=busy,
        steal_s=getattr(times, "steal", 0.0),
        limits=_pi_limits(),
    )


def disturbance(before: State, after: State, own_cpu_s: float) -> Disturbance:
    """What happened besides `own_cpu_s` seconds of processor time of the benchmark's own."""
    seconds = max(after.time_s - before.time_s, 1e-9)
    # /proc/stat counts in ticks of 10 ms a processor: below that nothing can be said of others.
    slack_s = 0.02 * (os.cpu_count() or 1)
    other_s = max(0.0, after.busy_s - before.busy_s - own_cpu_s - slack_s)
    counts = (before.throttle_count, after.throttle_count)
    throttled = counts[0] is not None and counts[1] is not None and counts[1] > counts[0]
    limits = tuple(sorted({*(before.limits or ()), *(after.limits or ())}))
    return Disturbance(other_s / seconds, max(0.0, after.steal_s - before.steal_s) / seconds, throttled, limits)


def _temperature() -> float | None:
    try:
        sensors = psutil.sensors_temperatures()
    except (OSError, AttributeError):
        return None
    for name in ("coretemp", "k10temp", "cpu_thermal", "soc_thermal", "acpitz"):
        if readings := [entry.current for entry in sensors.get(name, []) if entry.current]:
            return max(readings)
    zones = [_text(zone / "temp") for zone in Path("/sys/class/thermal").glob("thermal_zone*")]
    milli = [int(text) for text in zones if text and text.lstrip("-").isdigit()]
    return max(milli) / 1000 if milli else None


def _throttle_count() -> int | None:
    files = Path("/sys/devices/system/cpu").glob("cpu[0-9]*/thermal_throttle/*_throttle_count")
    counts = [int(text) for text in map(_text, files) if text and text.isdigit()]
    return sum(counts) if counts else None


def _pi_limits() -> tuple[str, ...] | None:
    if "Raspberry Pi" not in (board() or ""):
        return None
    for firmware in (pmic.Mailbox(), pmic.Vcgencmd()):
        try:
            firmware.open()
            try:
                return tuple(sorted(pmic.throttled(firmware)[0]))
            finally:
                firmware.close()
        except ProbeError:
            continue
    # Without a way to the firmware (a container), the kernel still tells of the supply.
    alarm = pmic.under_voltage(Path("/sys"))
    return None if alarm is None else ("under-voltage",) * alarm
