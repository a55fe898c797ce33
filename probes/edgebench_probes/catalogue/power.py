"""Sampled power in the catalogue: boards, hwmon, graphics units, meters and traces."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path

from edgebench_probes.base import Probe, ProbeError, Scope
from edgebench_probes.counter import CounterProbe
from edgebench_probes.entry import Candidate, Entry
from edgebench_probes.finding import Finding
from edgebench_probes.host import Host
from edgebench_probes.sampling.probe import SampledProbe
from edgebench_probes.sampling.source import Source
from edgebench_probes.sources import hwmon, jtop, nvml
from edgebench_probes.sources.ina3221 import Ina3221Source
from edgebench_probes.sources.pmic import Firmware, Mailbox, PmicSource, Vcgencmd
from edgebench_probes.sources.replay import ReplaySource
from edgebench_probes.spec import Spec

METER = "attach a power meter (docs/energy.md lists those supported)"


def sampled(source: Source) -> Callable[[], Probe]:
    """Return what makes the probe of a source."""
    return partial(SampledProbe, source)


def positive(spec: Spec, option: str) -> float | None:
    """Value of an option that is a number above zero, None where it is not given; raises ProbeError."""
    if option not in spec.options:
        return None
    try:
        value = float(spec.options[option])
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value > 0):
        raise ProbeError(
            f"the option `{option}` of the probe {spec.name} is no number above zero: {spec.options[option]!r}",
            f"write it as `{option}=10`",
        )
    return value


def _ina3221(spec: Spec, sysfs: Path, host: Host) -> list[Candidate]:
    source = Ina3221Source(sysfs, positive(spec, "rate"))
    try:
        source.locate()
    except ProbeError as error:
        if host.container:
            binds = "`-v /sys/bus/i2c:/host/sys/bus/i2c:ro -v /sys/devices:/host/sys/devices:ro ... --sysfs /host/sys`"
            raise ProbeError(error.reason, f"{error.fix}; in a container bind it: {binds}") from None
        raise
    return [(Scope.MODULE, sampled(source))]


def _jtop(spec: Spec, _sysfs: Path, _host: Host) -> list[Candidate]:
    jtop.check()
    return [(None, sampled(jtop.JtopSource(positive(spec, "interval") or jtop.INTERVAL_S)))]


def _pmic(spec: Spec, _sysfs: Path, host: Host) -> list[Candidate]:
    if host.board and "Raspberry Pi 5" not in host.board and "Compute Module 5" not in host.board:
        raise ProbeError(f"{host.board} cannot measure its own power", METER)
    via = spec.options.get("via", "vcio")
    if via not in ("vcio", "vcgencmd"):
        raise ProbeError(f"the probe pmic cannot ask by {via!r}", "write `via=vcio` or `via=vcgencmd`")
    firmware: Firmware = Mailbox() if via == "vcio" else Vcgencmd()
    rate_hz = positive(spec, "rate")
    return [(Scope.MODULE, sampled(PmicSource(firmware, rate_hz) if rate_hz else PmicSource(firmware)))]


def _scope(spec: Spec, known: Scope | None, name: str) -> Scope:
    """What a hwmon chip's joules cover: as its driver's document says, or as the user does."""
    if "scope" in spec.options:
        try:
            return Scope(spec.options["scope"])
        except ValueError:
            raise ProbeError(f"{spec.options['scope']!r} is no scope", f"choose from {', '.join(Scope)}") from None
    if known is None:
        raise ProbeError(
            f"what the power of {name} covers is not known",
            f"say so, as in `--probe '{spec.name}:{name}?scope=board_dc'` (one of {', '.join(Scope)})",
        )
    return known


def _refusing(error: ProbeError) -> Probe:
    raise error


def _hwmon(spec: Spec, sysfs: Path, _host: Host) -> list[Candidate]:
    found = {key: partial(_hwmon_probe, sysfs, key, counter=False) for key in hwmon.channels(sysfs)} | {
        key: partial(_hwmon_probe, sysfs, key, counter=True) for key in hwmon.energies(sysfs)
    }
    chosen = {k: v for k, v in found.items() if spec.address in (None, k[0], "/".join(k))}
    if not chosen:
        names = ", ".join("/".join(key) for key in found)
        what = f"called {spec.address!r} " if spec.address else ""
        raise ProbeError(
            f"no chip {what}of {sysfs}/class/hwmon measures power",
            f"choose one of {names}" if names else f"load the driver of the board's monitor, or {METER}",
        )
    rate_hz = positive(spec, "rate")
    candidates: list[Candidate] = []
    for key, make in chosen.items():
        try:
            scope = _scope(spec, hwmon.SCOPES.get(key[0].partition("@")[0]), "/".join(key))
        except ProbeError as error:
            candidates.append((None, partial(_refusing, error)))
        else:
            candidates.append((scope, partial(make, scope=scope, rate_hz=rate_hz)))
    return candidates


def _hwmon_probe(sysfs: Path, key: tuple[str, str], *, counter: bool, scope: Scope, rate_hz: float | None) -> Probe:
    if counter:
        name = "/".join(key)
        return CounterProbe("hwmon", f"hwmon {name}", scope, [hwmon.EnergyCounter(hwmon.energies(sysfs)[key])])
    return SampledProbe(hwmon.HwmonSource(sysfs, *key, scope, rate_hz))


def _supply(spec: Spec, sysfs: Path, _host: Host) -> list[Candidate]:
    found = [name for name in hwmon.supplies(sysfs) if spec.address in (None, name)]
    if not found:
        raise ProbeError(f"no power supply of {sysfs}/class/power_supply tells its power", METER)
    rate_hz = positive(spec, "rate")
    scope = _scope(spec, Scope.BOARD_DC, found[0])
    return [(scope, sampled(hwmon.SupplySource(sysfs, name, rate_hz, scope))) for name in found]


def _nvml(spec: Spec, _sysfs: Path, _host: Host) -> list[Candidate]:
    if spec.address is not None and not spec.address.isdecimal():
        raise ProbeError(f"the probe nvml takes the number of a graphics unit, not {spec.address!r}", "write `nvml:0`")
    indices = [int(spec.address)] if spec.address else range(nvml.count())
    if not indices:
        raise ProbeError("NVIDIA's driver finds no graphics unit", "pass it in, in a container with `--gpus all`")
    return [(Scope.GPU, sampled(nvml.NvmlSource(index))) for index in indices]


def _replay(spec: Spec, _sysfs: Path, _host: Host) -> list[Candidate]:
    if spec.address is None:
        raise ProbeError("the probe replay needs a trace", "write `replay:FILE`")
    try:
        speed = float(spec.options.get("speed", "1"))
    except ValueError:
        speed = math.nan
    return [(None, sampled(ReplaySource(Path(spec.address), speed)))]


def _jetson(host: Host) -> bool:
    return "jetson" in host.board.lower() or (host.machine == "aarch64" and not host.board)


def _pi(host: Host) -> bool:
    return "Raspberry Pi" in host.board or (host.machine == "aarch64" and not host.board)


def _never(_host: Host) -> bool:
    return False


POWER: dict[str, Entry] = {
    "ina3221": Entry("INA3221", _ina3221, listed=_jetson, options=("rate",)),
    "jtop": Entry("jetson-stats", _jtop, listed=_jetson, options=("interval",)),
    "pmic": Entry("PMIC of the Raspberry Pi 5", _pmic, listed=_pi, options=("via", "rate")),
    "hwmon": Entry("hwmon", _hwmon, address="a chip, as in `hwmon:powerz`", options=("scope", "rate")),
    "power_supply": Entry(
        "power_supply", _supply, address="a supply, as in `power_supply:BAT0`", options=("scope", "rate")
    ),
    "nvml": Entry("NVML", _nvml, address="a number, as in `nvml:0`"),
    "replay": Entry(
        "recorded trace", _replay, listed=_never, address="a trace, as in `replay:FILE`", options=("speed",)
    ),
}


def _meter(make: Callable[[Spec], Source], spec: Spec, _sysfs: Path, _host: Host) -> list[Candidate]:
    return [(None, sampled(make(spec)))]


def meters() -> dict[str, Entry]:
    """The external meters, each with its own reading of address and options."""
    from edgebench_probes.meters import METERS

    return {
        name: Entry("meter", partial(_meter, make), listed=_never, address="", options=("*",))
        for name, make in METERS.items()
    }


def attached(sysfs: Path) -> list[Finding]:
    """Meters that are plugged in, and what keeps the others from use."""
    from edgebench_probes.meters import find_meters

    return find_meters(sysfs)
